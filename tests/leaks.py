"""An invented chat that would give everybody away: who is in it, what they say, and what must be found nowhere.

`said()` is what people write, each line with the words that must be gone from it; `export()` makes the archive, with
the notices, polls, cards, places, documents and pictures around it; `SECRETS` are the words that must be nowhere behind
the privacy stage, and `secrets_in` finds them in a text. It knows nothing of how names are found. Nobody in it exists.
"""

# ruff: noqa: SIM905 - lists of words read best as words

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from egregora.testing import zip_of

__all__ = ["CAST", "SECRETS", "SETTINGS", "TITLE", "Line", "export", "lines", "plain", "said", "secrets_in"]

TITLE = "Quimbly Kayakers"

CAST: dict[str, dict[str, str]] = {
    "en": {
        "William Thackwray": "Bill Billy Willy Liam",
        "Elizabeth O'Dunmore": "Liz Lizzie Beth Betty Libby",
        "Sean McAllory": "",
        "Mary-Kate Ellingsby": "MaryKate Kate",
        "Robert Fenchurch-Oake": "Bob Bobby Rob Robbie Bert",
        "Dr. Margaret Quillfeather": "Peggy Maggie Meg",
        "Alexander Brockhurst": "Alex Sandy Sasha Lex Xander",
        "Katherine Osgodby": "Kitty Kathy Katie",
        "Theodore Wychbold": "Ted Teddy Theo",
        "Jonathan van der Wycke": "Jon Jonny Jonty",
        "Siobhán Ní Cheallaigh": "Shiv",
        "Anthony Al-Rashidi": "Tony",
        "Nicholas St. Clairmont": "Nicky",
    },
    "pt": {
        "Joana Vasconcelar": "Joaninha",
        "José Carrapatoso": "Zé Zeca Zezinho Zequinha",
        "Beatriz Malafaia": "Bia Biazinha",
        "Roberto Quebrantes": "Beto Betinho Betão",
        "Francisco d'Orneles": "Chico Kiko Chiquinho",
        "Maria de Lourdes Trancoveira": "Lurdinha Malu",
        "João Pedro da Cunha Braganceiro": "JP Joca Joãozinho",
        "Luiz Felipe dos Anjos Catimbau": "Lipe Luizinho",
        "Antônio Serrabulho": "Toninho Tonho",
        "Sebastião Mucuripe": "Tião",
        "Conceição Aratanha": "Ceiça",
        "Dona Filomena": "Filó",
        "Gabriela Sant'Anna": "Gabi",
        "Raimundo Jatobazeiro": "Mundinho",
    },
    "es": {
        "José Luis Peñarrubio": "Pepe Pepito Joselu",
        "Francisco Javier de la Torrealba": "Paco Pancho Javi",
        "María del Pilar Cienfuentes": "Pili Maripili Mapi",
        "Dolores Ibarguren": "Lola",
        "Ignacio Zubeldarra": "Nacho",
        "Guadalupe Xochimilqueta": "Lupita",
        "Manuel Esparragoza": "Manolo",
        "Jesús Mondragonés": "Chuy",
        "Enrique Villarejano": "Quique Kike",
        "Íñigo Larrazabide": "",
    },
    "de": {
        "Jürgen Müßigbrodt": "Juergen Muessigbrodt",
        "Ursula von Treuenfeldt": "Uschi Ulla",
        "Johannes zu Klettenberg": "Hannes",
        "Katharina Öhlschläger": "Kathi Oehlschlaeger",
        "Wolfgang Strauß-Hübner": "Wolfi Strauss Huebner",
        "Heinz-Peter Grünwaldner": "Heinzi Gruenwaldner",
        "Friedrich Altenbockum": "Fritz Fiete",
        "Elisabeth Rautendelein": "Sisi Liesl",
    },
    "fr": {
        "Jean-Baptiste de l'Escalopier": "JB",
        "Françoise d'Aubremontel": "Fanfan",
        "Étienne Lefèvre-Quintin": "",
        "Hélène L'Hôpiteau": "",
        "Frédéric Bourdaloux": "Fred Frédo",
        "Guillaume Pontcarré": "Guigui",
        "Cœur Œuvrard": "Coeur Oeuvrard",
    },
    "it": {
        "Giuseppe D'Alessandrini": "Beppe Pino Peppino",
        "Francesca Della Rovereta": "Franci Cesca",
        "Lorenzo de' Mediconi": "Renzo",
        "Luigi Bevilacquara": "Gigi",
        "Domenico Settembrini": "Mimmo",
    },
    "nl": {
        "Pieter-Jan van der Heuvelink": "PJ Piet",
        "Willemijn van 't Zandvoorde": "",
        "Joost IJsselmuider": "",
        "Cornelis de Groenewoudt": "Kees",
        "Johanna ten Broekhuizen": "Hanneke",
        "Hendrik Terpstraete": "Henk",
    },
    "ru": {
        "Александр Воронцовский": "Саша Сашка Сашенька Сашу Шура Александру Саш Aleksandr Alexander Sasha",
        "Екатерина Белозерская": "Катя Катюша Катю Белозерской Катенька Кать Ekaterina Katya Belozerskaya",
        "Дмитрий Полуэктов": "Дима Димон Полуэктова Дмитрию Дмитрием Дим Димочка Митенькой Dmitry Dmitriy Dima",
        "Владимир Ярополков": "Вова Вовка Владимиру Володь Vladimir Yaropolkov",
        "Мария Крашенинникова": "Марию Марии Маш Машуля Машенькой Maria Mariya Masha",
        "Сергей Любославский": "Сергея Сергеем Серёж Серёженька Любославскому Sergey Sergei",
        "Павел Хрустовецкий": "Павла Павлу Паш Пашенька Pavel Khrustovetsky",
        "Наталья Безбородкина": "Наталью Наташ Наташеньке Natalya Natalia",
        "Андрей Толстолесов": "Андрея Андрею Андрюш Andrey Andrei",
        "Илья Чумаковский": "Илью Ильёй Ilya",
        "Любовь Свистопляс": "Любовью Lyubov",
        "Анастасия Журавицкая": "Анастасию Насть Настюша Anastasia Zhuravitskaya",
        "Dmitri Skvortsov": "Дмитрий Дмитрию Дима Диму Скворцов Скворцову",
        "Olga Yastrebova": "Ольга Ольгу Оля Олечка Ястребова Ястребовой",
    },
    "ar": {
        "محمد عبد الرحمن": "مُحَمَّد لمحمد محـــمد",
        "فاطمة الزهراوي": "فاطمه",
        "أحمد القرطبي": "احمد لأحمد",
    },
    "zh ja ko": {
        "王小明": "小明 王先生 老王",
        "田中さくら": "さくらちゃん 田中さん",
        "佐藤 健一": "健一",
        "김민수": "민수야 민수씨",
    },
    "hi bn ta th": {
        "दीपक खत्री": "",
        "प्रिया शर्मा": "",
        "অনির্বাণ চট্টোপাধ্যায়": "",
        "கார்த்திகேயன் முருகன்": "",
        "สุชิน เดชคุ้ม": "",
    },
    "el tr is he": {
        "Γιώργος Παπαδοπουλάκης": "Γιώργο ΓΙΩΡΓΟΣ Παπαδοπουλάκη",
        "İbrahim Çağlayanoğlu": "ibrahim Caglayanoglu",
        "Søren Ødegårdsen": "Soren Soeren Oedegaardsen",
        "Ragnheiður Þórsdóttir": "Ragnheidur Thorsdottir",
        "דנה לוינסקי": "לדנה ודנה",
    },
}
"""By language: people as the exporting phone knows them, and what else they are called."""

NUMBER = "+44 7700 900345"
"""A participant who is nobody's contact."""

_SMALL = frozenset(
    "al bin da das de del della der des di do dona dos dr du la le les ni st ten van von zu "
    "ten and the ou e y und et en pé".split()
)
_DIVIDERS = re.compile(r"[\s.\-]+")


def plain(text: str) -> str:
    """In small letters, without accents, vowel signs and invisible characters; those of India are letters of theirs."""
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("i̇", "i"))
    kept = (
        c
        for c in decomposed
        if (not (unicodedata.combining(c) or c == "\u0640") and unicodedata.category(c) != "Cf")
        or "\u0900" < c < "\u2000"
    )
    return unicodedata.normalize("NFC", "".join(kept)).replace("ς", "σ")


def _bearing(name: str) -> tuple[str, str]:
    """The first and the last word of a name that name somebody."""
    words = [word for word in _DIVIDERS.split(name) if plain(word) not in _SMALL]
    return words[0], words[-1]


class Line(NamedTuple):
    """What somebody writes about somebody.

    Attributes:
        author: Who.
        text: The message.
        what: What it tries.
        gone: Words, as `plain` has them, that must not be left of it.
    """

    author: str
    text: str
    what: str
    gone: tuple[str, ...]

    def left(self, text: str) -> list[str]:
        """Which of these words a text still has, also drawn out; short ones where they stand alone."""
        searched = plain(text)
        searched += "\n" + re.sub(r"(.)\1+", r"\1", searched)
        return [
            word
            for word in self.gone
            if (word in searched if len(word) > 4 or not word.isascii() else _alone(word).search(searched))
        ]


@cache
def _alone(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, words))})(?![^\W_])")


Way = Callable[[str, str], str]
"""A way of writing a first and a last name."""


def _latin(text: str) -> str:
    return plain(text).replace("'", "")


WAYS: dict[str, Way] = {
    "first and last name": lambda f, s: f"I met {f} {s} yesterday",
    "a first name in a body": lambda f, s: f"so {f} and I found the boats",
    "small letters": lambda f, s: f"and {f.lower()} {s.lower()} said",
    "capitals": lambda f, s: f"WHERE IS {f.upper()}, {s.upper()}!!",
    "without accents": lambda f, s: f"ask {plain(f).title()} {plain(s).title()}",
    "decomposed accents": lambda f, s: unicodedata.normalize("NFD", f"ask {f} {s}"),
    "a character of no width": lambda f, s: f"ask {f[:2]}\u200b{f[2:]} {s[:2]}\u2060{s[2:]} {s[:2]}\u00ad{s[2:]}",
    "a line break": lambda f, s: f"it was {f}\n{s} again",
    "a space that doesn't break": lambda f, s: f"it was {f}\u00a0{s} again",
    "possessives": lambda f, s: f"{f}'s boat, {s}’s boat, {f}ʼs boat, {s}`s boat, {f}´s boat",
    "spoken to": lambda f, s: f"{f}, come! hello {f}, {s}?",
    "marked": lambda f, s: f"*{f}* _{s}_ ~{f}~ ```{s}``` “{f}” «{s}» ({f}/{s})",
    "signs beside": lambda f, s: f"{f}😂 😂{s} {f}... {s}… {f}+me {s}&me",
    "digits behind": lambda f, s: f"{f}2 {s}1990 {f}_{s}",
    "last name first": lambda f, s: f"{s}, {f}; {f}-{s}",
    "an initial": lambda f, s: f"{f[0]}. {s} and {f} {s[0]}.",
    "a mention": lambda f, s: f"@{f} @{s} @\u2068{f} {s}\u2069",
    "a caption": lambda f, s: f"{f}: look at the river",
    "drawn out": lambda f, s: f"{f}{f[-1] * 4} {s}{s[-1] * 3}",
    "letter by letter": lambda f, s: f"{' '.join(s.upper())} and {'.'.join(s)}",
}
_GLUED: dict[str, Way] = {
    "a hashtag": lambda f, s: f"#{f}{s} #{_latin(f + s)} #Team{s}",
    "a handle": lambda f, s: f"@{_latin(f)}_{_latin(s)} @{_latin(f[0] + s)} @{_latin(f + s)}99",
    "an e-mail address": lambda f, s: f"{_latin(f)}.{_latin(s)}@example.com, {_latin(f + s)}@example.org",
    "a link's path": lambda f, s: (
        f"https://example.com/{_latin(f)}-{_latin(s)}/x https://example.com/u/{_latin(f + s)}"
    ),
    "a link's parameter": lambda f, s: f"https://example.com/p?by={_latin(s)}&page=2 https://example.com/@{_latin(s)}",
    "a link's host": lambda f, s: f"https://{_latin(s)}.example.com/river",
    "without a space": lambda f, s: f"{_latin(f + s)} {_latin(s + f)} {f}{s}".replace("'", ""),
    "a plural": lambda f, s: f"the {s}s and the {f}s",
    "stretched within": lambda f, s: re.sub("([aeiouAEIOU])", r"\1\1\1\1", plain(s), count=1).title(),
}
_CALLED = ("and {} as well", "hi {}!", "{}, come here", "@{} look", "{}'s boat")


def said() -> Iterator[Line]:
    """Everything that people write about each other, everybody in every way."""
    for cast in CAST.values():
        people = list(cast)
        for number, (name, calls) in enumerate(cast.items()):
            author = people[number - 1]
            first, last = _bearing(name)
            gone = tuple(sorted({plain(first), plain(last), _latin(first), _latin(last)}))
            ways = WAYS | (_GLUED if _latin(first).isascii() and _latin(last).isascii() else {})
            for what, way in ways.items():
                if what == "without a space" and first == last:
                    continue
                yield Line(author, way(first, last), f"{what}: {name}", gone)
            yield Line(author, f"Did you see {name}?", f"the whole name: {name}", gone)
            for call in calls.split():
                short = len(call) == 2 and call.isascii()
                for frame in _CALLED[:1] if short else _CALLED:
                    yield Line(author, frame.format(call), f"{call} for {name}", (plain(call),))


ZORAIDA, BASTIAN, EUNICE = "Zoraida Peñalver", "Bastian Fenwright", "Eunice Okonjo"
_CHAT = f"""\
Messages and calls are end-to-end encrypted. Only people in this chat can read, listen to, or share them.
{ZORAIDA} created group "{TITLE}"
{ZORAIDA} added {BASTIAN}
{BASTIAN} added {NUMBER}
{ZORAIDA}: Hello all, Bastian and I found the river kayaks for Saturday
{BASTIAN}: thanks ZORAIDA!! and zoráida, penalver, Peñalver: one person, three ways
{EUNICE}: Zoraidinha said so, ask Bastiannnn or @Bastian
{NUMBER}: I am on +44 7700 900345, 07700 900345 or 447700900345
{BASTIAN}: @447700900345 can you bring the paddles? #TeamZoraida
{EUNICE}: [10/05/24, 10:00] Wilhelmina Throckley: bring a rope
{EUNICE}: 10/05/24, 10:00 - Wilhelmina Throckley: and a bucket
{EUNICE}: @\u2068Ottoline Gravesham\u2069 said Gravesham would come
{EUNICE}: Wilhelmina Throckley.vcf (file attached)
{BASTIAN}: Fenwright lease 2024.pdf (file attached)
{BASTIAN}: scan of okonjo_passport.pdf and PENALVER-visa-2024.docx
{ZORAIDA}: POLL:
Who drives to the river, {TITLE}?
OPTION: Eunice (2 votes)
OPTION: the fellow on 07700 900345 (1 vote)

{EUNICE}: location: https://maps.google.com/?q=38.486612,-8.740534
{EUNICE}: we meet at https://maps.app.goo.gl/Qk3JxT77PzW
{EUNICE}: or here https://www.openstreetmap.org/?mlat=38.48661&mlon=-8.74053 or 38.486612, -8.740534
{BASTIAN}: photos at https://photos.example.com/bastianfenwright/albums?token=9fK2mQ7xLpT4vB8sZ1
{BASTIAN}: or mail bastian.fenwright@example.org, the password: barnacle-1987-xyz
{BASTIAN}: my accounts: https://instagram.com/rivermoth77 and https://www.tiktok.com/@rivermoth77 and t.me/rivermoth77
{BASTIAN}: https://admin:barnacle88@example.org/x https://example.org/r/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI5In0.qQwW/y
{BASTIAN}: Bearer q7Zt4mVx91LpKe2sWd08zz and https://chat.whatsapp.com/Gk3vRt90xTurtleQ2
{NUMBER}: IMG-20240304-WA0001.jpg (file attached)
{ZORAIDA}: what a picture of the river, who took it?
{EUNICE}: my flat is Rua das Gaivotas Tortas 14, card 4111 1111 1111 1111
{EUNICE}: account PT50 0002 0123 1234 5678 9015 4, tax 529.982.247-25, router at 203.0.113.44
{ZORAIDA} changed the subject from "{TITLE}" to "Quimbly Canoeists"
{BASTIAN} adicionou Ottoline Gravesham
Ottoline Gravesham hat die Gruppe verlassen
{ZORAIDA}: welcome to {TITLE.upper()} and #QuimblyKayakers, www.quimblykayakers.example/join
{BASTIAN}: shall we decide about the kayaks, yes or no?
{EUNICE}: yes, the river kayaks on Saturday, decided
{ZORAIDA}: great, the kayaks it is. Eunice brings the rope
{NUMBER}: \x1b[31mred alert\x1b[0m from Eu\u200bnice about the river
"""

_FURTHER = (
    *("zoraida", "penalver", "bastian", "fenwright", "eunice", "okonjo", "zoraidinha", "throckley", "wilhelmina"),
    *("ottoline", "gravesham", "7700 900345", "7700900345", "447700", "quimbly", "canoeists", "38.4866", "8.7405"),
    *("qk3jxt77", "9fk2mq7x", "barnacle", "rivermoth77", "qqww", "eyjzdwi", "q7zt4mvx", "gk3vrt90", "gaivotas"),
    *("4111 1111", "4111111111111111", "lease 2024", "penalver-visa", "1234 5678 9015", "529.982.247"),
    *("203.0.113.44", "estuary telephones"),
)

SETTINGS = """
[site]
title = "On the water"
[parse]
timezone = "Europe/Lisbon"
[privacy]
default_region = "GB"
[write]
min_messages = 2
[publish]
media = true
"""
"""An `egregora.toml` for the site of that chat."""


def _secrets() -> Iterator[str]:
    yield from _FURTHER
    for cast in CAST.values():
        for name, calls in cast.items():
            first, last = _bearing(name)
            yield from map(plain, (first, last, *calls.split()))
            if _latin(last).isascii():
                yield from (_latin(last), f"{_latin(first)}{_latin(last)}")


SECRETS = frozenset(word for word in _secrets() if len(word) > 2 or not word.isascii())
"""What must be nowhere, as `plain` has it. Short words count where they stand alone."""


@cache
def _pattern() -> tuple[re.Pattern[str], re.Pattern[str]]:
    # Among thousands of hashes, ids and times are six digits of a number, now and then.
    few = [word for word in SECRETS if len(word) == 6 and word.isdecimal()]
    anywhere = "|".join(
        rf"(?<![0-9a-f.]){word}(?![0-9a-f])" if word in few else re.escape(word) for word in SECRETS if len(word) > 5
    )
    return re.compile(anywhere), _alone(*(word for word in SECRETS if len(word) <= 5))


def secrets_in(text: str, *, binary: bool = False) -> set[str]:
    """Which secrets a text holds, whatever their case and accents; of bytes that are no text, only the long ones."""
    anywhere, alone = _pattern()
    searched = plain(text)
    return {*anywhere.findall(searched), *(() if binary else alone.findall(searched))}


def photo(red: int = 40) -> bytes:
    """A picture that says who took it, where and with what."""
    from PIL import Image

    exif = Image.Exif()
    exif.update({0x010F: "Estuary Telephones", 0x013B: ZORAIDA, 0x010E: f"{TITLE} on the river"})
    exif.get_ifd(0x8825).update({1: "N", 2: (38.0, 29.0, 11.8), 3: "W", 4: (8.0, 44.0, 25.9)})
    out = io.BytesIO()
    Image.new("RGB", (320, 240), (red, 90, 160)).save(out, "JPEG", exif=exif, comment=ZORAIDA.encode())
    return out.getvalue()


def lines(*more: str, crowd: bool = True) -> Iterator[str]:
    """The chat as records without their dates: `author: text`, or a notice."""
    yield from re.split(r"\n(?=\S)(?!OPTION|Who drives)", _CHAT.strip())
    if crowd:
        yield from (f"{line.author}: {line.text}" for line in said())
    yield from more


def export(folder: Path, *more: str, crowd: bool = True, pictures: Sequence[str] = ()) -> Path:
    """The chat as a zip whose name, too, says whose it is.

    Args:
        folder: Where it goes.
        more: Further records.
        crowd: Whether `said()` is in it.
        pictures: Names of further pictures.
    """
    records: Iterable[str] = lines(*more, crowd=crowd)
    text = "".join(
        f"{4 + n // 240:02}/03/2024, {9 + n // 20 % 12:02}:{n % 20 * 3:02} - {record}\n"
        for n, record in enumerate(records)
    )
    return zip_of(
        folder / f"WhatsApp Chat with {TITLE}.zip",
        {
            f"WhatsApp Chat with {TITLE}.txt": text,
            "IMG-20240304-WA0001.jpg": photo(),
            "Wilhelmina Throckley.vcf": "BEGIN:VCARD\nFN:Wilhelmina Throckley\nTEL:+447700900999\nEND:VCARD\n",
            "Fenwright lease 2024.pdf": b"%PDF-1.4 Fenwright",
            **{name: photo(41 + number) for number, name in enumerate(pictures)},
        },
    )
