"""WhatsApp exports: every header style, every kind of body, nothing lost."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egregora.config import ParseConfig
from egregora.errors import ExportError
from egregora.sources.archive import open_archive
from egregora.sources.whatsapp import SOURCE, headers, read_export, records
from egregora.testing import STYLES, chat_lines, zip_of


def read(path: Path, block_bytes: int = 1 << 20, **config: Any) -> tuple[list[dict[str, Any]], Any]:
    with open_archive(path) as archive:
        reading = read_export(archive, ParseConfig(**config), block_bytes=block_bytes)
        batches = [batch for batch in reading.batches if len(batch)]
        return [row for batch in batches for row in batch.to_pylist()], reading


def read_text(tmp_path: Path, text: str, **config: Any) -> list[dict[str, Any]]:
    path = tmp_path / "chat.txt"
    path.write_bytes(text.encode())
    return read(path, **config)[0]


def short(row: dict[str, Any]) -> tuple[Any, ...]:
    return str(row["ts"]), row["author_raw"], row["kind"], row["text"]


# The same two messages, 5 October 2023, 21:07 (and :45 where seconds are shown), in every family of headers.
FAMILIES = {
    "android 24 h": "05/10/2023, 21:07 - N: t\n28/10/2023, 21:08 - M: u\n",
    "android, no comma": "05/10/2023 21:07 - N: t\n28/10/2023 21:08 - M: u\n",
    "android, year of two digits": "05/10/23, 21:07 - N: t\n28/10/23, 21:08 - M: u\n",
    "android 12 h": "10/5/23, 9:07\u202fPM - N: t\n10/28/23, 9:08\u202fPM - M: u\n",
    "android 12 h, plain space, lower": "10/5/23, 9:07 pm - N: t\n10/28/23, 9:08 pm - M: u\n",
    "spanish 12 h": "5/10/23, 9:07 p.\u00a0m. - N: t\n28/10/23, 9:08 p.\u00a0m. - M: u\n",
    "spanish 12 h, narrow": "5/10/23, 9:07\u202fp.\u202fm. - N: t\n28/10/23, 9:08\u202fp.\u202fm. - M: u\n",
    "12 h with dots": "5/10/23, 9:07 p.m. - N: t\n28/10/23, 9:08 p.m. - M: u\n",
    "german": "05.10.23, 21:07 - N: t\n28.10.23, 21:08 - M: u\n",
    "dash": "05-10-2023, 21:07 - N: t\n28-10-2023, 21:08 - M: u\n",
    "dash, no comma": "05-10-2023 21:07 - N: t\n28-10-2023 21:08 - M: u\n",
    "iso": "2023-10-05, 21:07 - N: t\n2023-10-28, 21:08 - M: u\n",
    "slashes, year first, 12 h": "2023/10/05, 09:07 pm - N: t\n2023/10/28, 09:08 pm - M: u\n",
    "finnish": "5.10.2023 klo 21.07.45 - N: t\n28.10.2023 klo 21.08.45 - M: u\n",
    "indonesian": "05/10/23 21.07 - N: t\n28/10/23 21.08 - M: u\n",
    "slavic spaces": "5. 10. 2023. 21:07:45 N: t\n28. 10. 2023. 21:08:45 M: u\n",
    "slavic with dash": "5. 10. 2023. 21:07 - N: t\n28. 10. 2023. 21:08 - M: u\n",
    "ios 24 h": "[05/10/2023, 21:07:45] N: t\n[28/10/2023, 21:08:45] M: u\n",
    "ios, no comma": "[05/10/2023 21:07:45] N: t\n[28/10/2023 21:08:45] M: u\n",
    "ios dots": "[05.10.23, 21:07:45] N: t\n[28.10.23, 21:08:45] M: u\n",
    "ios, month first with dashes": "[10-05-2023, 21:07:45] N: t\n[10-28-2023, 21:08:45] M: u\n",
    "ios 12 h": "[10/5/23, 9:07:45\u202fPM] N: t\n[10/28/23, 9:08:45\u202fPM] M: u\n",
    "ios 12 h, thin space": "[10/5/23, 9:07:45\u2009PM] N: t\n[10/28/23, 9:08:45\u2009PM] M: u\n",
    "ios 12 h, dots": "[05.10.23, 9:07:45 PM] N: t\n[28.10.23, 9:08:45 PM] M: u\n",
    "ios with marks": "\u200e[05/10/2023, 21:07:45] N: t\n\u200e[28/10/2023, 21:08:45] \u200eM: u\n",
    "year in the middle": "[10/2023/05, 21:07:45] N: t\n[10/2023/28, 21:08:45] M: u\n",
    "chinese, before": "[2023/10/5 下午9:07:45] N: t\n[2023/10/28 下午9:08:45] M: u\n",
    "chinese, after": "2023/10/5, 9:07 下午 - N: t\n2023/10/28, 9:08 下午 - M: u\n",
    "japanese": "2023/10/05 午後9:07 - N: t\n2023/10/28 午後9:08 - M: u\n",
    "korean": "2023. 10. 5. 오후 9:07 - N: t\n2023. 10. 28. 오후 9:08 - M: u\n",
    "chinese 24 h": "[2023/10/5 21:07:45] N: t\n[2023/10/28 21:08:45] M: u\n",
    "tamil, before": "05/10/23, பிற்பகல் 9:07 - N: t\n28/10/23, பிற்பகல் 9:08 - M: u\n",
    "no space before the word": "10/5/23, 9:07pm - N: t\n10/28/23, 9:08pm - M: u\n",
    "nothing after the bracket": "[05/10/2023, 21:07:45]N: t\n[28/10/2023, 21:08:45]M: u\n",
    "with a word between": "05.10.23 um 21:07 - N: t\n28.10.23 um 21:08 - M: u\n",
    "clock with h": "05/10/2023, 21h07 - N: t\n28/10/2023, 21h08 - M: u\n",
    "arabic iphone": "[٥‏/١٠‏/٢٠٢٣ ٩:٠٧:٤٥ م] N: t\n[٢٨‏/١٠‏/٢٠٢٣ ٩:٠٨:٤٥ م] M: u\n",
    "arabic": "٥\u200f/١٠\u200f/٢٠٢٣، ٩:٠٧ م - N: t\n٢٨\u200f/١٠\u200f/٢٠٢٣، ٩:٠٨ م - M: u\n",
    "persian": "۲۰۲۳/۱۰/۵، ۲۱:۰۷ - N: t\n۲۰۲۳/۱۰/۲۸، ۲۱:۰۸ - M: u\n",
    "devanagari digits": "०५/१०/२०२३, २१:०७ - N: t\n२८/१०/२०२३, २१:०८ - M: u\n",
    "old iphone": "05/10/2023 21:07:45: N: t\n28/10/2023 21:08:45: M: u\n",
    "old iphone 12 h": "10/5/23, 9:07:45 PM: N: t\n10/28/23, 9:08:45 PM: M: u\n",
    "viewer": "05.10.2023 - 21:07:45; N: t\n28.10.2023 - 21:08:45; M: u\n",
    "swedish, year first with two digits": "23-10-05, 21:07 - N: t\n23-10-28, 21:08 - M: u\n",
    "thai calendar": "5/10/2566 21:07 - N: t\n28/10/2566 21:08 - M: u\n",
    "byte order mark": "\ufeff05/10/2023, 21:07 - N: t\n28/10/2023, 21:08 - M: u\n",
    "carriage returns": "05/10/2023, 21:07 - N: t\r\n28/10/2023, 21:08 - M: u\r\n",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_family_of_headers(tmp_path: Path, family: str) -> None:
    """Each family gives the same two messages, found without any setting."""
    text = FAMILIES[family]
    seconds = "45" if any(mark in text for mark in (":45", ".45", ":٤٥")) else "00"
    assert [short(row) for row in read_text(tmp_path, text)] == [
        (f"2023-10-05 21:07:{seconds}", "N", "text", "t"),
        (f"2023-10-28 21:08:{seconds}", "M", "text", "u"),
    ]


# text of a chat → expected order, evidence (part), ambiguous
ORDERS = {
    "a field above 12, late in the file": (
        "".join(f"05/0{i}/23, 10:00 - N: t\n" for i in range(1, 9)) + "05/28/23, 10:00 - N: t\n",
        ("mdy", "second field", "no"),
    ),
    "time runs forwards": (
        "01/02/23, 10:00 - N: t\n02/02/23, 10:00 - N: t\n03/02/23, 10:00 - N: t\n01/03/23, 10:00 - N: t\n",
        ("dmy", "forwards", "no"),
    ),
    "month first by time": (
        "01/10/23, 10:00 - N: t\n01/11/23, 10:00 - N: t\n02/01/23, 10:00 - N: t\n02/02/23, 10:00 - N: t\n",
        ("mdy", "forwards", "no"),
    ),
    "attachment's name": (
        "05/02/23, 10:00 - N: IMG-20230502-WA0001.jpg (file attached)\n",
        ("mdy", "attachments", "no"),
    ),
    "iphone attachment's name": (
        "[05/02/23, 10:00:00] N: \u200e<attached: 00000004-PHOTO-2023-02-05-10-00-00.jpg>\n",
        ("dmy", "attachments", "no"),
    ),
    "year first in two digits": (
        "23-10-30, 10:00 - N: t\n23-10-31, 10:00 - N: t\n23-11-09, 10:00 - N: t\n",
        ("ymd", "year first", "no"),
    ),
    "a year that can't be": ("23-10-05, 10:00 - N: t\n", ("ymd", "can't be a year", "no")),
    "dots": ("05.02.23, 10:00 - N: t\n", ("dmy", "dots", "no")),
    "which field varies": ("05/02/23, 10:00 - N: t\n06/02/23, 10:00 - N: t\n", ("dmy", "changes more often", "no")),
    "nothing but 12 hours": ("05/02/23, 10:00 AM - N: t\n", ("mdy", "12-hour", "yes")),
    "nothing at all": ("05/02/23, 10:00 - N: t\n", ("dmy", "24-hour", "yes")),
}


@pytest.mark.parametrize("case", ORDERS)
def test_order_of_day_and_month(tmp_path: Path, case: str) -> None:
    """One order for the whole file, by the first proof there is, and a guess is called one."""
    text, (order, evidence, ambiguous) = ORDERS[case]
    path = tmp_path / "chat.txt"
    path.write_text(text)
    decided = read(path)[1].decided
    assert (decided["date order"], decided["ambiguous"]) == (order, ambiguous)
    assert evidence in decided["evidence"]


def test_configured_order_wins(tmp_path: Path) -> None:
    """`parse.date_order` is obeyed without looking at the file."""
    rows = read_text(tmp_path, "05/02/23, 10:00 - N: t\n", date_order="mdy")
    assert str(rows[0]["ts"]) == "2023-05-02 10:00:00"


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("hello", {"kind": "text", "text": "hello"}),
    "attached, android": (
        "IMG-20240105-WA0003.jpg (file attached)",
        {"kind": "media", "text": "", "attachment": "IMG-20240105-WA0003.jpg", "media_type": "image"},
    ),
    "attached with caption": (
        "VID-20240105-WA0003.mp4 (arquivo anexado)\nlook at this\nand that",
        {
            "kind": "media",
            "text": "look at this\nand that",
            "attachment": "VID-20240105-WA0003.mp4",
            "media_type": "video",
        },
    ),
    "attached, spanish document": (
        "my plan.pdf (archivo adjunto)",
        {"kind": "media", "text": "", "attachment": "my plan.pdf", "media_type": "document"},
    ),
    "attached, russian": ("PTT-20240105-WA0001.opus (файл прикреплен)", {"kind": "media", "media_type": "audio"}),
    "attached, chinese": ("STK-20240105-WA0001.webp (附件)", {"kind": "media", "media_type": "sticker"}),
    "attached, vietnamese": ("a plan.pdf (tệp đính kèm)", {"kind": "media", "attachment": "a plan.pdf"}),
    "attached, bulgarian": ("a plan.pdf (прикачен файл)", {"kind": "media", "attachment": "a plan.pdf"}),
    "attached, slovak": ("a plan.pdf (súbor priložený)", {"kind": "media", "attachment": "a plan.pdf"}),
    "attached, unknown language": ("IMG-20240105-WA0001.jpg (qwx zzy)", {"kind": "media", "media_type": "image"}),
    "brackets in a sentence": ("file.txt (the old one)", {"kind": "text", "text": "file.txt (the old one)"}),
    "attached, iphone": (
        "\u200e<attached: 00000004-PHOTO-2024-01-05-10-11-12.jpg>",
        {"kind": "media", "attachment": "00000004-PHOTO-2024-01-05-10-11-12.jpg", "media_type": "image", "text": ""},
    ),
    "attached, iphone, caption before": (
        "our boat \u200e<anexado: 00000005-GIF-2024-01-05-10-11-12.mp4>",
        {"kind": "media", "text": "our boat", "media_type": "gif"},
    ),
    "attached, iphone, document": (
        "Title.pdf • \u200e3 pages \u200e<attached: 0000-Title.pdf>",
        {"kind": "media", "text": "", "attachment": "0000-Title.pdf", "media_type": "document"},
    ),
    "attached, full-width colon": ("\u200e<附件：00000001-AUDIO-2024-01-05-10-11-12.opus>", {"media_type": "audio"}),
    "attached, turkish": ("\u200e<00000001-PHOTO-2024-01-05-10-11-12.jpg eklendi>", {"kind": "media"}),
    "attached, old iphone": ("2012-08-01-PHOTO-1.jpg <attached>", {"attachment": "2012-08-01-PHOTO-1.jpg"}),
    "omitted, android": ("<Media omitted>", {"kind": "media", "text": "", "attachment": None, "media_type": None}),
    "omitted with caption": ("<Media omitted>\nthe boat", {"kind": "media", "text": "the boat"}),
    "omitted, german": ("<Medien ausgeschlossen>", {"kind": "media", "text": ""}),
    "omitted, portuguese": ("<Mídia oculta>", {"kind": "media", "text": ""}),
    "omitted, iphone": ("\u200eimage omitted", {"kind": "media", "text": "", "media_type": "image"}),
    "omitted, iphone gif": ("\u200eGIF omitted", {"kind": "media", "media_type": "gif"}),
    "omitted, iphone german": ("\u200eBild weggelassen", {"kind": "media", "media_type": "image"}),
    "omitted, iphone chinese": ("\u200e圖片已略去", {"kind": "media", "media_type": "image"}),
    "omitted, iphone russian": ("\u200eизображение отсутствует", {"kind": "media", "media_type": "image", "text": ""}),
    "omitted, iphone japanese": ("\u200e画像は除外されました", {"kind": "media", "media_type": "image", "text": ""}),
    "omitted document": (
        "Plan B.pdf • \u200e2 pages \u200edocument omitted",
        {"kind": "media", "attachment": "Plan B.pdf", "media_type": "document"},
    ),
    "omitted contact": ("\u200eContact card omitted", {"kind": "contact", "text": ""}),
    "markup is text": ("<b>bold</b> <3", {"kind": "text", "text": "<b>bold</b> <3"}),
    "edited": ("see you at nine <This message was edited>", {"text": "see you at nine", "edited": True}),
    "edited, iphone": ("at nine \u200e<This message was edited>", {"text": "at nine", "edited": True}),
    "edited, german": ("um neun <Diese Nachricht wurde bearbeitet.>", {"text": "um neun", "edited": True}),
    "deleted": ("This message was deleted", {"kind": "deleted", "text": ""}),
    "deleted by oneself": ("\u200eYou deleted this message.", {"kind": "deleted", "text": ""}),
    "deleted, italian": ("Hai eliminato questo messaggio", {"kind": "deleted", "text": ""}),
    "deleted in a sentence": (
        "This message was deleted by my cat",
        {"kind": "text", "text": "This message was deleted by my cat"},
    ),
    "poll": (
        "POLL:\nWhen?\nOPTION: Saturday (3 votes)\nOPTION: Sunday (early) (1 vote)",
        {
            "kind": "poll",
            "text": "When?",
            "attrs": '{"options":[{"text":"Saturday","votes":3},{"text":"Sunday (early)","votes":1}],'
            '"question":"When?"}',
        },
    ),
    "poll, iphone": (
        "\u200ePOLL:\n\u200eWhen?\n\u200eOPTION: Sat (\u200e2 votes)",
        {"kind": "poll", "attrs": '{"options":[{"text":"Sat","votes":2}],"question":"When?"}'},
    ),
    "poll on one line": (
        "ENQUETE: Quando? OPÇÃO: sábado (2 votos) OPÇÃO: domingo (0 votos)",
        {
            "kind": "poll",
            "attrs": '{"options":[{"text":"sábado","votes":2},{"text":"domingo","votes":0}],"question":"Quando?"}',
        },
    ),
    "location": (
        "location: https://maps.google.com/?q=-23.5,-46.625",
        {"kind": "location", "text": "", "attrs": '{"lat":-23.5,"lon":-46.625}'},
    ),
    "live location": ("\u200eLive location shared", {"kind": "location"}),
    "map link in a sentence": (
        "meet here https://maps.google.com/?q=1.5,2.5 at nine",
        {"kind": "text", "text": "meet here https://maps.google.com/?q=1.5,2.5 at nine"},
    ),
    "contact": (
        "Otto Lindqvist.vcf (file attached)",
        {"kind": "contact", "attachment": "Otto Lindqvist.vcf", "attrs": '{"name":"Otto Lindqvist"}'},
    ),
    "call": ("\u200eMissed voice call", {"kind": "call"}),
    "call with a length": ("\u200eVoice call, \u200e5 min", {"kind": "call"}),
    "voice call in a sentence": ("Voice call me", {"kind": "text"}),
    "view once": ("null", {"kind": "media", "text": "", "attrs": '{"view_once":true}'}),
    "view once, in words": ("<View once voice message omitted>", {"kind": "media", "attrs": '{"view_once":true}'}),
    "empty": ("", {"kind": "media", "text": ""}),
    "many lines": ("one\n\nthree: x\n- four", {"kind": "text", "text": "one\n\nthree: x\n- four"}),
    "another style's header": (
        "look:\n[05/10/2023, 21:07:45] Otto: hi",
        {"kind": "text", "text": "look:\n[05/10/2023, 21:07:45] Otto: hi"},
    ),
    "a date that doesn't exist": (
        "list:\n31/02/2023, 10:00 - Otto: hi",
        {"kind": "text", "text": "list:\n31/02/2023, 10:00 - Otto: hi"},
    ),
    "script and control characters": ("<script>alert(1)</script>\x1b[31m", {"kind": "text"}),
}


@pytest.mark.parametrize("case", BODIES)
def test_body(tmp_path: Path, case: str) -> None:
    """Markers become kinds and fields and leave the text; what only resembles a marker stays text."""
    body, expected = BODIES[case]
    text = f"13/10/2023, 21:06 - N: before\n13/10/2023, 21:07 - N: {body}\n13/10/2023, 21:08 - N: after\n"
    rows = read_text(tmp_path, text)
    assert [rows[0]["text"], rows[-1]["text"], len(rows)] == ["before", "after", 3]
    assert {name: rows[1][name] for name in expected} == expected
    assert rows[1]["author_raw"] == "N"


ANDROID_NOTICES = (
    "Messages and calls are end-to-end encrypted. No one outside of this chat can read them.",
    "Ana Lima created group “Trip: the plan”",
    'Ana Lima changed the subject from "Trip: the plan" to "Trip"',
    "Ana Lima changed the group name from “A: b” to “C”",
    "+55 11 91234-5678 joined using this group's invite link",
    "Otto left",
    "Your security code with Otto changed. Tap to learn more.",
)


@pytest.mark.parametrize("notice", ANDROID_NOTICES)
def test_android_notice(tmp_path: Path, notice: str) -> None:
    """A line without author is a notice, also with a colon in it, and isn't glued to the message before."""
    rows = read_text(
        tmp_path, f"13/10/2023, 21:06 - N: before\n13/10/2023, 21:07 - {notice}\n13/10/2023, 21:08 - N: x\n"
    )
    assert [short(row)[1:] for row in rows] == [
        ("N", "text", "before"),
        (None, "system", notice),
        ("N", "text", "x"),
    ]


def test_iphone_notices_have_no_author(tmp_path: Path) -> None:
    """A notice whose author is the group, or the one who acted, is a notice all the same."""
    path = zip_of(
        tmp_path / "WhatsApp Chat - Trip.zip",
        {
            "_chat.txt": "[13/10/2023, 21:07:45] Trip: \u200eMessages and calls are end-to-end encrypted.\n"
            "[13/10/2023, 21:07:46] Boris: \u200eBoris created group “Trip”\n"
            "[13/10/2023, 21:07:47] Trip: \u200eYou're now an admin\n"
            "[13/10/2023, 21:07:48] Boris: \u200eimage omitted\n"
            "[13/10/2023, 21:07:49] Boris: I added sugar, and left\n"
        },
    )
    rows, reading = read(path)
    assert reading.title == "Trip"
    assert [(row["author_raw"], row["kind"]) for row in rows] == [
        (None, "system"),
        (None, "system"),
        (None, "system"),
        ("Boris", "media"),
        ("Boris", "text"),
    ]


def test_ordinary_words_make_no_notice(tmp_path: Path) -> None:
    """Somebody who writes “left” or “added” has still written a message."""
    rows = read_text(tmp_path, "13/10/2023, 21:07 - Ana: Otto left and I added salt: done\n")
    assert [short(row)[1:] for row in rows] == [("Ana", "text", "Otto left and I added salt: done")]


AUTHORS = {
    "~\u202fLúcia": "Lúcia",
    "\u200e~\u00a0Lúcia\u200e": "Lúcia",
    "\u202a+55\u00a011\u00a091234\u20115678\u202c": "+5511912345678",
    "+55 11 91234-5678": "+5511912345678",
    "+1 (555) 123-4567": "+15551234567",
    "Ana  Lima": "Ana Lima",
    "2nd floor": "2nd floor",
    "Zé 😀": "Zé 😀",
}


@pytest.mark.parametrize("raw", AUTHORS)
def test_author(raw: str) -> None:
    """Marks and `~` leave an author; a phone number is one author however it is written."""
    assert records.author_name(raw) == AUTHORS[raw]


def test_colons_without_space(tmp_path: Path) -> None:
    """`Name:` with nothing after it, and files that lost the space after the colon, keep their authors."""
    rows = read_text(tmp_path, "13/10/2023, 21:07 - Bob:Hi\n13/10/2023, 21:08 - Amazon EG:you: there\n")
    assert [(row["author_raw"], row["text"]) for row in rows] == [("Bob", "Hi"), ("Amazon EG", "you: there")]
    rows = read_text(
        tmp_path, "13/10/2023, 21:07 - Bob: Hi\n13/10/2023, 21:08 - Amazon EG:\n13/10/2023, 21:08 - Bob:x\n"
    )
    assert [(row["author_raw"], row["kind"], row["text"]) for row in rows] == [
        ("Bob", "text", "Hi"),
        ("Amazon EG", "media", ""),
        ("Bob", "text", "x"),
    ]


def test_every_day_word_is_understood() -> None:
    """Each word that a header may hold has a meaning, in any case, before or after the clock."""
    for word, shift in headers._DAY_WORDS.items():
        expected = 3900 + shift * 3600
        if word == "中午":
            expected = 3900 + 43200
        for spelled in (word, word.upper()):
            assert headers.clock_seconds(f"1:05 {spelled}") == expected, spelled
            assert headers.clock_seconds(f"{spelled} 1:05") == expected, spelled


def test_digits_of_every_script(tmp_path: Path) -> None:
    """Digits of all scripts that Unicode knows are read by their value."""
    zeros = [code for code in range(0x110000) if unicodedata.decimal(chr(code), None) == 0]
    assert len(zeros) >= 65
    for zero in zeros:
        digits = {48 + i: chr(zero + i) for i in range(10)}
        text = "05/10/2023, 21:07 - N: t\n28/10/2023, 21:08 - M: u 7\n"
        rows = read_text(
            tmp_path, text[:20].translate(digits) + text[20:25] + text[25:45].translate(digits) + text[45:]
        )
        assert [short(row)[:2] for row in rows] == [("2023-10-05 21:07:00", "N"), ("2023-10-28 21:08:00", "M")], hex(
            zero
        )


def test_words_of_different_length(tmp_path: Path) -> None:
    """Half the day has a longer word in some languages."""
    text = "".join(
        f"{day}/10/23, {hour}:07 {word} - N: t\n"
        for day, hour, word in ((26, 12, "PG"), (27, 9, "PTG"), (28, 9, "PG"), (29, 12, "PTG"), (30, 0, "PTG"))
    )
    assert [str(row["ts"])[5:16] for row in read_text(tmp_path, text)] == [
        "10-26 00:07",
        "10-27 21:07",
        "10-28 09:07",
        "10-29 12:07",
        "10-30 12:07",
    ]


@pytest.mark.parametrize(
    ("clock", "hour"), [("12:05 AM", 0), ("12:05 PM", 12), ("1:05 PM", 13), ("24:05", 0), ("0:05", 0)]
)
def test_noon_and_midnight(clock: str, hour: int) -> None:
    """Twelve o'clock is where 12-hour clocks go wrong."""
    assert headers.clock_seconds(clock) == hour * 3600 + 300


def test_times_are_utc_by_the_chats_zone(tmp_path: Path) -> None:
    """Local times follow summer time; a repeated hour is its first, a skipped one takes the offset from before."""
    text = "".join(
        f"{stamp} - N: t\n"
        for stamp in (
            "15/01/2023, 12:00",
            "15/07/2023, 12:00",
            "26/03/2023, 01:30",
            "26/03/2023, 02:30",
            "26/03/2023, 03:30",
            "29/10/2023, 02:30",
            "29/10/2023, 03:30",
        )
    )
    assert [str(row["ts"])[5:16] for row in read_text(tmp_path, text, timezone="Europe/Berlin")] == [
        "01-15 11:00",
        "07-15 10:00",
        "03-26 00:30",
        "03-26 01:30",
        "03-26 01:30",
        "10-29 00:30",
        "10-29 02:30",
    ]


LINE = "13/10/2023, 21:07 - N: the chat\n"
LAYOUTS: dict[str, tuple[str, dict[str, str], str | None]] = {
    "android": ("x.zip", {"WhatsApp Chat with The Crew.txt": LINE}, "The Crew"),
    "ios": ("WhatsApp Chat - The Crew.zip", {"_chat.txt": LINE}, "The Crew"),
    "ios, downloaded twice": ("WhatsApp Chat - The Crew (1).zip", {"_chat.txt": LINE}, "The Crew"),
    "german": ("x.zip", {"WhatsApp-Chat mit Die Bande.txt": LINE}, "Die Bande"),
    "portuguese": ("x.zip", {"Conversa do WhatsApp com A Turma.txt": LINE}, "A Turma"),
    "chinese": ("x.zip", {"与小队的 WhatsApp 聊天.txt": LINE}, "小队"),
    "underscores": ("x.zip", {"WhatsApp_Chat_with_The_Crew.txt": LINE}, "The Crew"),
    "zip named otherwise": ("WhatsApp Chat with Old Name.zip", {"WhatsApp Chat with The Crew.txt": LINE}, "The Crew"),
    "zipped folder with clutter": (
        "x.zip",
        {"f/": "", "f/_chat.txt": LINE, "__MACOSX/f/._chat.txt": "junk", "f/notes.txt": "long text " * 9999},
        None,
    ),
    "larger text attached": (
        "x.zip",
        {"novel.txt": "It was a dark night.\n" * 9999, "WhatsApp Chat with A.txt": LINE},
        "A",
    ),
    "another chat attached": (
        "x.zip",
        {"WhatsApp Chat with A.txt": LINE, "f/WhatsApp Chat with B.txt": "01/01/2020, 10:00 - Z: other\n" * 50},
        "A",
    ),
    "title in a notice": (
        "x.zip",
        {"_chat.txt": "13/10/2023, 21:06 - Al created group “The Crew”\n" + LINE},
        "The Crew",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_of_the_zip(tmp_path: Path, layout: str) -> None:
    """The chat's text is found and the chat's title comes out, whatever else lies in the zip."""
    name, members, title = LAYOUTS[layout]
    rows, reading = read(zip_of(tmp_path / name, members))
    assert (rows[-1]["text"], reading.title) == ("the chat", title)


def test_attachment_points_to_its_member(tmp_path: Path) -> None:
    """`member` holds the number of the file in the archive; a file that isn't there has none."""
    path = zip_of(
        tmp_path / "x.zip",
        {
            "WhatsApp Chat with A.txt": "13/10/2023, 21:07 - N: holiday photo.jpg (blah blah)\n"
            "13/10/2023, 21:07 - N: IMG-20231013-WA0001.jpg (file attached)\n",
            "holiday photo.jpg": "jpeg",
        },
    )
    rows, _ = read(path)
    assert [(row["attachment"], row["attrs"]) for row in rows] == [
        ("holiday photo.jpg", '{"member":[0,1]}'),
        ("IMG-20231013-WA0001.jpg", "{}"),
    ]


@pytest.mark.parametrize("text", ["", "no chat here\n", "12345\n" * 100, "[1/2/3] x\n"])
def test_no_chat(tmp_path: Path, text: str) -> None:
    """A file without headers is refused by detection and by reading."""
    path = zip_of(tmp_path / "x.zip", {"a.txt": text, "b.jpg": "x"})
    with open_archive(path) as archive:
        assert SOURCE.detect(archive) == 0
        with pytest.raises(ExportError, match="no chat"):
            SOURCE.read(archive, ParseConfig())


def test_damaged_text_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 become U+FFFD; UTF-16 with its mark is read as such."""
    path = tmp_path / "c.txt"
    path.write_bytes(b"13/10/2023, 21:07 - N: caf\xe9\n13/10/2023, 21:07 - N: ok\n")
    assert [row["text"] for row in read(path)[0]] == ["caf\ufffd", "ok"]
    path.write_bytes("13/10/2023, 21:07 - N: café\n13/10/2023, 21:07 - N: ok\n".encode("utf-16"))
    assert [row["text"] for row in read(path)[0]] == ["café", "ok"]


def test_lines_are_accounted_for(tmp_path: Path) -> None:
    """Every line is a header's, a continuation, or before the first message; also where blocks cut through messages."""
    text = "a preamble\nof two lines\n" + "".join(chat_lines(messages=300, seed=3))
    whole = read_text(tmp_path, text)
    rows, reading = read(tmp_path / "chat.txt", block_bytes=700)
    assert rows == whole
    assert len(rows) == reading.counts["headers"] == 302
    assert reading.counts["before the first message"] == 2
    assert reading.counts["lines"] == text.count("\n")
    assert reading.counts["lines"] == reading.counts["headers"] + reading.counts["continuations"] + 2
    assert sum(row["text"].count("\n") for row in rows) == reading.counts["continuations"]


@pytest.mark.parametrize("block_bytes", [1, 40, 1 << 20])
def test_lines_that_differ_from_the_rest(tmp_path: Path, block_bytes: int) -> None:
    """Other spaces and dashes in a header, marks, impossible days, bad bytes and a lost last newline: all are read."""
    path = tmp_path / "c.txt"
    path.write_bytes(
        "13/10/2023, 21:07 - Ana: one\r\n13/10/2023, 21:07 - Bo: two\n\n"
        "13/10/2023,\u00a021:08 – Ana: a - b: c, d\n\u200e13/10/2023, 21:09 - ~\u202fAna: \u00e9\n"
        "31/02/2023, 21:10 - Bo: no\n13/10/2023, 21:11 - a \xff".encode().replace(b"\xc3\xbf", b"\xff")
    )
    rows, reading = read(path, block_bytes=block_bytes)
    assert [short(row) for row in rows] == [
        ("2023-10-13 21:07:00", "Ana", "text", "one"),
        ("2023-10-13 21:07:00", "Bo", "text", "two\n"),
        ("2023-10-13 21:08:00", "Ana", "text", "a - b: c, d"),
        ("2023-10-13 21:09:00", "Ana", "text", "é\n31/02/2023, 21:10 - Bo: no"),
        ("2023-10-13 21:11:00", None, "system", "a \ufffd"),
    ]
    assert reading.counts == {
        "lines": 7,
        "headers": 5,
        "continuations": 2,
        "before the first message": 0,
        "empty": 1,
        "not understood": 1,
    }


def test_lines_that_are_not_understood(tmp_path: Path) -> None:
    """Lines before the first message, and lines of another phone's format, are counted: a sign of a wrong reading."""
    path = tmp_path / "c.txt"
    path.write_text(
        "a preamble\n\n13/10/2023, 21:07 - N: x\n[13/10/2023, 21:07:45] N: y\n10/13/23, 9:07 PM - N: z\n"
        "45/10/2023, 21:07 - N: w\n2 eggs, 3 - 4 lemons\n13.10. at 21:00\n14/10/2023, 21:07 - N: x\n"
    )
    rows, reading = read(path, block_bytes=50)
    assert len(rows) == 2
    assert (reading.counts["lines"], reading.counts["empty"], reading.counts["not understood"]) == (9, 1, 4)


def test_endless_message_is_refused(tmp_path: Path) -> None:
    """A text that never begins a second message doesn't fill the memory."""
    path = tmp_path / "c.txt"
    path.write_bytes(b"13/10/2023, 21:07 - N: x\n" + b"y" * records.MAX_MESSAGE_BYTES)
    with pytest.raises(ExportError, match="longer than any message"):
        read(path, block_bytes=8 << 20)


@pytest.mark.parametrize("style", STYLES)
def test_written_styles_are_read_back(tmp_path: Path, style: str) -> None:
    """What `egregora.testing` writes in a style is read the same as in the plainest one."""

    def seen(name: str) -> list[tuple[Any, ...]]:
        rows = read_text(tmp_path, "".join(chat_lines(messages=200, style=name, days=40)))
        return [(str(row["ts"])[:16], row["author_raw"], row["kind"], row["text"], row["edited"]) for row in rows]

    assert seen(style) == seen("android")


AUTHOR = st.sampled_from(["Ana Lima", "Tomás", "小明", "مريم", "Zé 😀", "Jo-Ann O'Neil", "d'Arc 2"])
WORD = st.text(
    alphabet=st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp"), exclude_characters="<>•"),
    min_size=1,
    max_size=30,
)
BODY = st.lists(WORD, min_size=1, max_size=3).map("\n".join).map(lambda text: f"w {text} w")
MESSAGE = st.tuples(st.integers(0, 400 * 86400), AUTHOR, BODY)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(STYLES)), st.lists(MESSAGE, min_size=1, max_size=8))
def test_messages_come_back_in_every_style(style: str, messages: list[tuple[int, str, str]]) -> None:
    """Messages written in any style are read back whole: time, author and text."""
    form = STYLES[style]
    first = datetime(2022, 1, 28, 9, 0, 0)
    # The first two days prove the order of day and month.
    wanted = [(first, "Ana Lima", "hello"), (first + timedelta(days=1), "Ana Lima", "hello")]
    wanted += [(first + timedelta(days=2, seconds=s), who, what) for s, who, what in sorted(messages)]
    if not form.seconds:
        wanted = [(moment.replace(second=0), who, what) for moment, who, what in wanted]
    text = "".join(f"{form.header(moment)}{who}: {what}\n" for moment, who, what in wanted)
    with TemporaryDirectory() as folder:
        rows = read_text(Path(folder), text)
    assert [(row["ts"], row["author_raw"], row["text"]) for row in rows] == wanted


ODD = ["\u200e", "\u202f", "  ", "\u00a0", ":", ", ", " - ", "]", "[", "0", "31", "x", "PM", "–", "\n"]
EDIT = st.tuples(st.integers(0, 30), st.integers(0, 1), st.sampled_from(ODD))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(STYLES)),
    st.lists(st.tuples(st.integers(0, 400 * 86400), st.lists(EDIT, max_size=2)), max_size=8),
    st.sampled_from([60, 1 << 20]),
)
def test_headers_are_what_the_pattern_says(
    style: str, messages: list[tuple[int, list[tuple[int, int, str]]]], block_bytes: int
) -> None:
    """Whatever a header looks like, the quick way to tell it agrees with its style's regex, and no line is lost."""
    first = datetime(2022, 1, 28, 9, 0, 0)
    records = [f"{STYLES[style].header(first + timedelta(days=day))}Ana: {day}" for day in (0, 1, 2, 3)]
    for seconds, edits in messages:
        line = f"{STYLES[style].header(first + timedelta(days=3, seconds=seconds))}Ana: hello"
        for place, length, piece in edits:
            line = line[:place] + piece + line[place + length :]
        records.append(line)
    text = "\n".join(records) + "\n"
    with TemporaryDirectory() as folder:
        path = Path(folder, "chat.txt")
        path.write_text(text, encoding="utf-8", newline="")
        rows, reading = read(path, block_bytes=block_bytes)
    decided = reading.decision
    pattern = re.compile(decided.style.pattern("dm" if decided.order in ("dmy", "ydm") else "md"))
    expected = [line for line in text[:-1].split("\n") if (match := pattern.match(line)) and exists(match[1], decided)]
    assert len(rows) == reading.counts["headers"] == len(expected)
    assert reading.counts["lines"] == text.count("\n")
    assert sum(row["text"].count("\n") for row in rows) <= reading.counts["continuations"]


def exists(day: str, decided: headers.Decision) -> bool:
    """Whether there is such a day."""
    fields = list(headers.date_fields(day) or ())
    year = fields.pop(decided.style.year)
    named = dict(zip(decided.order.replace("y", ""), fields, strict=True))
    try:
        datetime(year + (2000 if year < 100 else 0), named["m"], named["d"])
    except ValueError:
        return False
    return True


def test_batches_share_a_schema(tmp_path: Path) -> None:
    """All batches of a reading have the same columns and types."""
    path = tmp_path / "c.txt"
    path.write_text("".join(chat_lines(messages=200)))
    with open_archive(path) as archive:
        batches = list(read_export(archive, ParseConfig(), block_bytes=2000).batches)
    assert len(batches) > 5
    assert len({str(batch.schema) for batch in batches}) == 1
    assert pa.Table.from_batches(batches).num_rows == 202
