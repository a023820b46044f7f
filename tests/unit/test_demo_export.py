"""The bundled export is what it says: a lifelike chat as Android writes it, with things in it that must not get out."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from demo_secrets import (
    AUTHORS,
    EMAILS,
    FILES,
    IDENTIFIERS,
    METADATA,
    NAMES,
    NICKNAMES,
    OPTED_OUT,
    PLACES,
    SECRETS,
    STREETS,
    TITLES,
    URL_SECRETS,
)
from egregora.demo import CHAT, EXPORT, EXPORT_NAME, GROUP_TITLE, TIMEZONE, TITLE
from egregora.demo.build import CONTACT_CARD, DOCUMENT, PICTURES, build

HEADER = re.compile(r"^(\d\d/\d\d/\d{4}, \d\d:\d\d) - ", re.MULTILINE)
AUTHOR = re.compile(rf"({'|'.join(re.escape(author) for author in AUTHORS)}): ")
GPS = 0x8825
ARTIST = 0x013B
MODEL = 0x0110


def read_messages() -> list[tuple[datetime, str | None, str]]:
    """Time, author (None: a notice) and body of each message, read by the one format that this file has."""
    _, *parts = HEADER.split(CHAT.read_text(encoding="utf-8"))
    messages = []
    for clock, rest in zip(parts[::2], parts[1::2], strict=True):
        match = AUTHOR.match(rest)
        body = rest[match.end() :] if match else rest
        messages.append(
            (datetime.strptime(clock, "%d/%m/%Y, %H:%M"), match[1] if match else None, body.removesuffix("\n"))
        )
    return messages


MESSAGES = read_messages()
BODIES = "\n".join(body for _, author, body in MESSAGES if author)
NOTICES = "\n".join(body for _, author, body in MESSAGES if not author)


def test_it_is_long_enough_to_be_a_blog() -> None:
    """At least 850 messages over at least nine weeks, from eight people, each week with at least 60."""
    weeks = Counter(time.isocalendar()[:2] for time, _, _ in MESSAGES)
    assert len(MESSAGES) >= 850
    assert len(weeks) >= 9
    assert min(weeks.values()) >= 60
    assert {author for _, author, _ in MESSAGES if author} == set(AUTHORS)


def test_time_never_runs_backwards() -> None:
    """Messages are in order of time, and each time exists in the export's timezone."""
    times = [time for time, _, _ in MESSAGES]
    assert times == sorted(times)
    zone = ZoneInfo(TIMEZONE)
    utc = ZoneInfo("UTC")
    assert all(
        time.replace(tzinfo=zone).astimezone(utc).astimezone(zone).replace(tzinfo=None) == time for time in times
    )


def test_nights_are_silent() -> None:
    """Nobody writes between one and seven."""
    assert not [time for time, _, _ in MESSAGES if 1 <= time.hour < 7]


def test_every_line_belongs_to_a_message() -> None:
    """The file begins with a header, ends with a line break, and each line with an author's name has a header."""
    text = CHAT.read_bytes().decode("utf-8")
    assert HEADER.match(text)
    assert text.endswith("\n")
    assert "\r" not in text
    assert not [line for line in text.splitlines() if AUTHOR.match(line)]


@pytest.mark.parametrize(
    ("what", "pattern", "at_least"),
    [
        ("picture with a caption", r"^\u200eIMG-\d{8}-WA\d{4}\.jpg \(file attached\)\n.", 6),
        ("document", r"^\u200e.+\.pdf \(file attached\)", 1),
        ("contact card", r"^\u200e.+\.vcf \(file attached\)$", 1),
        ("omitted media", r"^<Media omitted>$", 3),
        ("edited", r" <This message was edited>$", 4),
        ("deleted by another", r"^This message was deleted$", 1),
        ("deleted by the exporter", r"^You deleted this message$", 1),
        ("poll", r"^POLL:\n.+\n(OPTION: .+ \(\d votes?\)\n?){3,}", 2),
        ("location", r"^location: https://maps\.google\.com/\?q=", 1),
        ("map link", r"https://www\.openstreetmap\.org/", 1),
        ("link", r"https?://", 12),
        ("mention by name", "@\u2068.+\u2069", 2),
        ("mention by number", r"@\d{10,}", 1),
        ("list over several lines", r"\n(- |1\. )", 6),
        ("correction", r"^\*\w", 3),
        ("laughter", r"(?i)haha|kkk", 10),
        ("possessive", r"\b(Callum|Owen|Inês|Bia)'s\b", 5),
        ("Portuguese", r"(?i)\b(não|você|vocês|gente|tá|obrigada?)\b", 40),
        ("alias", r"^/egregora set alias Night Heron$", 1),
        ("opt-out", r"^/egregora opt-out$", 1),
    ],
)
def test_kinds_of_messages(what: str, pattern: str, at_least: int) -> None:
    """Each kind of message that a real export has is there."""
    found = [body for _, author, body in MESSAGES if author and re.search(pattern, body, re.MULTILINE)]
    assert len(found) >= at_least, what


@pytest.mark.parametrize(
    "notice",
    [
        "Messages and calls are end-to-end encrypted.",
        "You created group “Bia's Boat”",
        "You added Inês Vilhalva",
        "Bia Quintaneiro added +1 (202) 555-0147",
        "You changed the subject from “Bia's Boat” to “Turtle Crew”",
        "Callum Rookhollow changed this group's icon",
        "Owen Tarrowby left",
        "+44 7700 900142 joined using this group's invite link",
        "Thiago Bragamonte changed their phone number to a new number.",
    ],
)
def test_notices(notice: str) -> None:
    """Each kind of system line is there, without an author."""
    assert notice in NOTICES


def test_what_is_attached_is_in_the_zip() -> None:
    """The members are the chat and exactly the files that it names; pictures are as they come off a phone."""
    named = re.findall(r"\u200e(.+) \(file attached\)", BODIES)
    with zipfile.ZipFile(EXPORT) as archive:
        names = archive.namelist()
        assert names == sorted([*named, f"WhatsApp Chat with {GROUP_TITLE}.txt"])
        assert set(named) == {*PICTURES, DOCUMENT, CONTACT_CARD}
        assert archive.read(f"WhatsApp Chat with {GROUP_TITLE}.txt") == CHAT.read_bytes()
        for name, picture in PICTURES.items():
            content = archive.read(name)
            assert len(content) <= 60 * 1024
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                assert (image.format, image.size) == ("JPEG", (800, 600))
                exif = image.getexif()
            assert (exif[ARTIST], exif[MODEL]) == (picture.artist, picture.camera)
            degrees, minutes, seconds = exif.get_ifd(GPS)[2]
            assert float(degrees + minutes / 60 + seconds / 3600) == pytest.approx(picture.latitude, abs=1e-5)
    assert EXPORT.stat().st_size < 1_000_000
    assert f"{GROUP_TITLE}.zip" in EXPORT_NAME


def test_build_makes_the_bundled_zip(tmp_path: Path) -> None:
    """`build` gives the same members, and the same bytes each time; pictures may differ with Pillow's version."""
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    build(first)
    build(second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as built, zipfile.ZipFile(EXPORT) as bundled:
        assert built.namelist() == bundled.namelist()
        for entry in built.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            if entry.filename not in PICTURES:
                assert built.read(entry) == bundled.read(entry.filename)


def test_secrets_are_really_in_it() -> None:
    """Each thing that must not come out is in the export, so that looking for it on a site proves something."""
    with zipfile.ZipFile(EXPORT) as archive:
        everything = "\n".join(
            [*archive.namelist(), *(archive.read(name).decode("utf-8", "ignore") for name in archive.namelist())]
        )
    text = CHAT.read_text(encoding="utf-8")
    for secret in (*EMAILS, *IDENTIFIERS, *URL_SECRETS, *PLACES, *STREETS, *TITLES, *FILES, *METADATA, *OPTED_OUT):
        assert secret in everything
    for word in (*NAMES, *NICKNAMES):
        assert re.search(rf"\b{word}\b", text)
    digits = re.sub(r"\D", "", everything)
    for number in SECRETS:
        if re.fullmatch(r"[+\d() -]+", number):
            assert re.sub(r"\D", "", number) in digits


def test_the_site_title_gives_nothing_away() -> None:
    """The public title holds no name and not the group's own title."""
    assert not [word for word in (*NAMES, *NICKNAMES, *TITLES) if re.search(rf"(?i)\b{word}\b", TITLE)]
