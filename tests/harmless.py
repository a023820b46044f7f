"""Invented text that gives nobody away although it looks like it: numbers of all sorts, and words that are names too.

`CAST` are people whose names are such words, in the chat in which these sentences are said: the hardest that there is.
"""

# ruff: noqa: SIM905 - lists of words read best as words

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["CAST", "REGIONS", "harmless"]

REGIONS = ("US", "GB", "BR", "PT", "DE", "FR", "IN", "RU", "PL", "NL", "TR")
"""Countries in which phone numbers without country code are read."""

CAST = tuple(
    f"{first} {last}"
    for first, last in zip(
        """
        Will May Rose Grace Mark Bill Hope Frank Art Joy Dawn June April Faith Victor Robin Jack Max Dean Miles
        Rich Pat Sol Rosa Lua Luz Pilar Domingo Paz Mercedes Angel Dolores Consuelo Blanca Estrella Alba Reyes
        Socorro Marco Clara Flor Aurora Natal Domingos Glória Esperança Linda Bela Bento Rui Ernst Wolf Frank
        Heide Wonne Pierre Olive Blanche Constant Marguerite Stella Bianca Vera Perla Roos Jan Wil Fleur
        Вера Надежда Любовь Роза Слава Роман Лев Мария Пётр Светлана Илья Юлия Елена Полина Константин Виталий
        """.split(),
        """
        Thackwray Ellingsby Quillfeather Brockhurst Osgodby Wychbold Dunsfold Amberfold Fenchurch Lobley Penderby
        Ashcombe Winterslow Twelvetree Hartwhistle Postlethwaite Featherston Clairmont Rookhollow Tarrowby
        Kettleby Lisgrove Peñarrubio Torrealba Cienfuentes Ibarguren Zubeldarra Xochimilqueta Esparragoza
        Mondragonés Villarejano Larrazabide Zubigarate Puigdemasa Campoamarga Ruizalde Aguirrezola Mendigorría
        Settembrini Quaresimale Vasconcelar Carrapatoso Malafaia Quebrantes Trancoveira Braganceiro Catimbau
        Serrabulho Mucuripe Aratanha Müßigbrodt Treuenfeldt Klettenberg Öhlschläger Altenbockum Escalopier
        Aubremontel Bourdaloux Pontcarré Marcheprime Bevilacquara Mediconi Rovereta Cannavacciolo Heuvelink
        Zandvoorde Groenewoudt Terpstraete
        Крашенинникова Полуэктова Свистопляс Безбородкина Толстолесов Ярополков Воронцовский Белозерская Хрустовецкий
        Журавицкая Чумаковский Любославская Скворцова Ястребова Кувшинников Подорожников
        """.split(),
        strict=True,
    )
)
"""People who are called like words. None of them exists."""

WORDS = {
    "en": """
        Will you come on Sunday? I will, if it will stop raining
        We may go, it may rain, and the 5th of May is free; May 5 too, and late May
        a rose is a rose, the roses are out
        the bill was high, please pay the bill and the bills
        I hope so, no hope at all; hope you are well
        saved by grace, say grace before dinner, a grace period of ten days
        mark my words, question mark, the mark on the wall, marked as read
        to be frank, it is art and a joy to see; modern art
        at dawn in June, or early in April; every June and every April
        in good faith, with great joy, at the crack of dawn
        the robin sang, jack up the car, a jack of all trades
        max volume, the max is ten, miles away, ten miles, the rich get richer
        pat the dog, the dean of the faculty, a rich cake
        the vet said the dog is fine, the cook and the baker
        will do! may I? hope it works. grace under pressure
        a summer of hope and a winter of faith
        the may flowers will rise in june
        bill of sale, playbill, billboard, hopeful, graceful, remarkable, market, roseate, maximum, smiles
        the goodwill of free will, dismay, embrace, the bookmark
        it was hard work, a long way, a big step and a small price
    """,
    "pt": """
        o sol está forte, a lua cheia, a luz acabou, que dia lindo
        uma rosa cor de rosa, a flor do campo, as flores
        no domingo, aos domingos, todo domingo de manhã, no Natal e na Páscoa
        é março ainda, em março, 15 de março, março passado
        a glória da vitória, a aurora, sem esperança de chegar
        socorro! que coisa linda, casa bela, muito linda mesmo
        clara de ovo, sala clara, água clara, é claro
        vai ser bom, a gente vai, digo mais, sem mais, nem mau nem bom
        o pilar da ponte, o anjo da guarda, a pérola do rio
        rui a parede, o muro ruiu, pão bento, linda tarde
        a paz do campo, que paz, em paz
        todo mundo, nosso mundo, ninguém sabe, cada um na sua
        o marco zero, um marco na história
        a conta de luz veio alta, banho de sol, noite de lua
    """,
    "es": """
        el sol sale, la luz se va, hace sol, sin luz
        el domingo vamos, los domingos no; cada domingo
        la paz del campo, un ángel, una rosa blanca, el alba
        el pilar de la casa, los reyes magos, una estrella en el cielo
        dolores de cabeza, los dolores, qué dolor, sin consuelo
        la casa blanca, pan blanco, una perla, agua clara
        de verdad, es verdad, vamos a ver, ver para creer
        un mercado, la merced, las mercedes del rey
        pide socorro, qué linda, la flor y las flores
        la esperanza es lo último, la victoria final
    """,
    "de": """
        das ist ernst, im Ernst, der Wolf und die sieben Geißlein
        die Heide blüht, eine Wonne, mit Wonne
        die Rose und die Rosen, der Bär, ein frischer Tag
        jan feb mrz, das Maximum, max. zehn Leute, im April und im Juni
        ich will, er will nicht, willst du?, weil ich will
        ein klarer Tag, die Perle, das Märchen, die Mark ist weg
    """,
    "fr": """
        la pierre est lourde, des pierres, une rose, des roses
        l'huile d'olive, une olive, la page blanche, un bruit constant
        une marguerite dans le pré, la fleur, les fleurs, en mai
        le mont blanc, la tête et la bête, il a pris la clé, la mer
        la joie, la gloire, l'espérance, l'aurore, très clair
    """,
    "it": """
        la rosa, le rose rosse, una stella, le stelle, casa bianca
        è vera, la vera storia, una perla, la pace, in pace
        sarà bello, chi sarà?, l'aurora, la gloria, la speranza
        a marzo, il sole, la luce, la luna, il fiore
        un angelo, gli angeli, la luce chiara, vado via
    """,
    "nl": """
        een roos, de rozen, ik wil niet, wil je?, hij wil wel
        een bloem, in juni, in mei en in april, de rozentuin
        dat is wel zo, en dan?, eerst dit en dan dat
    """,
    "ru": """
        Или пойдём петь над рекой, или спать. Или нет
        свет погас, света нет, над крышей луна, при свете дня
        петь и пить, петь хором; вить гнёзда, платить дань, вал воды
        машина у дома, на машине, сломалась мышь, юла на полу, кость и косточка
        вера в людей, без веры, с верой, слава богу, любовь к морю, в надежде на лучшее
        роза и розы, лен и хлопок, люд простой, толь коль не спится
        поле в цвету, по полям, ромашки в поле, роман о любви, романы и повести
        милая, какая милая картина, милочка, любимый суп, лилии в воде, лев в зоопарке, у льва
        Весна! Лето! Зима пришла, заря, дар речи, мир и покой, с миром, павлин, марина на картине
    """,
}
"""Ordinary words that are somebody's name, by language, as people write them; a line is a message."""

_NAMES_WITHIN = ("I think it is 10 am in LA", "TV and PC, OK?", "call it JP2 or MP3", "the CEO and the CFO of IBM")

SIGNS = """
    12:30 at gate 7, 3-2 at half time, 110-98, 6:4 7:5, 21-19
    R$ 1.234,56 or $99.90, € 1.500,00, 12,50 €, 1 299 kr, £3.99, ₹ 1,25,000, USD 4155550132
    (c) [1] {x} <b>bold</b> *stars* _lines_ ~struck~ ```code```
    2+2=4, C++, #1, 100%, 20°C, AC/DC, and/or, 1/2, 16:9, 1080p, 5'11", 4x4
    👩‍👩‍👧 and ❤️ and 🇧🇷 and 👍🏽
    v1.2.3.4, version 10.0.0.1, Python 3.11.9, firmware 1.0.0.7, iOS 17.4.1
    chapter 3, verse 16, room 101-1020, seats 12-14, pages 100-120, platform 9
    3.14159265358979, 6.02214076e23, 1234567, 10 9 8 7 6 5 4 3 2 1
    2024-01-05 18:30:00, 05/10/2024 10:00, 5.10.24, 20240105, 1914-1918, 24/7, 9 to 5
    https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42
    https://en.wikipedia.org/wiki/Lake_(disambiguation)#History
    https://example.com/2024/05/the-roses-will-bloom-in-may.html?page=2
    https://www.bbc.com/news/world-europe-12345678
    https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC
    https://www.instagram.com/p/C3xYzAbCdEf/ https://x.com/i/trending
    the token of love, a secret: x, password please?
    5 Main points, Chapter 3 Street photography, 14 street dogs, 5th Avenue, Route 66
    IMG-20240105-WA0003.jpg, a.pdf, notes.txt
    meet @ 7, @everyone, me@home, me @ work
    3 cups of flour, 200 g of butter, 180°C for 25 min, 1.5 l, 70 kg, 5 km, 42.195 km
    flight TP1234 at 06:15, seat 14C, gate B22, bus 28E, train ICE 597
"""
"""Numbers and signs that are nobody's; a line is a message."""


def _isbn(draw: random.Random) -> str:
    digits = f"978{draw.randrange(10**9):09}"
    check = -sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10
    return f"ISBN {digits[:3]}-{digits[3]}-{digits[4:8]}-{digits[8:12]}-{check}"


def _generated() -> Iterator[tuple[str, str]]:
    draw = random.Random(11)
    n = draw.randrange
    for _ in range(40):
        price = n(100, 999_999)
        yield "prices", f"it was {draw.choice('€$£')}{price / 100:,.2f}, not R$ {price // 100},{price % 100:02}"
        yield "prices", f"{n(1, 999)}.{n(100, 1000)} pesos, {n(10, 100)} bucks or {n(2, 90)} euros"
        yield "scores", f"{n(0, 9)}-{n(0, 9)} at home, {n(60, 130)}:{n(60, 130)} away, {n(6)}x{n(6)}"
        yield "dates", f"{n(1, 29):02}/{n(1, 13):02}/{n(1990, 2031)}, {n(1990, 2031)}-{n(1, 13):02}-{n(1, 29):02}"
        yield "dates", f"{n(1, 29)}.{n(1, 13)}.{n(10, 31)} and {n(1, 13)}/{n(1, 29)}/{n(10, 31)}"
        yield "times", f"at {n(24):02}:{n(60):02}, {n(1, 13)}:{n(60):02} pm, {n(24)}h{n(60):02}, {n(24)}:{n(60):02}:00"
        yield "book numbers", f"{_isbn(draw)} has {n(80, 900)} pages"
        yield "order numbers", f"order {n(10**8, 10**12)}, pedido nº {n(10**6, 10**9)}, invoice #{n(10**5, 10**10)}"
        yield "order numbers", f"tracking 1Z{n(10**9, 10**10)}, protocolo {n(10**8, 10**13)}, ref {n(10**6, 10**9)}"
        yield "order numbers", f"заказ № {n(10**9, 10**10)}, трек {n(10**9, 10**10)}, sipariş no {n(10**9, 10**10)}"
        yield (
            "order numbers",
            f"zamówienie {n(10**8, 10**9)}, Rechnung {n(10**9, 10**10)}, bestelling {n(10**8, 10**9)}",
        )
        yield "versions", f"v{n(20)}.{n(20)}.{n(300)}, version {n(20)}.{n(99)}.{n(99)}.{n(99)}"
        yield (
            "amounts",
            f"{n(1, 90)} {n(100, 1000)} {n(100, 1000)} people, {n(10**6, 10**9)} views, {n(10**4, 10**7)} km",
        )


def harmless() -> Iterator[tuple[str, str]]:
    """What kind each message is of, and its text."""
    for language, lines in WORDS.items():
        yield from ((f"words, {language}", line.strip()) for line in lines.strip().splitlines())
    yield from (("capitals", line) for line in _NAMES_WITHIN)
    yield from (("signs", line.strip()) for line in SIGNS.strip().splitlines())
    yield from _generated()
