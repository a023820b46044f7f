"""The audit: whether names or personal data are anywhere behind the privacy stage, on the pages above all.

Texts are looked into as people see them: a page as its visible text and its attributes' values, JSON as the texts in
it, a post's Markdown without its escapes. What is found is told by its place, its kind and its first letter only, so
that the audit spreads nothing.

Three things are no finding: aliases; what the site's owner publishes knowingly (title, description and address in
`egregora.toml`); and the program's own words (interface, narration, dates, names of its modules, hashes), which can be
somebody's name too: `março` on a site of someone called Marco.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree as ET

from egregora.database.runs_schema import NO_REPLAY
from egregora.database.sql import literal
from egregora.errors import BlobError, PrivacyError

if TYPE_CHECKING:
    from egregora.config import Config
    from egregora.database.storage import StorageManager
    from egregora.stages.privacy import Leak, Person, Roster
    from egregora.stages.privacy_names import NameIndex

__all__ = ["Audit", "Finding", "audit_pages", "audit_site", "summary", "who"]

BATCH_ROWS = 16_384


@dataclass(frozen=True)
class Finding:
    """Something that gives somebody away.

    Attributes:
        where: File below the site's folder, or the catalog's table; with the column. Names in it are masked.
        at: The first place there: a row's id, or a line.
        kind: `name`, `phone`, `email`, … as the privacy stage counts them.
        masked: Its first character, and an ellipsis.
        count: How many times it is there; a text that a page has twice counts once.
        older: Whether it is in what an earlier run left, which nothing points to any more.
    """

    where: str
    at: str
    kind: str
    masked: str
    count: int
    older: bool = False


@dataclass
class Audit:
    """What an audit searched and found.

    Attributes:
        participants: How many people it searched for; None if their names aren't known.
        searched: How much was searched, by what it is.
        unread: Files that could not be searched.
        findings: What was found, by place.
    """

    participants: int | None = None
    searched: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


# --- The program's own words -----------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LOGGED = (
    *("address", "card", "email", "export", "header", "headers", "iban", "id", "ip", "line", "lines", "link", "name"),
    *("phone", "place", "row", "rows", "token", "url"),
)
"""Words of log lines that could be names."""
_VALUES = (
    *("parse", "privacy", "enrich", "write", "rank", "publish", "running", "completed", "failed", "interrupted"),
    *("executed", "checkpoint", "unchanged", "forced", "first run", "info", "warning", "whatsapp", "extractive"),
    *("text", "media", "poll", "location", "contact", "call", "deleted", "system", "question", "options", "votes"),
    *("image", "video", "audio", "sticker", "gif", "document", "member", "messages", "pages", "posts"),
)
"""Values that columns have by declaration, and keys of JSON that the program writes."""


@dataclass(frozen=True)
class _Own:
    """What the program and the site's owner say themselves.

    Attributes:
        texts: Whole texts.
        words: Words within sentences, as written.
        first_words: Words that begin a sentence, as written.
        spans: Finds dates, hashes and modules within a text.
        address: Where the site will be, without its last slash; may be empty.
    """

    texts: frozenset[str]
    words: frozenset[str]
    first_words: frozenset[str]
    spans: re.Pattern[str]
    address: str

    def says(self, text: str, start: int, end: int, *, written: bool) -> bool:
        """Whether a name at this place of a text is one of these words."""
        for match in self.spans.finditer(text):
            if match.start() <= start and end <= match.end():
                return True
        if not written:
            return False
        found = text[start:end]
        return found in self.words or (start == 0 and found in self.first_words)


@cache
def _interface() -> tuple[frozenset[str], frozenset[str], frozenset[str], str]:
    """Texts, words and first words of interface and narration, and an expression that finds dates."""
    from egregora import site
    from egregora.pipeline.profile import FIGURES
    from egregora.site.words import WORDS
    from egregora.stages.privacy_names import fold
    from egregora.stages.writers.phrases import language

    spoken = [language(code) for code in WORDS]
    said = [text for words in WORDS.values() for text in words.values()]
    templates = Path(site.__file__).parent / "templates"
    texts = {
        *said,
        *_VALUES,
        *FIGURES,
        *(one for path in sorted(templates.glob("*.html")) for one in html_texts(_read(path))),
    }
    # What models are told stands in the table of configurations. A site's own prompts are not among these.
    texts |= {_read(path).strip() for path in sorted((templates.parents[1] / "llm" / "prompts").glob("*.md"))}
    said += [text for one in spoken for variants in one.phrases.values() for text in variants]
    said += [text for one in spoken for text in (*one.parts, *one.others, *one.numbers, one.conjunction)]
    said = [re.sub(r"\{[^}]*\}", "0", part) for text in said for part in text.split("|")]
    words = {word for text in said for word in _WORD.findall(text) if word.islower()} | set(_LOGGED)
    first = {match.group() for text in said if (match := _WORD.match(text))}
    # In addresses of posts as `11-de-marco`.
    named = [month for one in spoken for month in one.months]
    months = "|".join(dict.fromkeys([*named, *map(fold, named)]))
    weekdays = "|".join(day for one in spoken for day in one.weekdays)
    parts = "|".join(_WORD.findall(" ".join(part.partition("}")[2] for one in spoken for part in one.parts)))
    dates = (
        rf"\b\d{{1,2}}[ -](?:de[ -])?(?:{months})\b|\b(?:{months}) (?:de )?\d{{4}}\b"
        rf"|\b(?:{weekdays})(?=,? (?:\d|(?:{parts})\b))"
    )
    return frozenset(texts), frozenset(words), frozenset(first), dates


_MACHINE = (
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|[0-9a-f]{8}-\d+-\d{16}|(?=\d*[a-f])[0-9a-f]{16})(?![0-9A-Za-z])|\begregora(?:[./]\w+)+(?::\d+ in \S+)?"
)


def _own(config: Config) -> _Own:
    texts, words, first, dates = _interface()
    site = config.site
    owner = {site.title, site.description, site.tenant, site.base_url, config.parse.timezone}
    owned = texts | {" ".join(text.split()) for text in owner}
    return _Own(owned, words, first, re.compile(f"{_MACHINE}|(?i:{dates})"), site.base_url.strip().rstrip("/"))


# --- Texts as people see them ----------------------------------------------------------------------------------------

# Not what HTML says a tag is (a value may hold `>`), but whatever this takes for no tag stays text, and is searched.
_TAG = re.compile(r"<(/?[A-Za-z][^\s/>]*)([^>]*)>")
_ATTRIBUTE = re.compile(r"=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
_INLINE = frozenset(
    name
    for tag in (
        *("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "i", "ins", "kbd", "mark", "q"),
        *("s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr"),
    )
    for name in (tag, f"/{tag}")
)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def html_texts(page: str) -> list[str]:
    """The texts of a page: each block with what is marked within it, comments, and the values of attributes."""
    pieces = _TAG.split(page)
    texts: list[str] = []
    block = pieces[0]
    for name, text in zip(pieces[1::3], pieces[3::3], strict=True):
        if name in _INLINE:
            block += text
        elif name == "br":
            block += f"\n{text}"
        else:
            texts.append(block)
            block = text
    texts.append(block)
    for inside in set(pieces[2::3]):
        texts += _attributes(inside)
    return [html.unescape(text) if "&" in text else text for text in set(texts) if text and not text.isspace()]


@lru_cache(maxsize=50_000)
def _attributes(tag: str) -> tuple[str, ...]:
    """The values in a tag. What pages share is told once."""
    return tuple(value for match in _ATTRIBUTE.findall(tag) for value in match if value)


def _xml_texts(data: str) -> list[str]:
    """The texts of a feed; what is HTML in it as those of a page."""
    try:
        # Written by ourselves, and expat refuses what would blow up.
        elements = list(ET.fromstring(data).iter())  # noqa: S314
    except ET.ParseError:
        return html_texts(data)
    texts: list[str] = []
    for element in elements:
        for text in (element.text, element.tail):
            if text and not text.isspace():
                texts += html_texts(text) if element.get("type") == "html" and text is element.text else [text]
        texts += element.attrib.values()
    return texts


def _json_texts(value: object) -> Iterator[str]:
    """The texts in a JSON value, keys included."""
    if isinstance(value, str):
        yield from _unpacked(value)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield str(key)
            yield from _json_texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _json_texts(part)


def _unpacked(text: str) -> Iterator[str]:
    """A text, or the texts in it if it is JSON."""
    if text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if not isinstance(value, str):
            yield from _json_texts(value)
            return
    yield text


def _file_texts(name: str, text: str) -> list[str]:
    """The texts of a file of the site, by the end of its name."""
    extension = name.rpartition(".")[2].lower()
    if extension in ("html", "htm", "svg"):
        return html_texts(text)
    if extension == "xml":
        return _xml_texts(text)
    if extension in ("js", "json"):
        # The search index is a script that assigns one JSON value.
        start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=0)
        found = list(_unpacked(text[start:].strip().rstrip(";")))
        if len(found) != 1 or found[0] != text[start:]:
            return [text[:start], *found]
    return text.splitlines()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


# --- The search ------------------------------------------------------------------------------------------------------


_FROM_CHARACTERS = ("name", "phone", "card", "id")
"""Kinds that are told by so few characters that hashes and our own words may hold them."""
_DATED = r"^(?:[a-z./]*/)?\d{4}-\d\d-\d\d(?:-[a-z-]+)?(?:\.html)?$"
"""Days, and paths of posts: the only numbers in them are dates."""

Mode = Literal["said", "written", "flat"]
"""What texts are: as people said it; in Egregora's words around it; the same with the bounds of its sentences lost."""


class _Search:
    """What is searched for, and what is no finding."""

    def __init__(self, index: NameIndex, own: _Own) -> None:
        self.index = index
        self.own = own
        # Most texts stand in several tables. Their hashes are remembered, not they: there may be a million.
        self._harmless: dict[Mode, set[int]] = {"said": set(), "written": set(), "flat": set()}

    def leaks(self, texts: Sequence[str], mode: Mode) -> Iterator[tuple[int, str, str]]:
        """What gives somebody away: number of the text, kind, and the words themselves."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from egregora.patterns import SUSPECT
        from egregora.stages.privacy import find_leaks
        from egregora.stages.privacy_names import clean

        harmless = self._harmless[mode]
        numbers = [number for number, text in enumerate(texts) if hash(text) not in harmless]
        cleaned = [clean(texts[number]).replace("\x1e", " ") for number in numbers]
        if not cleaned:
            return
        # The cheap test of the privacy stage tells which texts are looked at one by one.
        column = pa.array(cleaned, pa.string())
        shaped = pc.and_not(pc.match_substring_regex(column, SUSPECT), pc.match_substring_regex(column, _DATED))
        shaped = shaped.to_numpy(zero_copy_only=False)
        named = self.index.suspects("\x1e" + "\x1e".join(cleaned) + "\x1e")
        guilty = set()
        for place in np.union1d(np.flatnonzero(shaped), named).tolist():
            text = cleaned[place]
            for leak in find_leaks([text], self.index):
                if leak.kind in _FROM_CHARACTERS and self._is_harmless(text, leak, mode):
                    continue
                guilty.add(place)
                yield numbers[place], "link" if leak.kind == "url" else leak.kind, text[leak.start : leak.end]
        harmless.update(hash(texts[number]) for place, number in enumerate(numbers) if place not in guilty)

    def _is_harmless(self, text: str, leak: Leak, mode: Mode) -> bool:
        start, end = leak.start, leak.end
        if self.own.says(text, start, end, written=mode != "said"):
            return True
        if leak.kind != "name":
            return False
        # A word that is a name by its capital within a sentence only: a title gives the flower one too, and where
        # sentences run together nothing can be told from it. The pages hold the same text with its bounds.
        if mode == "flat":
            return not self._is_named(f"x {text[start:end].lower()} x")
        return mode == "written" and not start and not self._is_named(f"x {text[0].lower()}{text[1:]}")

    def _is_named(self, text: str) -> bool:
        """Whether a name begins at the third character."""
        from egregora.stages.privacy import find_leaks

        return any(leak.start == 2 for leak in find_leaks([text], self.index))

    def hide(self, text: str) -> str:
        """A path or an id with everything masked that would give somebody away."""
        for _, _, found in sorted(self.leaks([text], "written"), key=lambda leak: -len(leak[2])):
            text = text.replace(found, mask(found))
        return text

    def parts(self, texts: Iterable[str]) -> Iterator[str]:
        """Pieces of written texts, without those that are the program's or the owner's."""
        for text in texts:
            if self.own.address and self.own.address in text:
                text = text.replace(self.own.address, "")
            for part in text.split(" · ") if " · " in text else (text,):
                line = part.strip()
                if line and line not in self.own.texts:
                    yield line


def mask(text: str) -> str:
    """The first character."""
    return f"{text[:1]}…"


def audit_pages(pages: Iterable[tuple[str, str, str]], *, blobs: Path, parsed: Path, config: Config) -> list[Finding]:
    """Search pages that are about to be laid out. Cheap: for authors, titles and patterns, not for who is only named.

    What is found in this way is looked at once more as `audit_site` would, so that the two never disagree.

    Args:
        pages: Path on the site, blob id and kind of each file, as in `PAGES`.
        blobs: The folder of the blobs.
        parsed: The checkpoint of `parse` that they come from.
        config: The site's configuration.

    Raises:
        BlobError: a page's bytes are missing.
    """
    from egregora.stages.privacy import phone_region

    search = _Search(_quick_index(parsed, config), _own(config))
    places: dict[str, list[str]] = {}
    for path, blob, kind in pages:
        texts = [path]
        # The search index holds the posts' text once more.
        if kind in ("page", "feed"):
            try:
                texts += _file_texts(path, _read(blobs / blob))
            except FileNotFoundError:
                raise BlobError(
                    f"the file {blob[:12]}… is missing from the site's blobs", hint="run again with --force publish"
                ) from None
        for text in set(texts):
            places.setdefault(text, []).append(path)
    # What pages share is cut into parts once.
    parts = [(part, paths) for text, paths in places.items() for part in search.parts([text])]
    suspected = sorted({number for number, _, _ in search.leaks([part for part, _ in parts], "written")})
    if not suspected:
        return []
    # Glued to each other, parts of aliases may spell a name ("#PeacefulLadybird"): now it pays to know them.
    search = _Search(_read_roster(parsed, config).index(phone_region(config)), search.own)
    found: Counter[tuple[str, str, str]] = Counter()
    for number, kind, words in search.leaks([parts[number][0] for number in suspected], "written"):
        for path in parts[suspected[number]][1]:
            found[path, kind, words] += 1
    return [
        Finding(search.hide(path), "", kind, mask(words), count) for (path, kind, words), count in sorted(found.items())
    ]


def summary(findings: Sequence[Finding]) -> str:
    """Findings in half a sentence, masked."""
    things = len({(one.kind, one.masked) for one in findings})
    pages = list(dict.fromkeys(one.where for one in findings))
    kinds = ", ".join(dict.fromkeys(f"{one.kind} {one.masked}" for one in findings[:3]))
    more = f" and {len(pages) - 1} more" if len(pages) > 1 else ""
    count = sum(one.count for one in findings)
    return f"{kinds}{', …' if things > 3 else ''} in {pages[0]}{more} ({count} {'place' if count == 1 else 'places'})"


def _quick_index(parsed: Path, config: Config) -> NameIndex:
    """Authors, titles and the owner's words, read in milliseconds.

    Without the aliases: no part of one is anybody's name, and they stand in every other line.
    """
    import duckdb

    from egregora.patterns import phone_digits
    from egregora.stages.privacy import phone_region
    from egregora.stages.privacy_names import Entity, NameIndex, clean

    with duckdb.connect() as con:
        raw = f"FROM read_parquet({literal(parsed)}, hive_partitioning = false)"
        authors = [name for (name,) in con.execute(f"SELECT DISTINCT author_raw {raw} ORDER BY 1").fetchall() if name]
        titles = [name for (name,) in con.execute(f"SELECT DISTINCT thread_raw {raw} ORDER BY 1").fetchall() if name]
    region = phone_region(config)
    entities = []
    for name in authors:
        digits = phone_digits(clean(name).strip("~ \u202f\u00a0\u2068\u2069"), region)
        entities.append(Entity((name,), "", "person", (digits,) if digits else ()))
    entities += [Entity((title,), "", "group") for title in titles]
    entities += [Entity((word.get_secret_value(),), "", "word") for word in config.privacy.also_redact]
    return NameIndex(entities, region)


# --- A whole site ----------------------------------------------------------------------------------------------------


def audit_site(
    storage: StorageManager, config: Config, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Audit:
    """Search everything that left the privacy stage: checkpoints, blobs, the site's folder, catalog, journals.

    Args:
        storage: The site's records.
        config: The site's configuration, with its key.
        progress: Told how many files are done, and of how many.

    Raises:
        PrivacyError: the site has no key.
        StorageError: the site's records can't be read.
    """
    from egregora.stages.privacy import phone_region
    from egregora.stages.privacy_names import NameIndex

    current = _current(storage)
    roster = _roster(storage, config, current.get("parse"))
    region = phone_region(config)
    words = _Search(roster.index(region) if roster else NameIndex([], region), _own(config))
    audit = Audit(len(roster.people) if roster else None)
    site = storage.directory.parent
    newest = {storage.checkpoint_dir / stage / name for stage, name in current.items()}
    blobs = {blob for path in newest for blob in _blobs(path)}
    files = [
        path
        for folder in (storage.directory, site / "site")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not _is_apart(path, storage)
    ]
    collected = _Collected(words, audit, _assets(storage))
    for done, path in enumerate(files):
        progress(done, len(files) + 1)
        where = path.relative_to(site).as_posix()
        if path.suffix == ".parquet" and storage.checkpoint_dir in path.parents:
            _search_checkpoint(path, where, collected, older=path not in newest)
        else:
            kind = "journal" if path.parent == storage.journal_dir else "file"
            older = path.parent == storage.directory / "blobs" and path.name not in blobs
            _search_file(path, where, kind, collected, older=older)
    collected.finish()
    progress(len(files), len(files) + 1)
    _search_catalog(storage, collected)
    progress(len(files) + 1, len(files) + 1)
    audit.findings.sort(key=lambda one: (one.older, one.where, one.kind, one.masked))
    return audit


def _current(storage: StorageManager) -> dict[str, str]:
    """For each stage, the file name of the checkpoint that its newest completed run points to."""
    with storage.reading() as con:
        found = con.execute(
            "SELECT stage, arg_max(input_fingerprint, started_at) FROM runs WHERE status = 'completed' "
            f"AND parent_run_id IS NULL AND checkpoint_sha256 IS NOT NULL AND {NO_REPLAY} GROUP BY stage"
        ).fetchall()
    return {stage: f"{fingerprint.partition(':')[2]}.parquet" for stage, fingerprint in found}


def _roster(storage: StorageManager, config: Config, name: str | None) -> Roster | None:
    """Everybody, from the newest raw checkpoint; None if it isn't there."""
    if not config.site_key.get_secret_value():
        raise PrivacyError(
            "the site's key is not there, so nobody can tell which alias is whom",
            hint="put it back from a backup: .egregora/key",
        )
    path = storage.checkpoint_dir / "parse" / (name or "none")
    return _read_roster(path, config) if path.exists() else None


def _read_roster(parsed: Path, config: Config) -> Roster:
    import ibis

    from egregora.pipeline.checkpoint import bind
    from egregora.stages.privacy import phone_region, read_roster

    roster, _, _ = read_roster(
        bind(ibis.duckdb.connect(), parsed, f"sha256:{parsed.stem}"),
        key=config.site_key.get_secret_value(),
        region=phone_region(config),
        also_redact=[word.get_secret_value() for word in config.privacy.also_redact],
    )
    return roster


def _assets(storage: StorageManager) -> frozenset[str]:
    """Hashes of the scripts, styles and icons that every site has: nothing of a chat goes into them."""
    import duckdb

    found: set[str] = set()
    for path in storage.checkpoint_dir.glob("publish/*.parquet"):
        with contextlib.suppress(duckdb.Error), duckdb.connect() as con:
            rows = con.execute(f"SELECT blob FROM read_parquet({literal(path)}) WHERE kind = 'asset'").fetchall()
            found |= {blob.partition(".")[0] for (blob,) in rows}
    return frozenset(found)


def _blobs(checkpoint: Path) -> Iterable[str]:
    from egregora.pipeline.checkpoint import read_blobs

    return read_blobs(checkpoint)


def _is_apart(path: Path, storage: StorageManager) -> bool:
    """Whether a file is what may hold names (raw checkpoints, the key), the catalog, a lock, or about code alone."""
    if storage.checkpoint_dir / "parse" in path.parents:
        return True
    return path.parent == storage.directory and (
        path.name in ("key", ".gitignore", "code.json")
        or path.name.endswith(".lock")
        or path.name == storage.db_path.name
    )


_PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp")


def _is_picture(name: str) -> bool:
    return name.lower().endswith(_PICTURES)


class _Collected:
    """Texts by where they stand, searched many at a time, so that what pages share is searched once."""

    LIMIT = 200_000

    def __init__(self, search: _Search, audit: Audit, assets: frozenset[str]) -> None:
        self.search = search
        self.audit = audit
        self.assets = assets
        self._places: dict[Mode, dict[str, list[tuple[str, Path, bool]]]] = {"written": {}, "flat": {}}

    def add(self, texts: Iterable[str], where: str, path: Path, *, older: bool) -> None:
        """The texts of a file."""
        held = self._places["flat" if path.suffix in (".js", ".json") else "written"]
        for text in dict.fromkeys(self.search.parts(texts)):
            held.setdefault(text, []).append((where, path, older))
        if len(held) > self.LIMIT:
            self.finish()

    def finish(self) -> None:
        """Search what was collected."""
        found: Counter[tuple[str, Path, bool, str, str]] = Counter()
        for mode, held in self._places.items():
            texts = list(held)
            for number, kind, words in self.search.leaks(texts, mode):
                for where, path, older in held[texts[number]]:
                    found[where, path, older, kind, words] += 1
            held.clear()
        for (where, path, older, kind, words), count in found.items():
            at = _line_of(path, words)
            self.audit.findings.append(Finding(self.search.hide(where), at, kind, mask(words), count, older))

    def table(self, rows: Any, where: str, key: str, columns: Sequence[str], mode: Mode, *, older: bool) -> None:
        """Search columns of a stream of Arrow batches.

        Args:
            rows: A `pyarrow.RecordBatchReader`.
            where: The table.
            key: The column that tells rows apart.
            columns: Those with text in them.
            mode: What its texts are.
            older: As in `Finding`.
        """
        found: Counter[tuple[str, str, str]] = Counter()
        first: dict[tuple[str, str, str], str] = {}
        for batch in rows:
            self.audit.searched["rows"] += batch.num_rows
            ids = batch.column(key)
            for name in columns:
                places: dict[str, list[int]] = {}
                for row, text in _cells(name, batch.column(name)):
                    for part in (text,) if mode == "said" else self.search.parts([text]):
                        if part not in self.search.own.texts:
                            places.setdefault(part, []).append(row)
                texts = list(places)
                for number, kind, words in self.search.leaks(texts, mode):
                    leak = (name, kind, words)
                    found[leak] += len(places[texts[number]])
                    first.setdefault(leak, str(ids[places[texts[number]][0]]))
        for leak, count in found.items():
            name, kind, words = leak
            at = f"row {self.search.hide(first[leak])}"
            self.audit.findings.append(Finding(f"{where}, {name}", at, kind, mask(words), count, older))


def _cells(name: str, column: Any) -> Iterator[tuple[int, str]]:
    """The texts of a column, with the number of their row."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        import pyarrow.compute as pc

        packed = column.dictionary_encode()
        # Ids are hashes; they are most of what most tables hold.
        hashes = pc.match_substring_regex(
            packed.dictionary, r"^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
        )
        texts = [
            None if hashed or text is None else list(_cell_texts(name, text))
            for text, hashed in zip(packed.dictionary.to_pylist(), hashes.to_pylist(), strict=True)
        ]
        for row, number in enumerate(packed.indices.to_pylist()):
            if number is not None:
                for text in texts[number] or ():
                    yield row, text
        return
    for row, value in enumerate(column.to_pylist()):
        for text in _values(value):
            yield row, text


def _cell_texts(name: str, text: str) -> Iterator[str]:
    if name == "config":
        yield from _config_texts(text)
    elif name == "body":
        yield from _ESCAPE.sub(r"\1", text).split("\n\n")
    else:
        yield from _unpacked(text)


def _values(value: object) -> Iterator[str]:
    """The texts of a nested value, whose field names are declared."""
    if isinstance(value, str):
        yield from _unpacked(value)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _values(part)
    elif isinstance(value, list):
        for part in value:
            yield from _values(part)


def _config_texts(text: str) -> Iterator[str]:
    """The texts of a configuration but those that its owner publishes: what the site is, and its timezone."""
    for key, part in json.loads(text).items():
        if key.partition(".")[0] == "site" or key == "parse.timezone":
            continue
        values = {name: value for name, value in part.items() if name != "timezone"} if isinstance(part, dict) else part
        yield from _values(values)


def _search_checkpoint(path: Path, where: str, collected: _Collected, *, older: bool) -> None:
    import duckdb

    con = duckdb.connect()
    source = f"FROM read_parquet({literal(path)}, hive_partitioning = false)"
    try:
        types = {row[0]: row[1] for row in con.execute(f"DESCRIBE {source}").fetchall()}
        if "author_raw" in types:
            return
        stage = path.parent.name
        columns = [name for name, kind in types.items() if "VARCHAR" in kind]
        key = next((name for name in ("event_id", "post_id", "path") if name in types), next(iter(types)))
        rows = con.execute(source).to_arrow_reader(BATCH_ROWS)
        mode: Mode = "said" if stage in ("privacy", "enrich") else "written"
        collected.table(rows, where, key, columns, mode, older=older)
        collected.audit.searched["checkpoints"] += 1
    except duckdb.Error:
        collected.audit.unread.append(collected.search.hide(where))
    finally:
        con.close()


_ROW_KEYS = ("event_id", "post_id", "run_id", "config_hash", "code_hash", "owner", "name")


def _search_catalog(storage: StorageManager, collected: _Collected) -> None:
    # The catalog's lock is held meanwhile; writers go on in their journals.
    with storage.reading() as con:
        # Views lie over the tables that journals add to; `messages` and `posts` are in the catalog alone.
        tables = con.execute(
            "SELECT table_name, bool_or(table_catalog = 'memory') FROM information_schema.tables "
            "WHERE table_name NOT LIKE '%overlay' GROUP BY table_name ORDER BY table_name"
        ).fetchall()
        for name, overlaid in tables:
            source = f'FROM "{name}"' if overlaid else f'FROM cat."{name}"'
            types = {row[0]: row[1] for row in con.execute(f"DESCRIBE {source}").fetchall()}
            columns = [column for column, kind in types.items() if "VARCHAR" in kind]
            key = next((column for column in _ROW_KEYS if column in types), next(iter(types)))
            if columns:
                rows = con.execute(f'SELECT * REPLACE ("{key}"::VARCHAR AS "{key}") {source}').to_arrow_reader(
                    BATCH_ROWS
                )
                mode: Mode = "said" if name == "messages" else "written"
                collected.table(rows, f"catalog, table {name}", key, columns, mode, older=False)
                collected.audit.searched["tables"] += 1


def _search_file(path: Path, where: str, kind: str, collected: _Collected, *, older: bool) -> None:
    audit = collected.audit
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError):
        audit.unread.append(collected.search.hide(where))
        return
    audit.searched[f"{kind}s"] += 1
    texts = [where]
    if _is_picture(path.name):
        texts += _picture_texts(data)
    elif b"\0" in data[:8192]:
        audit.unread.append(collected.search.hide(where))
    elif kind == "journal":
        texts += [text for line in data.decode(errors="replace").splitlines() for text in _event_texts(line)]
    elif hashlib.sha256(data).hexdigest() not in collected.assets:
        texts += _file_texts(path.name, data.decode(errors="replace"))
    collected.add(texts, where, path, older=older)


def _event_texts(line: str) -> Iterator[str]:
    """The texts of a journal's line."""
    from egregora.database.journal import parse_event

    event = parse_event(line.encode())
    if event is None:
        yield line
        return
    for name, value in event.items():
        yield from _config_texts(value) if name == "config" else _values(value)


def _picture_texts(data: bytes) -> Iterator[str]:
    """The texts that a picture carries along; for a place in it, coordinates."""
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as picture:
            exif = picture.getexif()
            carried = [*picture.info.values(), *exif.values(), *exif.get_ifd(0x8769).values()]
            gps = exif.get_ifd(0x8825)
            if 2 in gps and 4 in gps:
                north, east = (sum(float(part) / 60**power for power, part in enumerate(gps[key])) for key in (2, 4))
                yield f"{north:.6f}, {east:.6f}"
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return
    for value in carried:
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, str):
            yield from _WORDS_IN_BYTES.findall(value)


_WORDS_IN_BYTES = re.compile(r"[^\x00-\x1f\x7f-\x9f\ufffd]{3,}")


def _line_of(path: Path, words: str) -> str:
    """The first line of a file with these words, which may be written with entities or in JSON; empty if none has."""
    from egregora.stages.privacy_names import clean

    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError):
        return ""
    if b"\0" in data[:8192]:
        return ""
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        if words in clean(html.unescape(line)):
            return f"line {number}"
    return ""


# --- Who is who ------------------------------------------------------------------------------------------------------


def who(storage: StorageManager, config: Config, alias: str) -> Person:
    """Whose alias that is, from the raw checkpoint and the site's key.

    Raises:
        PrivacyError: the key or the checkpoint is missing, or nobody has that alias.
    """
    import difflib

    from egregora.stages.privacy_names import SOMEONE, fold

    roster = _roster(storage, config, _current(storage).get("parse"))
    if roster is None:
        raise PrivacyError(
            "the checkpoint of the parse stage, which holds the names, is not there",
            hint="have it made again: egregora write EXPORT --up-to parse",
        )
    wanted = fold(" ".join(alias.split()))
    known = {fold(person.alias): person for person in roster.people if not person.opted_out}
    if wanted in known:
        return known[wanted]
    if wanted == SOMEONE:
        raise PrivacyError(
            f"'{SOMEONE}' is nobody's alias: it stands for who opted out, or whom nothing settles",
            hint="see the aliases on the site's people page",
        )
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.0)
    names = ", ".join(known[one].alias for one in near)
    raise PrivacyError(f"nobody has the alias '{alias}'", hint=f"the nearest: {names}" if names else "")
