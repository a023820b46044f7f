"""Links, languages, replies and cleaned pictures, from the messages and the export alone."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from egregora.config import Config, EnrichConfig
from egregora.database.ir_schema import ENRICHED, MESSAGES
from egregora.pipeline.stage import Files, StageContext
from egregora.stages.enrich import STAGE, enrich
from egregora.stages.enrich_language import Evidence, Tongues
from egregora.stages.enrich_links import find_links, without_links
from egregora.stages.enrich_media import LONGEST_SIDE, clean_picture, mime_of
from egregora.stages.enrich_replies import LOOK_BACK, Dictionary, Replies
from egregora.stages.enrich_words import Words

NOON = dt.datetime(2024, 3, 4, 12)


def message(seq: int, alias: str | None, text: str, **other: Any) -> dict[str, Any]:
    """A `MESSAGES` row, a minute after the one before."""
    return {
        "event_id": f"{other.get('thread_id', 't')}{seq:03}",
        "tenant_id": "default",
        "source": "whatsapp",
        "thread_id": "t",
        "seq": seq,
        "ts": NOON + dt.timedelta(minutes=seq),
        "author_id": alias,
        "alias": alias,
        "kind": "text" if alias else "system",
        "text": text,
        "attachment": None,
        "media_type": None,
        "edited": False,
        "attrs": "{}",
        **other,
    }


def enriched(rows: list[dict[str, Any]], context: StageContext | None = None, **config: Any) -> list[dict[str, Any]]:
    """What the stage makes of messages."""
    connection = ibis.duckdb.connect()
    connection.con.register("messages", pa.Table.from_pylist(rows, schema=MESSAGES.arrow()))
    result = enrich(
        connection.table("messages"),
        Config(enrich=EnrichConfig(**config)),
        run_id="run",
        context=context or StageContext(Path()),
    )
    rows_out: list[dict[str, Any]] = result.read_all().cast(ENRICHED.arrow()).to_pylist()
    return rows_out


def test_the_stage_declares_what_it_reads() -> None:
    """The result depends on `enrich` of the configuration and on the version of Pillow."""
    assert (STAGE.name, STAGE.output, STAGE.config_keys, STAGE.distributions) == (
        "enrich",
        ENRICHED,
        ("enrich",),
        ("pillow",),
    )


def test_no_messages_give_an_empty_table() -> None:
    """A chat with nothing in it is no error."""
    assert enriched([]) == []


def test_rows_come_back_as_they_were_and_in_the_order_of_the_chat() -> None:
    """Each message keeps its columns; the order of input rows changes nothing."""
    rows = [message(n, "Amber Heron" if n % 2 else "Quiet Otter", f"what about the boat number {n}?") for n in range(9)]
    shuffled = random.Random(5).sample(rows, len(rows))
    result = enriched(shuffled)
    assert [{name: row[name] for name in MESSAGES.names} for row in result] == rows
    assert result == enriched(rows)


# Links


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("nothing here: http, www and 3.5", []),
        (
            "see https://www.example.org/2024/03/the-lake-house-12345678.html?utm_source=x&id=3&fbclid=1.",
            [
                (
                    "https://www.example.org/2024/03/the-lake-house-12345678.html?id=3",
                    "example.org",
                    "The lake house",
                    "article",
                )
            ],
        ),
        ("www.example.com, yes", [("https://www.example.com", "example.com", "example.com", "other")]),
        ("Www.example.com!", [("https://www.example.com", "example.com", "example.com", "other")]),
        (
            "(https://en.wikipedia.org/wiki/Otter_(animal))",
            [("https://en.wikipedia.org/wiki/Otter_%28animal%29", "en.wikipedia.org", "Otter (animal)", "article")],
        ),
        (
            "https://pt.wikipedia.org/wiki/P%C3%A3o_de_queijo",
            [("https://pt.wikipedia.org/wiki/P%C3%A3o_de_queijo", "pt.wikipedia.org", "Pão de queijo", "article")],
        ),
        (
            "https://example.com/pão",
            [("https://example.com/p%C3%A3o", "example.com", "Pão", "other")],
        ),
        (
            "https://www.youtube.com/watch?v=a1B2c3D4e5F&feature=share",
            [("https://www.youtube.com/watch?v=a1B2c3D4e5F", "youtube.com", "youtube.com", "video")],
        ),
        ("https://youtu.be/qwertyuiop?si=Z", [("https://youtu.be/qwertyuiop", "youtu.be", "youtu.be", "video")]),
        (
            "https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC?si=9",
            [
                (
                    "https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC",
                    "open.spotify.com",
                    "open.spotify.com",
                    "music",
                )
            ],
        ),
        (
            "https://github.com/example/boats/issues/12",
            [("https://github.com/example/boats/issues/12", "github.com", "example/boats", "code")],
        ),
        (
            "https://x.com/somebody/status/123456",
            [("https://x.com/somebody/status/123456", "x.com", "x.com", "social")],
        ),
        (
            "https://www.google.com/maps/place/Old+Mill/@1.0,2.0,15z",
            [("https://www.google.com/maps/place/Old+Mill/@1.0,2.0,15z", "google.com", "Old Mill", "map")],
        ),
        (
            "https://duckduckgo.com/?q=red+canoe&t=h",
            [("https://duckduckgo.com/?q=red+canoe&t=h", "duckduckgo.com", "red canoe", "other")],
        ),
        (
            "https://example.org/files/Rental_agreement.pdf",
            [("https://example.org/files/Rental_agreement.pdf", "example.org", "Rental agreement", "document")],
        ),
        (
            "https://www.amazon.com.br/dp/B0ABCDEF12?ref_=x&pf_rd_p=1",
            [("https://www.amazon.com.br/dp/B0ABCDEF12?ref_=x", "amazon.com.br", "amazon.com.br", "shop")],
        ),
        ("*https://example.com/a*", [("https://example.com/a", "example.com", "example.com", "other")]),
        (
            "https://example.com/a https://example.com/b https://example.com/a",
            [
                ("https://example.com/a", "example.com", "example.com", "other"),
                ("https://example.com/b", "example.com", "example.com", "other"),
            ],
        ),
        # Names in other scripts are shown as they are, but not where they could be taken for another name.
        ("http://bücher.de/x", [("http://xn--bcher-kva.de/x", "bücher.de", "bücher.de", "other")]),
        ("http://пример.рф", [("http://xn--e1afmkfd.xn--p1ai", "пример.рф", "пример.рф", "other")]),
        ("http://аррӏе.com", [("http://xn--80ak6aa92e.com", "xn--80ak6aa92e.com", "xn--80ak6aa92e.com", "other")]),
        # An address ends where a character would change how the rest is shown.
        ("https://example.com/a\u202ecod.exe", [("https://example.com/a", "example.com", "example.com", "other")]),
        ("https://example.com/<script>", [("https://example.com/", "example.com", "example.com", "other")]),
        (
            "https://example.com/%0d%0aset-a-trap",
            [("https://example.com/%0d%0aset-a-trap", "example.com", "Set a trap", "other")],
        ),
        # Not links.
        ("javascript:alert(1)", []),
        ("data:text/html,<b>x</b> file:///etc/passwd ftp://example.com/x", []),
        ("https://user:secret@example.com/", []),
        ("https://example.com\\@evil.example/", []),
        ("http://127.0.0.1/ http://2130706433/ http://[::1]/ http://localhost/", []),
        ("http://example.com:99999/", []),
        ("https:// http://. https://-a.com https://a..com", []),
        ("https://example.com/" + "a" * 3000, []),
        ("https://example.com/" + ")" * 100_000, []),
    ],
)
def test_links(text: str, links: list[tuple[str, ...]]) -> None:
    """Web addresses are found, cleaned, named from their own text and sorted by kind; hostile ones aren't links."""
    assert [tuple(link) for link in find_links(text)] == links


PIECES = st.sampled_from(
    [
        "http://",
        "https://",
        "www.",
        "a.com",
        "é.pt",
        "/",
        "?",
        "&utm_x=1",
        "#",
        "@",
        ":",
        "%",
        "%2",
        "(",
        ")",
        "[",
        "]",
        "\\",
        ".",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join))
def test_any_text_gives_only_web_links(text: str) -> None:
    """Nothing crashes, and what comes out is ASCII, http or https, with a host, and safe inside Markdown."""
    for link in find_links(text):
        parts = urlsplit(link.url)
        assert parts.scheme in ("http", "https")
        assert parts.hostname
        assert not parts.username
        assert link.url.isascii()
        assert link.url.isprintable()
        assert not set(link.url) & set(" ()<>[]\"'`\\")
        assert "utm_" not in parts.query
        assert link.title.isprintable()
        assert link.title
        assert find_links(link.url) == [link] or link.url[-1] in ".,;:!?*~|_"


@settings(deadline=None)
@given(st.text())
def test_text_without_links_has_none(text: str) -> None:
    """What counts words doesn't count parts of addresses."""
    assert find_links(without_links(text)) == []


def test_links_are_in_the_table() -> None:
    """One list for each message, empty where there is nothing."""
    rows = enriched([message(0, "Amber Heron", "look: www.example.com/red-canoe"), message(1, "Amber Heron", "nice")])
    assert [row["links"] for row in rows] == [
        [
            {
                "url": "https://www.example.com/red-canoe",
                "site": "example.com",
                "title": "Red canoe",
                "kind": "other",
                "description": None,
            }
        ],
        [],
    ]


# Language

ENGLISH = """
My bike broke on the way to the market
Can you pick up some bread?
That film was terrible
We should have left earlier
Who took my umbrella
Count me in
The kids are asleep
Let me check with my boss
I can't hear anything in here
Better than the last one
Is the shop open on Monday?
He never answers his phone
It was freezing up there
Save me a seat
What's for lunch
They moved the meeting to Thursday
You won't believe this
Nobody told us about the bridge
Send the address please
The soup needs more salt
Where did you park
We are almost there
Don't forget the tickets
I will be ten minutes late
Looks like a storm
Yes, of course
Which platform?
My turn to cook
Such a lovely day
The neighbours complained again
""".strip().splitlines()
PORTUGUESE = """
Minha bicicleta quebrou no caminho da feira
Você pode comprar pão?
Aquele filme era péssimo
A gente devia ter saído mais cedo
Quem pegou meu guarda-chuva
Pode contar comigo
As crianças já estão dormindo
Deixa eu ver com a minha chefe
Não escuto nada aqui dentro
Melhor que o anterior
A loja abre na segunda?
Ele nunca atende o telefone
Estava um gelo lá em cima
Guarda um lugar pra mim
O que tem pro almoço
Mudaram a reunião para quinta
Vocês não vão acreditar
Ninguém avisou da ponte
Manda o endereço por favor
Falta sal nessa sopa
Onde você estacionou
Estamos quase chegando
Não esqueçam os ingressos
Vou atrasar dez minutos
Parece que vem chuva
Sim, claro
Qual plataforma?
Minha vez de cozinhar
Que dia lindo
Os vizinhos reclamaram de novo
""".strip().splitlines()


def languages_of(texts: list[str]) -> list[str | None]:
    """The language that the stage tells for each message of one chat."""
    return [row["language"] for row in enriched([message(n, "Amber Heron", text) for n, text in enumerate(texts)])]


def test_english_and_portuguese_are_told_apart_in_a_mixed_chat() -> None:
    """Of short messages in turns, nine in ten get their language, and at most one in thirty a wrong one."""
    known = [pair for both in zip(ENGLISH, PORTUGUESE, strict=True) for pair in zip(("en", "pt"), both, strict=True)]
    told = languages_of([text for _, text in known])
    right = sum(language == expected for language, (expected, _) in zip(told, known, strict=True))
    wrong = sum(language not in (expected, None) for language, (expected, _) in zip(told, known, strict=True))
    assert right >= 0.9 * len(known)
    assert wrong <= len(known) / 30


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("es", "¿Dónde están ustedes? Yo ya llegué a la casa y hay mucha gente"),
        ("fr", "Je ne sais pas si nous avons assez de pain pour demain"),
        ("de", "Wir haben das Haus für nächste Woche noch nicht gebucht"),
        ("it", "Non so se abbiamo ancora tempo per andare al mare oggi"),
        ("nl", "Ik weet niet of we nog genoeg brood hebben voor morgen"),
        ("ru", "Кто-нибудь знает, когда мы встречаемся"),
        ("uk", "Хто знає, коли ми зустрічаємося і де"),
        ("el", "Πού θα βρεθούμε αύριο"),
        ("ar", "متى نلتقي غدا"),
        ("he", "מתי נפגשים מחר"),
        ("hi", "कल हम कब मिलेंगे"),
        ("ja", "明日は何時に会いますか"),
        ("ko", "내일 몇 시에 만나요"),
        ("zh", "我们明天几点见面，你们知道吗"),
        (None, "👍"),
        (None, ""),
        (None, "12:30"),
        (None, "https://example.com/the-house-that-was-there"),
        (None, "Zork"),
    ],
)
def test_one_message(language: str | None, text: str) -> None:
    """A sentence is enough; numbers, emoji, links and unknown words tell nothing."""
    assert languages_of([text]) == [language]


def test_a_few_words_of_two_languages_go_to_the_one_that_the_chat_speaks() -> None:
    """`para todos` is Portuguese or Spanish, and laughing with a `k` little of anything, but in a Portuguese chat."""
    assert languages_of(["para todos", "kkkkkkk"]) == [None, None]
    assert languages_of(["para todos", "kkkkkkk", *PORTUGUESE])[:2] == ["pt", "pt"]


def test_very_long_messages_do_not_spill_over() -> None:
    """Points of a language don't run into the next one's, however long the message is."""
    words = Words(pa.array(["the " * 10_000, "что " * 10_000, "não ção " * 10_000]))
    told = Tongues().decide(Evidence().of(words), pa.array([True, True, True]))
    assert told.to_pylist() == ["en", "ru", "pt"]


# Replies

PEOPLE = {"A": "Amber Heron", "O": "Quiet Otter", "F": "Blue Finch", "L": "Silver Lynx"}


@pytest.mark.parametrize(
    ("chat", "answered"),
    [
        # 1. Addressed.
        (["A: the boat is red", "O: I painted the fence", "F: @Amber Heron well done"], [None, None, 0]),
        (["A: the boat is red", "O: I painted the fence", "F: Amber Heron, well done"], [None, None, 0]),
        (["A: the boat is red", "O: I painted the fence", "F: well done, Amber Heron!"], [None, None, 0]),
        (["A: the boat is red", "O: Amber Heron painted it"], [None, None]),
        (["A: the boat is red", "O: the boat?", "F: @Amber Heron @Quiet Otter hello"], [None, 0, None]),
        (["A: the boat is red", "O: @Silver Lynx are you there?"], [None, None]),
        # 2. Reactions.
        (["A: the boat is red", "O: 👍", "F: haha", "L: kkkkk"], [None, 0, 0, 0]),
        (["A: the boat is red", "A: lol"], [None, None]),
        (["A: the boat is red", "O: https://example.com/fence"], [None, None]),
        (["A: o barco é vermelho", "O: sim!"], [None, 0]),
        (["A: who has the key?", "O: not me, Silver took it home", "F: me neither", "L: me"], [None, 0, 0, 0]),
        (["A: gone", "-: somebody left", "O: wow"], [None, None, 0]),
        # 3. Answers.
        (["A: who has the key?", "O: it is under the mat"], [None, 0]),
        (["A: who has the key?", "A: I need it now", "O: under the mat"], [None, None, 0]),
        (["A: who has the key?", "O: under the mat", "F: I saw it there too"], [None, 0, 0]),
        (["A: who has the key?", "O: under the mat", "F: lunch is ready"], [None, 0, None]),
        (["A: see www.example.com/?a=1", "O: lunch is ready"], [None, None]),
        (["A: who has the key?", "O: under the mat", "A: on my way", "F: I am late"], [None, 0, None, None]),
        (["A: where is it?", "O: www.example.com/map"], [None, 0]),
        # 4. The same matter.
        (["A: the canoe has a hole", "O: lunch is ready", "F: that canoe was cheap"], [None, None, 0]),
        (["A: the canoe has a hole", "A: my canoe is old"], [None, None]),
        # 5. Taking up.
        (["A: the boat is red", "O: but it leaks"], [None, 0]),
        (["A: the boat is red", "O: lunch is ready"], [None, None]),
    ],
)
def test_replies(chat: list[str], answered: list[int | None]) -> None:
    """Who answers whom, rule by rule."""
    rows = []
    for seq, line in enumerate(chat):
        person, _, text = line.partition(": ")
        rows.append(message(seq, PEOPLE.get(person), text))
    # Everybody has been heard of before, long ago.
    for number, alias in enumerate(PEOPLE.values()):
        rows.append(message(number, alias, "", thread_id="s", ts=NOON - dt.timedelta(days=9)))
    replies = [row["reply_to"] for row in enriched(rows) if row["thread_id"] == "t"]
    assert replies == [None if seq is None else f"t{seq:03}" for seq in answered]


def test_an_answer_in_time_only() -> None:
    """`reply_minutes` bounds how long a question waits."""
    rows = [
        message(0, "Amber Heron", "who has the key?"),
        message(1, "Quiet Otter", "under the mat", ts=NOON + dt.timedelta(minutes=31)),
    ]
    assert [row["reply_to"] for row in enriched(rows, reply_minutes=30)] == [None, None]
    assert [row["reply_to"] for row in enriched(rows, reply_minutes=31)] == [None, "t000"]


def test_a_deleted_message_is_answered_by_nobody() -> None:
    """What was there can't be known, so neither can what a reaction to it is about."""
    rows = [
        message(0, "Amber Heron", "the boat is red"),
        message(1, "Quiet Otter", "", kind="deleted"),
        message(2, "Blue Finch", "haha"),
    ]
    assert [row["reply_to"] for row in enriched(rows)] == [None, None, None]


TALK = st.lists(
    st.tuples(
        st.sampled_from([*PEOPLE.values(), None]),
        st.sampled_from(["haha", "who has the key?", "the key is here", "@Amber Heron no", "but why", "", "sim", "👍"]),
        st.sampled_from("tu"),
        st.integers(-5, 40),
        st.sampled_from(["text", "deleted", "media"]),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(TALK)
def test_an_answer_is_to_somebody_else_earlier_in_the_same_chat(talk: list[Any]) -> None:
    """Whatever is said: never to oneself, a later message, another chat, a notice, or something too old."""
    rows, now = [], NOON
    for seq, (alias, text, thread, minutes, kind) in enumerate(talk):
        now += dt.timedelta(minutes=minutes)
        row = message(seq, alias, text, thread_id=thread, ts=now)
        rows.append({**row, "kind": kind if alias else "system"})
    result = enriched(rows, reply_minutes=30)
    by_id = {row["event_id"]: row for row in result}
    for row in result:
        if row["reply_to"] is not None:
            other = by_id[row["reply_to"]]
            assert other["thread_id"] == row["thread_id"]
            assert other["seq"] < row["seq"]
            assert other["alias"] not in (row["alias"], None)
            assert dt.timedelta() <= row["ts"] - other["ts"] <= dt.timedelta(minutes=30)
            assert row["kind"] != "system"


def test_a_long_chat_keeps_little() -> None:
    """From chunk to chunk only the last messages and everybody's last are kept, questions that answer questions too."""
    replies = Replies(60, Dictionary(["Amber Heron", "Quiet Otter"]))
    for start in range(0, 5_000, 100):
        rows = [message(n, "Amber Heron" if n % 2 else "Quiet Otter", "why is that so?") for n in range(100)]
        batch = pa.RecordBatch.from_pylist(
            [{**row, "event_id": str(start + n)} for n, row in enumerate(rows)], schema=MESSAGES.arrow()
        )
        found = replies.of(batch, Words(batch.column("text"))).to_pylist()
        assert found[1:] == [str(start + n) for n in range(99)]
    assert len(replies._who) <= 2 * LOOK_BACK + 2


@settings(max_examples=25, deadline=None)
@given(TALK, st.integers(1, 7))
def test_chunks_change_no_answer(talk: list[Any], size: int) -> None:
    """What is answered doesn't depend on how many messages come together."""
    rows = [
        message(seq, alias, text, kind=kind if alias else "system", ts=NOON + dt.timedelta(minutes=seq))
        for seq, (alias, text, _, _, kind) in enumerate(talk)
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=MESSAGES.arrow())
    answers = []
    for step in (size, len(rows) or 1):
        replies = Replies(30, Dictionary(PEOPLE.values()))
        chunks = [batch.slice(start, step) for start in range(0, len(rows), step)]
        answers.append([one for chunk in chunks for one in replies.of(chunk, Words(chunk.column("text"))).to_pylist()])
    assert answers[0] == answers[1]


# Media


def photo(size: tuple[int, int] = (64, 32), **save: Any) -> bytes:
    """A JPEG that a phone could have made, red on its left half and blue on its right."""
    picture = Image.new("RGB", size, "blue")
    picture.paste("red", (0, 0, size[0] // 2, size[1]))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=95, **save)
    return data.getvalue()


def telling_exif(orientation: int = 1) -> Image.Exif:
    """EXIF that says where, when and with what."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "TellingCamera"
    exif[0x010E] = "TellingDescription"
    exif.get_ifd(0x8769)[0x9003] = "2024:03:04 12:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 12.34), 3: "W", 4: (0.0, 7.0, 40.0), 29: "2024:03:04"})
    return exif


TELLING = [b"Telling", b"Exif", b"2024:03:04", b"http://ns.adobe.com", b"ICC", b"Photoshop", b"<x:xmpmeta"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">TellingXmp</x:xmpmeta>'


def telling_pictures() -> dict[str, bytes]:
    """Pictures of several formats, full of metadata."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    everything = {"exif": telling_exif(), "xmp": XMP, "icc_profile": srgb}
    picture = Image.new("RGBA", (40, 20), (0, 128, 0, 90))
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", "TellingAuthor")
    notes.add_itxt("XML:com.adobe.xmp", XMP.decode())
    png, webp, gif = io.BytesIO(), io.BytesIO(), io.BytesIO()
    picture.save(png, "PNG", pnginfo=notes, exif=telling_exif(), icc_profile=srgb)
    picture.save(webp, "WEBP", **everything)
    picture.convert("P").save(gif, "GIF", comment=b"TellingComment")
    return {
        "jpeg": photo(**everything, comment=b"TellingComment") + b"TellingTrailer",
        "png": png.getvalue() + b"TellingTrailer",
        "webp": webp.getvalue(),
        "gif": gif.getvalue(),
    }


def exported(tmp_path: Path, members: dict[str, bytes], *more: dict[str, bytes]) -> StageContext:
    """A context with exports that hold these members."""
    paths = []
    for number, files in enumerate((members, *more)):
        path = tmp_path / f"export-{number}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        paths.append(path)
    return StageContext(tmp_path / "site", inputs={"exports": Files(tuple(paths))})


def with_member(seq: int, export: Any, member: Any) -> dict[str, Any]:
    """A message with an attachment."""
    return message(seq, "Amber Heron", "", kind="media", attrs=json.dumps({"member": [export, member]}))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif"])
def test_nothing_of_the_metadata_survives(tmp_path: Path, kind: str) -> None:
    """Neither when the picture is opened again nor anywhere in the bytes, thumbnail included."""
    source = telling_pictures()[kind]
    assert b"Telling" in source
    context = exported(tmp_path, {"chat.txt": b"x", "IMG-20240304-WA0001.jpg": source})
    (row,) = enriched([with_member(0, 0, 1)], context)
    for blob in (row["media"]["blob"], row["media"]["thumbnail"]):
        data = context.get_blob(blob)
        assert [word for word in TELLING if word in data] == []
        with Image.open(io.BytesIO(data)) as opened:
            opened.load()
            assert dict(opened.getexif()) == {}
            assert set(opened.info) <= {
                "jfif",
                "jfif_version",
                "jfif_unit",
                "jfif_density",
                "loop",
                "background",
                "timestamp",
                "duration",
            }
            assert opened.width == 2 * opened.height
    assert row["media"]["mime"] == ("image/jpeg" if kind == "jpeg" else "image/webp")
    assert row["media"]["bytes"] == len(context.get_blob(row["media"]["blob"]))


def test_pictures_are_upright(tmp_path: Path) -> None:
    """A phone held upright stores the picture on its side and says so in EXIF: that must not get lost."""
    context = exported(tmp_path, {"a.jpg": photo((64, 32), exif=telling_exif(orientation=6))})
    (row,) = enriched([with_member(0, 0, 0)], context)
    assert (row["media"]["width"], row["media"]["height"]) == (32, 64)
    with Image.open(io.BytesIO(context.get_blob(row["media"]["blob"]))) as opened:
        red, _, blue = opened.convert("RGB").getpixel((16, 8))
        assert red > 200 > 50 > blue


def test_sizes_are_capped(tmp_path: Path) -> None:
    """A large picture becomes smaller, its thumbnail as small as the configuration says; small ones aren't enlarged."""
    context = exported(tmp_path, {"a.jpg": photo((4000, 3000)), "b.jpg": photo((40, 30))})
    large, small = (
        row["media"] for row in enriched([with_member(0, 0, 0), with_member(1, 0, 1)], context, thumbnail_pixels=100)
    )
    assert (large["width"], large["height"]) == (LONGEST_SIDE, LONGEST_SIDE * 3 // 4)
    assert (small["width"], small["height"]) == (40, 30)
    sizes = [Image.open(io.BytesIO(context.get_blob(medium["thumbnail"]))).size for medium in (large, small)]
    assert sizes == [(100, 75), (40, 30)]


def test_the_same_bytes_are_one_blob_and_runs_agree(tmp_path: Path) -> None:
    """A picture that was sent twice is kept once, and working on it again gives the same bytes."""
    context = exported(tmp_path, {"a.jpg": photo(), "b.jpg": photo()}, {"c.jpg": photo()})
    rows = [with_member(0, 0, 0), with_member(1, 0, 1), with_member(2, 1, 0)]
    media = [row["media"] for row in enriched(rows, context)]
    assert media[0] == media[1] == media[2]
    assert len(context.blobs) == 2
    again = StageContext(tmp_path / "again", inputs=context.inputs)
    assert [row["media"] for row in enriched(rows, again)] == media
    assert again.blobs == context.blobs


class Listening(StageContext):
    """A context that keeps what is logged."""

    def log(self, message: str, level: str = "info") -> None:
        self.__dict__.setdefault("lines", []).append((level, message))


def test_what_can_not_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    """Broken and missing files give no medium, and the warning has no name in it."""
    bomb = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(bomb, "PNG")
    members = {
        "Amber.jpg": photo()[:300],
        "bomb.png": bomb.getvalue(),
        "good.jpg": photo(),
        "fake.jpg": b"\xff\xd8\xff" + b"no picture" * 20,
    }
    context = exported(tmp_path, members)
    listening = Listening(context.directory, inputs=context.inputs)
    rows = [
        with_member(n, *member) for n, member in enumerate([(0, 0), (0, 1), (0, 2), (0, 3), (0, 99), (7, 0), (0, -1)])
    ]
    media = [row["media"] for row in enriched(rows, listening)]
    assert [medium is not None for medium in media] == [False, False, True, False, False, False, False]
    assert listening.__dict__["lines"] == [("warning", "6 attachments can't be read and are left out")]


def test_an_export_that_is_gone_costs_its_media_only(tmp_path: Path) -> None:
    """The messages are still there; the other export's pictures too."""
    context = exported(tmp_path, {"a.jpg": photo()}, {"b.jpg": photo()})
    context.inputs["exports"].paths[0].unlink()
    rows = [with_member(0, 0, 0), with_member(1, 0, 0), with_member(2, 1, 0)]
    assert [row["media"] is not None for row in enriched(rows, context)] == [False, False, True]


@pytest.mark.parametrize(
    "attrs",
    [
        "{}",
        '{"member":"x"}',
        '{"member":[0]}',
        '{"member":[true,0]}',
        '{"question":"\\"member\\""}',
        '{"member":[0.0,0]}',
    ],
)
def test_what_is_no_member_is_no_medium(tmp_path: Path, attrs: str) -> None:
    """Only a pair of whole numbers points to a member."""
    context = exported(tmp_path, {"a.jpg": photo()})
    assert enriched([message(0, "Amber Heron", "", attrs=attrs)], context)[0]["media"] is None


def test_without_exports_there_are_no_media() -> None:
    """The stage works on messages alone, as when it is called by hand."""
    assert enriched([with_member(0, 0, 0)])[0]["media"] is None


def test_other_files_are_told_by_their_content(tmp_path: Path) -> None:
    """They don't go on the site; type and size are told, whatever the name says."""
    context = exported(tmp_path, {"a.jpg": b"%PDF-1.7 and so on", "b.opus": b"OggS" + bytes(96), "c.mp3": b"plain"})
    media = [row["media"] for row in enriched([with_member(n, 0, n) for n in range(3)], context)]
    nothing = {"blob": None, "thumbnail": None, "width": None, "height": None, "description": None}
    assert media == [
        {**nothing, "mime": "application/pdf", "bytes": 18},
        {**nothing, "mime": "audio/ogg", "bytes": 100},
        {**nothing, "mime": "application/octet-stream", "bytes": 5},
    ]
    assert context.blobs == {}


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["jpeg", "png", "webp", "gif"]), st.randoms(use_true_random=False))
def test_damaged_pictures_crash_nothing(kind: str, random: random.Random) -> None:
    """A file with some bytes changed or cut off is a picture or none, never an exception."""
    data = bytearray(PICTURES[kind])
    for _ in range(random.randint(1, 20)):
        data[random.randrange(12, len(data))] = random.randrange(256)
    clean_picture(bytes(data[: random.randint(20, len(data))]), mime_of(bytes(data)), 64)


PICTURES = telling_pictures()
