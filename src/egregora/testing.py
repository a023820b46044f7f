"""Invented exports, for tests, benchmarks and whoever writes a source of their own.

    write_export("chat.zip", messages=1000, style="ios")

Everything in them is made up, and the same arguments give the same bytes.
"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

__all__ = ["STYLES", "Style", "chat_lines", "picture", "write_export", "zip_bytes", "zip_of"]

_FIXED_TIME = (2020, 1, 1, 0, 0, 0)
"""Date of every zip member: archives must not depend on when they were made."""


@dataclass(frozen=True)
class Style:
    """How one phone writes its export.

    Attributes:
        stamp: Header up to the author, with the fields `d m Y y H h M S p` of `str.format`.
        text_name: Name of the chat's text in the zip; `{title}` is the chat's title.
        ios: Whether it is an iPhone's export (marks before bodies that are no plain text).
        seconds: Whether the header shows seconds.
        digits: The ten digits, if not 0–9.
        am, pm: The words for `p`.
        attached, omitted, edited, deleted: How such bodies are written; `{name}` is a file name.
        notice: How a notice is written; iOS names the group as its author.
    """

    stamp: str
    text_name: str = "WhatsApp Chat with {title}.txt"
    ios: bool = False
    seconds: bool = False
    digits: str = ""
    am: str = "AM"
    pm: str = "PM"
    attached: str = "{name} (file attached)"
    omitted: str = "<Media omitted>"
    edited: str = " <This message was edited>"
    deleted: str = "This message was deleted"
    notice: str = "{text}"

    def header(self, moment: datetime) -> str:
        """The header up to the author, for a local time."""
        text = self.stamp.format(
            d=moment.day,
            m=moment.month,
            Y=moment.year,
            y=moment.year % 100,
            H=moment.hour,
            h=moment.hour % 12 or 12,
            M=moment.minute,
            S=moment.second,
            p=self.am if moment.hour < 12 else self.pm,
        )
        return text.translate({48 + i: digit for i, digit in enumerate(self.digits)}) if self.digits else text


def _ios(stamp: str, **changes: str) -> Style:
    words: dict[str, Any] = {
        "attached": "\u200e<attached: {name}>",
        "omitted": "\u200eimage omitted",
        "edited": " \u200e<This message was edited>",
        "deleted": "\u200eThis message was deleted.",
        "notice": "{title}: \u200e{text}",
    }
    return replace(Style(stamp, text_name="_chat.txt", ios=True, seconds="{S" in stamp), **{**words, **changes})


def _android(stamp: str, **changes: Any) -> Style:
    return replace(Style(stamp, seconds="{S" in stamp), **changes)


STYLES: dict[str, Style] = {
    "android": _android("{d:02}/{m:02}/{Y}, {H:02}:{M:02} - "),
    "android-us": _android("{m}/{d}/{y:02}, {h}:{M:02}\u202f{p} - "),
    "android-12h-lower": _android("{d:02}/{m:02}/{Y}, {h}:{M:02} {p} - ", am="am", pm="pm"),
    "android-es": _android(
        "{d}/{m}/{y:02}, {h}:{M:02}\u00a0{p} - ",
        am="a.\u202fm.",
        pm="p.\u202fm.",
        text_name="Chat de WhatsApp con {title}.txt",
        attached="{name} (archivo adjunto)",
        omitted="<Multimedia omitido>",
        edited=" <Se editó este mensaje.>",
        deleted="Se eliminó este mensaje",
    ),
    "android-pt": _android(
        "{d:02}/{m:02}/{Y} {H:02}:{M:02} - ",
        text_name="Conversa do WhatsApp com {title}.txt",
        attached="{name} (arquivo anexado)",
        omitted="<Mídia oculta>",
        edited=" <Mensagem editada>",
        deleted="Mensagem apagada",
    ),
    "android-de": _android(
        "{d:02}.{m:02}.{y:02}, {H:02}:{M:02} - ",
        text_name="WhatsApp-Chat mit {title}.txt",
        attached="{name} (Datei angehängt)",
        omitted="<Medien ausgeschlossen>",
        edited=" <Diese Nachricht wurde bearbeitet.>",
        deleted="Diese Nachricht wurde gelöscht.",
    ),
    "android-nl": _android("{d:02}-{m:02}-{Y} {H:02}:{M:02} - ", omitted="<Media weggelaten>"),
    "android-dash": _android("{d:02}-{m:02}-{Y}, {H:02}:{M:02} - "),
    "android-iso": _android("{Y}-{m:02}-{d:02}, {H:02}:{M:02} - "),
    "android-ymd-12h": _android("{Y}/{m:02}/{d:02}, {h:02}:{M:02} {p} - ", am="am", pm="pm"),
    "android-fi": _android("{d}.{m}.{Y} klo {H}.{M:02}.{S:02} - "),
    "android-id": _android("{d:02}/{m:02}/{y:02} {H:02}.{M:02} - "),
    "android-fr": _android("{d:02}/{m:02}/{Y} à {H:02}:{M:02} - ", omitted="<Médias omis>"),
    "android-bg": _android("{d}.{m:02}.{Y} г., {H:02}:{M:02} - "),
    "android-ar": _android("\u200f{d}\u200f/{m}\u200f/{Y}، {h}:{M:02} {p} - ", digits="٠١٢٣٤٥٦٧٨٩", am="ص", pm="م"),
    "android-fa": _android("{Y}/{m}/{d}، {H:02}:{M:02} - ", digits="۰۱۲۳۴۵۶۷۸۹"),
    "android-hi": _android("{d:02}/{m:02}/{y:02}, {H:02}:{M:02} - ", digits="०१२३४५६७८९"),
    "android-zh": _android("{Y}/{m}/{d} {p}{h}:{M:02} - ", am="上午", pm="下午"),
    "android-zh-after": _android("{Y}/{m}/{d}, {h}:{M:02} {p} - ", am="上午", pm="下午"),
    "android-ko": _android("{Y}. {m}. {d}. {p} {h}:{M:02} - ", am="오전", pm="오후"),
    "android-slavic": _android("{d}. {m}. {Y}. {H:02}:{M:02} - "),
    "slavic-no-dash": _android("{d}. {m}. {Y}. {H:02}:{M:02}:{S:02} "),
    "ios": _ios("[{d:02}/{m:02}/{Y}, {H:02}:{M:02}:{S:02}] "),
    "ios-us": _ios("[{m}/{d}/{y:02}, {h}:{M:02}:{S:02}\u202f{p}] "),
    "ios-no-comma": _ios("[{d:02}/{m:02}/{Y} {H:02}:{M:02}:{S:02}] "),
    "ios-de": _ios(
        "[{d:02}.{m:02}.{y:02}, {H:02}:{M:02}:{S:02}] ",
        attached="\u200e<Anhang: {name}>",
        omitted="\u200eBild weggelassen",
        edited=" \u200e<Diese Nachricht wurde bearbeitet.>",
        deleted="\u200eDiese Nachricht wurde gelöscht.",
    ),
    "ios-dot-12h": _ios("[{d:02}.{m:02}.{y:02}, {h}:{M:02}:{S:02} {p}] "),
    "ios-mdy-dash": _ios("[{m:02}-{d:02}-{Y}, {H:02}:{M:02}:{S:02}] "),
    "ios-year-middle": _ios("[{m:02}/{Y}/{d:02}, {H:02}:{M:02}:{S:02}] "),
    "ios-zh": _ios(
        "[{Y}/{m}/{d} {p}{h}:{M:02}:{S:02}] ",
        am="上午",
        pm="下午",
        attached="\u200e<附件：{name}>",
        omitted="\u200e圖片已略去",
    ),
    "ios-ja": _ios("[{Y}/{m:02}/{d:02} {H}:{M:02}:{S:02}] "),
    "ios-pt": _ios("[{d:02}/{m:02}/{y:02}, {H:02}:{M:02}:{S:02}] ", attached="\u200e<anexado: {name}>"),
    "legacy-ios": _android("{d:02}/{m:02}/{Y} {H:02}:{M:02}:{S:02}: "),
    "legacy-ios-us": _android("{m}/{d}/{y:02}, {h}:{M:02}:{S:02} {p}: "),
    "viewer": _android("{d:02}.{m:02}.{Y} - {H:02}:{M:02}:{S:02}; "),
}
"""The header styles that are known, by name. All are read back by `egregora.sources.whatsapp`."""

_PEOPLE = (
    "Ana Beatriz", "Tomás Ferreira", "Ingrid Solheim", "Kwame Boateng", "Lúcia Prado", "Marek Nowak",
    "Priya Raman", "Otto Lindqvist", "Sofia Duarte", "Jonas Weber", "Yuki Tanabe", "Rafael Moura",
)  # fmt: skip
_OPENINGS = (
    "I think", "Honestly,", "By the way,", "Does anybody know whether", "Remember that", "Good morning!", "So",
    "Acho que", "Gente,", "Wait,", "No way,", "As I said,", "Quick question:", "For the record,", "Ok, and",
)  # fmt: skip
_SUBJECTS = (
    "the lake house", "the train to the coast", "our budget", "the old piano", "Saturday's dinner", "the recipe",
    "o aluguel", "a viagem", "the garden fence", "that documentary", "the museum ticket", "a bicicleta nova",
    "the neighbour's cat", "the spreadsheet", "the concert", "the library card", "o churrasco", "the second tent",
)  # fmt: skip
_PREDICATES = (
    "is still missing", "needs to be paid by Friday", "was much better last year", "should be cancelled",
    "ficou ótimo", "is worth the wait", "costs 45 euros each", "could move to the 14th", "precisa de conserto",
    "turned out fine in the end", "makes no sense to me", "is on the kitchen table", "has room for six of us",
)  # fmt: skip
_CLOSINGS = (
    "", "", "", ".", "!", "?", ", right?", " 😂", " ❤️", " kkkk", ", what do you say?", ". Let me check tomorrow.",
    " and I can bring the rest", ", se todo mundo concordar", " — we voted on it already", ", as far as I can tell",
)  # fmt: skip
_SHORT = ("ok", "yes", "No.", "haha", "😂😂", "👍", "kkkkk", "sim", "deal!", "see you there", "on my way", "thanks ❤️")
_EXTRAS = (
    "https://www.example.org/journal/2024/the-long-walk-home",
    "Look: https://maps.example.com/route?from=harbour&to=hill",
    "my new number is +55 11 91234-5678",
    "write to otto.lindqvist@example.net",
    "https://video.example.com/watch?v=abc123 this one\nand the list:\n- two tents\n- one stove",
    "First line of a longer thought.\n\nAnd its second paragraph, after an empty line.",
)


def people_names(count: int) -> list[str]:
    """`count` invented authors; about every fifth is known by phone number only."""
    names = []
    for i in range(count):
        if i % 5 == 4:
            names.append(f"+55 11 9{1000 + i:04}-{(i * 7919) % 10000:04}")
        else:
            base = _PEOPLE[(i - i // 5) % len(_PEOPLE)]
            turn = (i - i // 5) // len(_PEOPLE)
            names.append(f"{base} {turn + 1}" if turn else base)
    return names


def chat_lines(
    *,
    messages: int = 1000,
    people: int = 6,
    style: str = "android",
    seed: int = 0,
    days: int | None = None,
    start: datetime = datetime(2021, 3, 1, 8, tzinfo=UTC),
    title: str = "Lake House Crew",
    attachments: tuple[str, ...] = (),
) -> Iterator[str]:
    """The records of an invented chat, in order, each ending in a newline: two notices, then exactly `messages`.

    Args:
        messages: How many messages people send, attachments included.
        people: How many of them there are.
        style: A key of `STYLES`.
        seed: Another number gives another chat.
        days: How long the chat lasts, about. None: a day for each 150 messages, between 7 and 2,000.
        start: Local time of the first notice; its zone is ignored.
        title: The group's title.
        attachments: File names to attach, spread evenly.
    """
    form = STYLES[style]
    # Not for secrets: the same seed must give the same chat.
    rng = random.Random(seed)  # noqa: S311
    names = people_names(people)
    span = days if days is not None else max(7, min(messages // 150, 2000))
    gaps = list(
        accumulate(rng.choices((3, 11, 24, 47, 95, 300, 2400, 30000), (9, 14, 14, 9, 5, 3, 1, 0.4), k=messages))
    )
    scale = span * 86400 / gaps[-1] if gaps else 1.0
    bodies = [
        f"{a} {b} {c}{d}"
        for a, b, c, d in zip(
            *(rng.choices(words, k=4000) for words in (_OPENINGS, _SUBJECTS, _PREDICATES, _CLOSINGS)), strict=True
        )
    ]
    tails = ["", "", "", *(f" ({number} of {total})" for number in range(1, 60) for total in (60, 75, 90))]
    short, extras = list(_SHORT), list(_EXTRAS)
    picked = zip(
        rng.choices(names, k=messages),
        rng.choices(bodies, k=messages),
        rng.choices(tails, k=messages),
        rng.choices(range(100), k=messages),
        gaps,
        strict=True,
    )
    first = start.replace(tzinfo=None)
    yield f"{form.header(first)}{form.notice.format(title=title, text=_ENCRYPTED)}\n"
    yield f"{form.header(first)}{form.notice.format(title=title, text=f'{names[0]} created group “{title}”')}\n"
    every = messages // (len(attachments) + 1) if attachments else 0
    files = iter(attachments)
    header, last = "", -1
    for number, (author, body, tail, dice, gap) in enumerate(picked, 1):
        seconds = int(gap * scale)
        if seconds != last:
            header, last = form.header(first + timedelta(seconds=seconds)), seconds
        if every and number % every == 0 and (name := next(files, None)) is not None:
            mark = "\u200e" if form.ios else ""
            yield f"{mark}{header}{author}: {form.attached.format(name=name)}\n"
        elif dice < 84:
            yield f"{header}{author}: {body}{tail}\n"
        elif dice < 92:
            yield f"{header}{author}: {short[number % len(short)]}\n"
        elif dice < 96:
            yield f"{header}{author}: {extras[number % len(extras)]}\n"
        elif dice < 97:
            yield f"{header}{author}: {body}{form.edited}\n"
        elif dice < 98:
            yield f"{header}{author}: {form.deleted}\n"
        else:
            yield f"{header}{author}: {form.omitted}\n"


_ENCRYPTED = (
    "Messages and calls are end-to-end encrypted. No one outside of this chat, not even WhatsApp, "
    "can read or listen to them."
)


def write_export(
    path: str | Path,
    *,
    messages: int = 1000,
    people: int = 6,
    style: str = "android",
    seed: int = 0,
    days: int | None = None,
    start: datetime = datetime(2021, 3, 1, 8, tzinfo=UTC),
    title: str = "Lake House Crew",
    pictures: int | None = None,
) -> Path:
    """Write an invented export as a zip, as the phone of that style would, and return its path.

    Args:
        path: Where to; the folder must exist.
        pictures: How many JPEG files are attached. None: one for each 80 messages, at most 12.
        messages, people, style, seed, days, start, title: As in `chat_lines`.
    """
    path = Path(path)
    count = min(12, messages // 80) if pictures is None else pictures
    form = STYLES[style]
    names = tuple(
        f"{i:08}-PHOTO-2021-03-{i % 28 + 1:02}-10-20-30.jpg" if form.ios else f"IMG-202103{i % 28 + 1:02}-WA{i:04}.jpg"
        for i in range(count)
    )
    lines = chat_lines(
        messages=messages, people=people, style=style, seed=seed, days=days, start=start, title=title, attachments=names
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        info = zipfile.ZipInfo(form.text_name.format(title=title), _FIXED_TIME)
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w", force_zip64=True) as member:
            while block := "".join(islice(lines, 10_000)):
                member.write(block.encode())
        for i, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), picture(i))
    return path


def picture(number: int = 0, *, width: int = 64, height: int = 48) -> bytes:
    """A small JPEG of one colour that depends on `number`."""
    from PIL import Image

    colour = (40 + number * 53 % 200, 40 + number * 97 % 200, 40 + number * 31 % 200)
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG")
    return out.getvalue()


def zip_bytes(members: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]) -> bytes:
    """A zip with these members, in this order. Text is encoded as UTF-8. Names are written as they are, `../` too."""
    out = io.BytesIO()
    pairs = members.items() if isinstance(members, Mapping) else members
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in pairs:
            data = content.encode() if isinstance(content, str) else content
            archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def zip_of(path: str | Path, members: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]) -> Path:
    """Write `zip_bytes(members)` to `path` and return it."""
    path = Path(path)
    path.write_bytes(zip_bytes(members))
    return path
