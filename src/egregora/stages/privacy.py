"""The privacy stage: nobody's name, number or address goes further than this.

It reads the messages twice. A first pass learns who is there: authors, people and titles in system notices, mentions,
contact cards, pasted quotes, and what people asked for in the chat (`/egregora set alias NAME`, `opt-out`, `opt-in`).
The second pass goes through batches of rows: a cheap test over the whole batch (one automaton for all names, one
regular expression for all that has a form) tells which rows may hold anything at all; only these are looked at one by
one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from egregora.config import country_of
from egregora.database.ir_schema import MESSAGES, RAW_MESSAGES
from egregora.errors import PrivacyError
from egregora.patterns import SUSPECT, find_patterns, phone_digits
from egregora.pipeline.stage import Stage, StageContext
from egregora.stages.privacy_names import ODD, SOMEONE, Entity, NameIndex, clean, fold, is_pronoun, name_words
from egregora.stages.privacy_notices import read_notice
from egregora.stages.privacy_words import ADJECTIVES, NOUNS

if TYPE_CHECKING:
    import ibis

__all__ = [
    "STAGE",
    "Cleaner",
    "Leak",
    "Person",
    "Roster",
    "author_id",
    "find_leaks",
    "phone_region",
    "privacy",
    "read_roster",
]

BATCH_ROWS = 16_384
PRIVATE_REPLACEMENTS = {"group": "[group]", "word": "[redacted]", "outsider": SOMEONE}


@dataclass(frozen=True)
class Person:
    """A participant.

    Attributes:
        author_id: Keyed uuid5.
        alias: Friendly name; `someone` for who opted out.
        names: The name as written, in every variant that occurs as author or in notices, sorted.
        phone: Digits with country code, where the name is a number.
        opted_out: Whether they asked to be left out.
    """

    author_id: str
    alias: str
    names: tuple[str, ...]
    phone: str | None = None
    opted_out: bool = False


@dataclass(frozen=True)
class Roster:
    """Who and what a chat must not show: people, titles, outsiders (named, but no participants), further words."""

    people: tuple[Person, ...]
    titles: tuple[str, ...] = ()
    outsiders: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def index(self, region: str) -> NameIndex:
        """All names of the roster, with what replaces them."""
        entities = [
            Entity(person.names, person.alias, "person", (person.phone,) if person.phone else ())
            for person in self.people
        ]
        entities += [Entity((person.alias,), person.alias, "alias") for person in self.people if not person.opted_out]
        for kind, names in (("word", self.words), ("outsider", self.outsiders), ("group", self.titles)):
            entities += [Entity((name,), PRIVATE_REPLACEMENTS[kind], kind) for name in names]
        return NameIndex(entities, region)


# --- Authors ---------------------------------------------------------------------------------------------------------

_PHONE_NAME = re.compile(r"[\s~+\d().\-\u2010-\u2015\u00a0/]{6,40}")


def _normal_name(name: str, region: str) -> tuple[str, str | None]:
    """The form in which an author is one author, and the phone number if that is what the name is."""
    cleaned = " ".join(clean(name).strip("~ \u202f\u00a0\u2068\u2069").split())
    if _PHONE_NAME.fullmatch(cleaned):
        digits = phone_digits(cleaned, region) or re.sub(r"\D", "", cleaned)
        if digits:
            return f"+{digits}", digits
    return cleaned, None


def author_id(key: bytes, normal_name: str) -> str:
    """The author's id under the site's key, in the form of a version-5 UUID (RFC 9562)."""
    digest = bytearray(hmac.new(key, b"author\x00" + normal_name.encode(), hashlib.sha256).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _alias_candidates(identity: str) -> Iterator[str]:
    """Friendly names in the order in which this person would take them, without end."""
    turn = 0
    while True:
        number = int.from_bytes(hashlib.sha256(f"{identity}:{turn}".encode()).digest()[:8], "big")
        pair = f"{ADJECTIVES[number % len(ADJECTIVES)]} {NOUNS[number // 1009 % len(NOUNS)]}"
        yield pair if turn < 1000 else f"{pair} {turn}"
        turn += 1


_ALIAS = re.compile(r"[^\W_](?:[^\W_]|[ .'’\-](?=[^\W_])){0,30}[^\W_]\.?")
_RESERVED = frozenset(
    (
        "someone",
        "somebody",
        "anyone",
        "nobody",
        "everyone",
        "everybody",
        "alguem",
        "ninguem",
        "admin",
        "egregora",
        "system",
        "group",
    )
)


def _chosen_alias(wanted: str) -> str | None:
    """An alias that someone asked for, cleaned; None if it can't be one."""
    alias = " ".join(clean(wanted).strip().strip("\"'“”‘’").split())
    if not 2 <= len(alias) <= 32 or not _ALIAS.fullmatch(alias) or sum(map(str.isdecimal, alias)) > 4:
        return None
    if not any(map(str.isalpha, alias)) or fold(alias) in _RESERVED or is_pronoun(alias) or find_patterns(alias):
        return None
    return alias


# --- The first pass: who is there ------------------------------------------------------------------------------------

_COMMAND = re.compile(r"\s*/\s*egregora\b[\s:]*(.*)", re.IGNORECASE | re.DOTALL)
_SET_ALIAS = re.compile(r"set[\s_\-\u2010-\u2015]*alias\b[\s:=]*(\S.*?)\s*", re.IGNORECASE | re.DOTALL)
_OPT = re.compile(r"opt[\s_\-\u2010-\u2015]*(in|out)[\s.!]*", re.IGNORECASE)

# "[10/05/24, 10:00] Ana: hi" and "10/05/24, 10:00 - Ana: hi", pasted from another chat.
_HOURS = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[\s\u202f]?[ap]\.?[\s\u202f]?m\.?)?"
_CLOCK = rf"\d{{1,4}}[-./年]\s?\d{{1,2}}[-./月]\s?\d{{1,4}}日?,?\s+(?:klo\s)?{_HOURS}"
_PASTED = re.compile(
    rf"^[ \t>]*(?:\[{_CLOCK}\]\s?|{_CLOCK}\s?[-–]\s|\[?{_HOURS}[,\s]+\d{{1,4}}[-./]\d{{1,2}}[-./]\d{{1,4}}\]\s?)"
    r"(?P<name>[^:\n]{1,60}?)\s?:(?P<said>[^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
# A wider net for DuckDB (RE2): a date, a clock and a colon after them.
_PASTED_SQL = r"\d[-./]\d{1,4}\]?,?[\s\x{202f}]+.{0,5}\d[:.]\d\d.*:|\d[:.]\d\d.{0,12}[-./]\d{1,2}[-./]\d.*:"
_MENTION = re.compile("@[~\u202f]?[\u2066-\u2068]([^\u2066-\u2069\n]{1,60})\u2069")
_CARD_FILE = re.compile(r"(?i)^(.{1,80})\.vcf$")


def _run_queries(table: ibis.Table) -> tuple[list[tuple[Any, ...]], list[str], list[tuple[Any, ...]]]:
    """Authors by first message, titles, and the rows that the first pass reads."""
    con, raw = table.get_backend().con, f"({table.compile()})"
    authors = con.execute(
        f"SELECT author_raw, min(ts) FROM {raw} WHERE author_raw IS NOT NULL GROUP BY 1 ORDER BY 2, 1"
    ).fetchall()
    titles = con.execute(f"SELECT DISTINCT thread_raw FROM {raw} WHERE thread_raw IS NOT NULL ORDER BY 1").fetchall()
    telling = con.execute(
        f"""SELECT author_raw, kind, text, attrs, attachment, ts FROM {raw}
        WHERE kind IN ('system', 'contact') OR contains(text, '/egregora') OR contains(text, '\u2068')
           OR (contains(text, '/') AND regexp_matches(text, '(?i)^\\s*/\\s*egregora'))
           OR attachment LIKE '%.vcf' OR (contains(text, ':') AND regexp_matches(text, ?))
        ORDER BY ts, thread_id, seq""",
        [_PASTED_SQL],
    ).fetchall()
    return authors, [title for (title,) in titles], telling


class _Census:
    """Collects people in the order in which they appear, so that late-comers never rename the early ones."""

    def __init__(self, key: bytes, region: str) -> None:
        self.key, self.region = key, region
        self.names: dict[str, set[str]] = {}
        self.phones: dict[str, str | None] = {}

    def author(self, name: str) -> str:
        """Take in who wrote a message: always somebody, whatever the name is made of."""
        return self.add(name) or self._enter(f"?{name}", name, None)

    def add(self, name: str) -> str | None:
        """Take in somebody who is named; None for "You" and for what is no name."""
        normal, phone = _normal_name(name, self.region)
        return None if not normal or is_pronoun(normal) else self._enter(normal, name, phone)

    def _enter(self, normal: str, name: str, phone: str | None) -> str:
        self.names.setdefault(normal, set()).add(name)
        self.phones[normal] = phone
        return normal


def read_roster(
    table: ibis.Table, *, key: bytes, region: str = "US", also_redact: Iterable[str] = ()
) -> tuple[Roster, dict[str, Person], Counter[str]]:
    """Learn who and what the messages must not show.

    Args:
        table: `RAW_MESSAGES` rows.
        key: The site's secret key.
        region: Country (ISO 3166) in which phone numbers without country code are read.
        also_redact: Further words to take out.

    Returns:
        The roster; the person for every value of `author_raw`; counts (`commands`, `aliases set`, `aliases refused`).

    Raises:
        PrivacyError: there is no key.
    """
    if not key:
        raise PrivacyError(
            "this site has no secret key, so nobody's name can be protected", hint="run: egregora init DIR"
        )
    authors, titles, telling = _run_queries(table)
    census = _Census(key, region)
    of_author = {name: census.author(name) for name, _first in authors}
    outsiders: list[str] = []
    wishes: dict[str, str] = {}
    opted: dict[str, bool] = {}
    counts: Counter[str] = Counter()
    for author, kind, text, attrs, attachment, _ts in telling:
        text = text or ""
        if kind == "system":
            notice = read_notice(text)
            if notice is not None:
                for start, end in notice.people:
                    census.add(notice.text[start:end])
                titles += [notice.text[start:end] for start, end in notice.titles]
            continue
        command = _COMMAND.match(text)
        if command and author is not None:
            counts["commands"] += 1
            person = of_author[author]
            wish, choice = _SET_ALIAS.fullmatch(command[1]), _OPT.fullmatch(command[1])
            if wish:
                wishes[person] = wish[1]
            elif choice:
                opted[person] = choice[1].lower() == "out"
            continue
        for mention in _MENTION.finditer(text):
            census.add(mention[1])
        for card in (attachment, *text.splitlines()):
            named = _CARD_FILE.match(clean(card or "").strip())
            if named:
                outsiders.append(named[1])
        if kind == "contact":
            outsiders += [value for value in _strings(json.loads(attrs or "{}")) if value.strip()]
        outsiders += [match["name"] for match in _PASTED.finditer(clean(text))]
    known = {_normal_name(name, region)[0] for name in outsiders}
    outsiders = sorted({name for name in known if name not in census.names and not name.startswith("+")} - {""})
    titles = sorted({clean(title).strip() for title in titles} - {""} - set(census.names))
    people = _aliased(census, wishes, opted, counts)
    of_raw = {name: people[normal] for name, normal in of_author.items()}
    words = tuple(sorted({word.strip() for word in also_redact} - {""}))
    return Roster(tuple(people.values()), tuple(titles), tuple(outsiders), words), of_raw, counts


def _strings(value: object) -> Iterator[str]:
    """The texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _aliased(
    census: _Census, wishes: dict[str, str], opted: dict[str, bool], counts: Counter[str]
) -> dict[str, Person]:
    """Give everyone an alias: no one's name, and no two the same.

    Who appeared first chooses first, so that a new participant renames nobody, unless they bear a word of an alias.
    """
    borne = {word for name in census.names for word in name_words(name)}
    names = NameIndex([Entity((name,), "", "person") for name in census.names], census.region)
    people: dict[str, Person] = {}
    taken: set[str] = set()
    for normal, written in census.names.items():
        identity = author_id(census.key, normal)
        for alias in _alias_candidates(identity):
            if alias not in taken and borne.isdisjoint(fold(alias).split()) and not names.named(alias):
                break
        taken.add(alias)
        out = opted.get(normal, False)
        people[normal] = Person(identity, SOMEONE if out else alias, tuple(sorted(written)), census.phones[normal], out)
    folded_taken = {fold(alias) for alias in taken}
    for normal, wish in wishes.items():
        chosen = _chosen_alias(wish)
        if people[normal].opted_out:
            continue
        if (
            chosen is None
            or fold(chosen) in folded_taken
            or borne & set(name_words(chosen))
            or names.find(chosen)
            or names.named(chosen)
        ):
            counts["aliases refused"] += 1
            continue
        folded_taken.add(fold(chosen))
        counts["aliases set"] += 1
        people[normal] = replace(people[normal], alias=chosen)
    return people


# --- The second pass: rows -------------------------------------------------------------------------------------------

_CAMERA_NAME = re.compile(
    r"(?i)(?:(?:IMG|VID|AUD|PTT|STK|DOC|GIF)-\d{8}-WA\d{1,6}|\d{1,10}-(?:PHOTO|VIDEO|AUDIO|STICKER|GIF)-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d|[0-9a-f]{16,64})\.[a-z0-9]{2,5}"
)
_EXTENSIONS = frozenset(
    """
    jpg jpeg png gif webp heic heif bmp tif tiff svg mp4 mov avi mkv webm 3gp m4v mp3 m4a ogg opus wav aac amr
    flac pdf doc docx odt rtf txt md xls xlsx ods csv ppt pptx odp zip rar 7z gz tar vcf ics epub html htm json
    xml apk psd key pages numbers was
    """.split()  # noqa: SIM905
)
_DOCUMENT = re.compile(r"(?P<name>[^\n]{1,200}?)\.(?P<ext>[A-Za-z0-9]{2,5})(?P<rest> • [^\n]*)?")
_SPECIAL_KINDS = pa.array(["system", "location", "contact"])
_CLEAN_ATTRS = re.compile(r'\{(?:"member":\[\d+,\d+\])?\}')


def _neutral_name(name: str, media_type: str | None) -> str:
    """A file name that tells nothing: camera names stay, others become their kind."""
    name = clean(name).strip()
    if _CAMERA_NAME.fullmatch(name):
        return name
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if extension == "vcf":
        return "contact.vcf"
    return f"{media_type or 'file'}{'.' + extension if extension in _EXTENSIONS else ''}"


class Cleaner:
    """Cleans rows by what the first pass learned, and counts what it replaced."""

    def __init__(self, roster: Roster, region: str) -> None:
        self.roster = roster
        self.region = region
        self.index = roster.index(region)
        self.counts: Counter[str] = Counter()
        self._people = {name: person for person in roster.people for name in person.names}
        self._by_normal = {_normal_name(name, region)[0]: person for name, person in self._people.items()}
        self._aliases = {person.alias for person in roster.people}
        self._notices: dict[str, str] = {}

    def _count(self, kind: str) -> None:
        self.counts[kind] += 1

    def redact(self, text: str, shaped: bool = True) -> str:
        """A body without names and personal data, pasted quotes included; `shaped` as for `NameIndex.find`."""
        if shaped and ":" in text:
            text = self._unquoted(clean(text))
        return self.index.redact(text, self._count, shaped)

    def _unquoted(self, text: str) -> str:
        """Pasted lines under the alias of who wrote them; those of who opted out are gone, with what follows them."""
        quotes = list(_PASTED.finditer(text))
        if not quotes:
            return text
        result = [text[: quotes[0].start()]]
        for quote, following in zip(quotes, [*quotes[1:], None], strict=True):
            end = following.start() if following else len(text)
            person = self._by_normal.get(_normal_name(quote["name"], self.region)[0])
            name = quote["name"].strip()
            if person is None and name not in self._aliases:
                name = SOMEONE
            if person is None or not person.opted_out:
                name = person.alias if person else name
                result += [text[quote.start() : quote.start("name")], name, text[quote.end("name") : end]]
            self._count("name")
        return "".join(result)

    def notice(self, text: str) -> str:
        """A system notice with the names in it replaced; `[notice]` where its form is not known."""
        if text not in self._notices:
            self._notices[text] = self._notice(text)
        return self._notices[text]

    def _notice(self, text: str) -> str:
        notice = read_notice(text)
        if notice is None:
            return "[notice]"
        spans = [(start, end, self._alias_of(notice.text[start:end])) for start, end in notice.people]
        spans += [(start, end, "[group]") for start, end in notice.titles]
        result, at = [], 0
        for start, end, replacement in sorted(spans):
            self._count("name")
            result += [self.index.redact(notice.text[at:start], self._count), replacement]
            at = end
        return "".join(result) + self.index.redact(notice.text[at:], self._count)

    def _alias_of(self, name: str) -> str:
        person = self._by_normal.get(_normal_name(name, self.region)[0])
        return person.alias if person else SOMEONE

    def texts(self, texts: pa.StringArray, kinds: pa.StringArray) -> pa.StringArray:
        """The bodies of a batch, cleaned; `kinds` of the same rows."""
        odd = pc.match_substring_regex(texts, ODD)
        texts = pc.replace_with_mask(texts, odd, pa.array(map(clean, texts.filter(odd).to_pylist()), texts.type))
        rows = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
        joined = "\x1e" + pc.binary_join(rows, "\x1e")[0].as_py() + "\x1e"
        if not unicodedata.is_normalized("NFC", joined):
            joined = unicodedata.normalize("NFC", joined)
            texts = pa.array(joined.split("\x1e")[1:-1], texts.type)
        shaped = pc.match_substring_regex(texts, SUSPECT)
        suspect = pc.or_(shaped, pc.is_in(kinds, _SPECIAL_KINDS)).to_numpy(zero_copy_only=False)
        suspect[self.index.suspects(joined)] = True
        mask = pa.array(suspect)
        columns = (column.filter(mask).to_pylist() for column in (texts, kinds, shaped))
        return pc.replace_with_mask(texts, mask, pa.array(map(self._text, *columns), texts.type))

    def _text(self, text: str, kind: str, shaped: bool) -> str:
        """The body of a row of this kind, cleaned."""
        if kind == "system":
            return self.notice(text)
        if kind == "location":
            return "[place]"
        return "" if kind == "contact" else self.redact(text, shaped)

    def attrs(self, attrs: str, kind: str) -> str:
        """The JSON of a row with its texts cleaned; a place and a contact lose everything but the archive's member."""
        if _CLEAN_ATTRS.fullmatch(attrs):
            return attrs
        value = json.loads(attrs)
        kept = {"member": value["member"]} if "member" in value else {}
        if kind == "poll":
            kept |= {key: part for key, part in value.items() if key in ("question", "options")}
        return json.dumps(self._json(kept), ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    def _json(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, list):
            return [self._json(part) for part in value]
        if isinstance(value, dict):
            return {key: self._json(part) for key, part in value.items()}
        return value


def phone_region(config: Any) -> str:
    """The country in which a phone number without country code is read: as set, else the timezone's, else `US`."""
    region: str = config.privacy.default_region
    return region if region != "auto" else country_of(config.parse.timezone) or "US"


def privacy(table: ibis.Table, config: Any, *, run_id: str, context: StageContext) -> pa.RecordBatchReader:
    """Replace names and personal data in messages.

    Args:
        table: `RAW_MESSAGES` rows, any order.
        config: Reads `privacy.*`, `parse.timezone` and `site_key`.
        run_id: Of the run in progress.
        context: Gets counts, never a name.

    Returns:
        `MESSAGES` rows in the order of the input, without in-chat commands and without the messages of who opted out.

    Raises:
        PrivacyError: the site has no key.
    """
    key = config.site_key.get_secret_value()
    region = phone_region(config)
    words = [word.get_secret_value() for word in config.privacy.also_redact]
    roster, of_raw, counts = read_roster(table, key=key, region=region, also_redact=words)
    schema = MESSAGES.arrow()
    return pa.RecordBatchReader.from_batches(
        schema, _batches(table, key, roster, of_raw, counts, region, schema, context)
    )


def _batches(
    table: ibis.Table,
    key: bytes,
    roster: Roster,
    of_raw: dict[str, Person],
    counts: Counter[str],
    region: str,
    schema: pa.Schema,
    context: StageContext,
) -> Iterator[pa.RecordBatch]:
    cleaner = Cleaner(roster, region)
    # Ids get a key of their own, so that no id tells anything of the authors' key.
    id_key = hmac.new(key, b"ids", hashlib.sha256).hexdigest()
    con, raw = table.get_backend().con, f"({table.compile()})"
    (total,) = con.execute(f"SELECT count(*) FROM {raw}").fetchone()
    done, left_out = 0, 0
    columns = ", ".join(name for name in RAW_MESSAGES.names if name not in ("event_id", "thread_raw"))
    sql = f"SELECT substr(sha256($key || event_id), 1, 32) AS event_id, {columns} FROM {raw}"
    for batch in con.execute(sql, {"key": id_key}).to_arrow_reader(BATCH_ROWS):
        done += batch.num_rows
        rows = _clean_batch(batch, cleaner, of_raw, schema, id_key)
        left_out += batch.num_rows - rows.num_rows
        yield rows
        context.progress(done, total)
    out = sum(person.opted_out for person in roster.people)
    context.profile("people", len({person.author_id for person in of_raw.values() if not person.opted_out}))
    context.profile("opted_out", out)
    context.profile("redactions", cleaner.counts.total())
    context.log(f"participants: {len(roster.people)}, opted out: {out}, rows left out: {left_out}")
    before = context.earlier("opted_out")
    if before is not None and out > before:
        context.log(
            f"opted out since the run before: {out - int(before)}; their messages and mentions of them are gone"
        )
    elif before is not None and out < before:
        context.log(f"opted in again since the run before: {int(before) - out}")
    found = ", ".join(f"{kind}: {number}" for kind, number in sorted(cleaner.counts.items()))
    context.log(f"replaced: {found or 'nothing'}")
    if counts["commands"]:
        context.log(f"in-chat commands: {counts['commands']}, aliases set: {counts['aliases set']}")
    if counts["aliases refused"]:
        context.log(f"aliases that can't be used were ignored: {counts['aliases refused']}", "warning")


def _clean_batch(
    batch: pa.RecordBatch, cleaner: Cleaner, of_raw: dict[str, Person], schema: pa.Schema, id_key: str
) -> pa.RecordBatch:
    """One batch of raw rows with re-keyed ids as `MESSAGES` rows."""
    authors = batch.column("author_raw").dictionary_encode()
    people = [of_raw.get(name) for name in authors.dictionary.to_pylist()]
    gone = pa.array([person is not None and person.opted_out for person in people], pa.bool_())
    command = pc.and_(
        pc.is_valid(batch.column("author_raw")),
        pc.match_substring_regex(
            batch.column("text"), r"(?i)^[\s\x{200b}-\x{200f}\x{2066}-\x{2069}\x{feff}]*/\s*egregora\b"
        ),
    )
    drop = pc.or_(pc.fill_null(gone.take(authors.indices), False), pc.fill_null(command, False))
    if pc.any(drop).as_py():
        batch = batch.filter(pc.invert(drop))
        authors = batch.column("author_raw").dictionary_encode()
        people = [of_raw.get(name) for name in authors.dictionary.to_pylist()]
    ids = pa.array([person.author_id if person else None for person in people], pa.string()).take(authors.indices)
    aliases = pa.array([person.alias if person else None for person in people], pa.string()).take(authors.indices)
    threads = batch.column("thread_id").dictionary_encode()
    keyed = [hashlib.sha256(f"{id_key}{thread}".encode()).hexdigest()[:32] for thread in threads.dictionary.to_pylist()]
    kinds, texts, attachments = batch.column("kind"), batch.column("text"), batch.column("attachment")
    named = attachments.is_valid()
    if named.true_count:
        rows = batch.filter(named).select(["attachment", "media_type", "kind", "text"]).to_pylist()
        neutral = [
            _neutral_name(row["attachment"], "contact" if row["kind"] == "contact" else row["media_type"])
            for row in rows
        ]
        captions = [_without_file_name(row["text"], row["attachment"], row["media_type"]) for row in rows]
        attachments = pc.replace_with_mask(attachments, named, pa.array(neutral, attachments.type))
        texts = pc.replace_with_mask(texts, named, pa.array(captions, texts.type))
    attrs = batch.column("attrs")
    filled = pc.not_equal(attrs, "{}")
    if filled.true_count:
        told = map(cleaner.attrs, attrs.filter(filled).to_pylist(), kinds.filter(filled).to_pylist())
        attrs = pc.replace_with_mask(attrs, filled, pa.array(told, attrs.type))
    columns = {
        "thread_id": pa.array(keyed, pa.string()).take(threads.indices),
        "author_id": ids,
        "alias": aliases,
        "text": cleaner.texts(texts, kinds),
        "attachment": attachments,
        "attrs": attrs,
    }
    arrays = [columns[name] if name in columns else batch.column(name) for name in schema.names]
    return pa.RecordBatch.from_arrays(
        [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)], schema=schema
    )


def _without_file_name(text: str, name: str, media_type: str | None) -> str:
    """A caption without its attachment's name: documents carry their name as text, with pages or without extension."""
    if not text or _CAMERA_NAME.fullmatch(name):
        return text
    neutral = _neutral_name(name, media_type)
    stem = name.rpartition(".")[0]
    text = text.replace(name, neutral)
    if media_type == "document":
        first, newline, rest = text.partition("\n")
        shown = _DOCUMENT.fullmatch(first.strip())
        if shown:
            return f"{neutral}{shown['rest'] or ''}{newline}{rest}"
    if len(stem) >= 6 and (media_type == "document" or neutral == "contact.vcf"):
        text = text.replace(stem, neutral)
    return text


# --- For the audit ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leak:
    """Something that should not be there: in which text, where in it, of which kind."""

    text: int
    start: int
    end: int
    kind: str


def find_leaks(texts: Iterable[str], index: NameIndex) -> Iterator[Leak]:
    """What is left of names and personal data in texts that left the privacy stage.

    Args:
        texts: Any texts, e.g. bodies of posts or the text of pages (not their markup).
        index: `Roster.index(region)`.

    Yields:
        One leak for each place, with the number of its text.
    """
    for number, text in enumerate(texts):
        cleaned = clean(text)
        for found in index.find(cleaned):
            if found.kind != "kept" and cleaned[found.start : found.end] != found.replacement:
                yield Leak(number, found.start, found.end, found.kind)


STAGE = Stage(
    name="privacy",
    func=privacy,
    output=MESSAGES,
    config_keys=("privacy", "parse.timezone", "site_key"),
    distributions=("phonenumbers", "ahocorasick-rs", "stopwordsiso"),
)
