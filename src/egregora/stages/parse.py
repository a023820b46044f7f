"""Parse: exports in, raw message rows out, streamed; several exports of one chat become one.

A message's `event_id` is a hash of chat, minute, kind, body and the the n-th such message it is. Neither the author nor
the second is in it, nor what a phone's language or contacts decide: two phones' exports of one chat name people
differently, an Android phone shows no seconds, and files are renamed. So notices, deleted messages and files without a
caption count as alike within a minute, and mentions in a body as `@`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest, xxh3_128_digest

from egregora.database.ir_schema import RAW_MESSAGES
from egregora.errors import EgregoraError, ExportError
from egregora.pipeline.stage import Files, Stage, StageContext
from egregora.sources import choose_source, known_sources
from egregora.sources.ahead import ahead
from egregora.sources.archive import open_archive
from egregora.stages.parse_figures import Measures

if TYPE_CHECKING:
    from egregora.config import Config
    from egregora.sources import Reading, Source

__all__ = ["STAGE", "parse"]

_NAME = pa.dictionary(pa.int32(), pa.string())
"""Columns of few different values travel as dictionaries, which read as VARCHAR: a third of the time is saved."""
_FEW = ("tenant_id", "source", "thread_id", "thread_raw", "author_raw", "kind", "media_type", "attrs")
_SCHEMA = pa.schema([(field.name, _NAME if field.name in _FEW else field.type) for field in RAW_MESSAGES.arrow()])


def parse(
    files: Files,
    config: Config,
    *,
    run_id: str,
    context: StageContext,
    sources: Mapping[str, Source] | None = None,
) -> pa.RecordBatchReader:
    """Read the exports into `RAW_MESSAGES` rows.

    Exports of one chat (their title says so) are merged: a message that several hold comes once, from the first of them
    that has its file, if any. A single export keeps its order; merged ones are ordered by time, then by export.

    Args:
        files: Exports, each a zip, a text or a folder.
        config: `parse.*` and `site.tenant`.
        run_id: Unused; every stage has it.
        context: Gets what was decided about the format, counts, figures and progress; never text of the chat.
        sources: The sources to choose from, by name. None: the installed ones.

    Raises:
        ExportError: on the call, or while the result is read: an export can't be read, or holds no messages.
        ConfigError: `parse.source` is unknown.
    """
    sources = known_sources() if sources is None else sources
    told = _Told(context, Measures(config.parse.timezone, files.paths))
    if len(files.paths) == 1:
        batches = _numbered(_export(files.paths[0], 0, config, told, sources))
        # The first batch is read here, so that an export that can't be read fails before anything is written.
        first = next(batches, None)
        if first is None:
            raise _empty()
        return pa.RecordBatchReader.from_batches(_SCHEMA, _all(first, batches, told))
    return _merged(files.paths, config, told, sources)


def _empty() -> ExportError:
    return ExportError("no chat in it: not one message was found", hint="give the export as the app made it")


def _all(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch], told: _Told) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
    told.finish(merged=0)


class _Told:
    """What is told of exports while they are read, and in figures at the end."""

    def __init__(self, context: StageContext, measures: Measures) -> None:
        self._context = context
        self._measures = measures
        self._messages = 0
        self._lines = Counter[str]()
        self._guessed = False

    def log(self, message: str, level: str = "info") -> None:
        """Record a line, which holds no text of the chat."""
        self._context.log(message, level)

    def decided(self, label: str, decided: Mapping[str, str]) -> None:
        """What an export's format was taken for."""
        if decided.get("ambiguous") == "yes":
            self._guessed = True
            self.log(f"{label}: the order of day and month is a guess; set parse.date_order if it is wrong", "warning")

    def read(self, batch: pa.RecordBatch) -> None:
        """So many more messages."""
        self._messages += len(batch)
        self._measures.count(batch)
        self._context.progress(self._messages)

    def counted(self, counts: Mapping[str, int]) -> None:
        """An export came to its end."""
        self._lines.update(counts)
        self._measures.end()

    def finish(self, *, merged: int, people: int | None = None) -> None:
        """All exports are read, and `merged` messages left out that were there already; `people`: see `Measures`."""
        lines = self._lines
        self._context.progress(self._messages, self._messages)
        if lines["lines"]:
            self._context.profile("lines", lines["lines"])
            self._context.profile(
                "lines_not_understood", lines["not understood"] / max(lines["lines"] - lines["empty"], 1)
            )
        self._context.profile("date_order_ambiguous", self._guessed)
        self._context.profile("merged_duplicates", merged)
        self._measures.tell(self._context, people)


def _export(
    path: Path,
    number: int,
    config: Config,
    told: _Told,
    sources: Mapping[str, Source],
    thread: str | None = None,
) -> Iterator[pa.RecordBatch]:
    """One export's rows, all columns but `seq`; in the chat `thread` if its own title doesn't decide."""
    with open_archive(path) as archive:
        source = choose_source(archive, config.parse.source, sources)
        reading = source.read(archive, config.parse)
        label = f"export {number + 1}"
        decided = "; ".join(f"{name}: {value}" for name, value in reading.decided.items())
        told.log(f"{label}: {source.title}, {archive.kind}; {decided}")
        told.decided(label, reading.decided)
        if archive.refused:
            told.log(f"{label}: {archive.refused} members with unsafe names were left out", "warning")
        if archive.encrypted:
            told.log(f"{label}: {archive.encrypted} members are protected by a password", "warning")
        thread = thread or thread_id(source.name, reading.title)
        for batch in ahead(_identified(reading, source.name, thread, number, config.site.tenant)):
            told.read(batch)
            yield batch
        told.log(f"{label}: {', '.join(f'{count} {name}' for name, count in reading.counts.items())}")
        told.counted(reading.counts)


def thread_id(source: str, title: str | None) -> str:
    """Identity of a chat: its source and its title, whatever case, spaces or signs a file's name made of it."""
    key = "".join(char for char in (title or "").casefold() if char.isalnum())
    return hashlib.sha256(f"thread\0{source}\0{key}".encode()).hexdigest()[:32]


_SILENT = ("system", "deleted", "location", "contact", "call")
"""Kinds whose text depends on the phone's language or contacts: it stays out of the identity."""
_MENTION = "@(?:\u2068[^\u2069]*\u2069|[0-9]{7,16})"
_AFTER_MENTION = tuple(b"0123456789\xe2")


def _identified(reading: Reading, source: str, thread: str, number: int, tenant: str) -> Iterator[pa.RecordBatch]:
    """A reading's batches with ids and the columns that are the same for all rows."""
    ids = _Ids(thread)
    told = {"tenant_id": tenant, "source": source, "thread_id": thread, "thread_raw": reading.title}
    same = {name: pa.array([value or ""], pa.string()) for name, value in told.items()}
    checked: pa.Schema | None = None
    for batch in reading.batches:
        count = len(batch)
        if not count:
            continue
        if batch.schema != checked:
            _check(batch.schema, source)
            checked = batch.schema
        columns = {name: batch.column(name) for name in batch.schema.names}
        if number:
            columns["attrs"] = _renumbered(columns["attrs"], number)
        columns["event_id"] = ids.of(batch)
        zeros = pa.py_buffer(np.zeros(count, np.int64))
        first = pa.Array.from_buffers(pa.int32(), count, [None, zeros])
        for name, value in same.items():
            which = first if told[name] is not None else pa.nulls(count, pa.int32())
            columns[name] = pa.DictionaryArray.from_arrays(which, value)
        columns["seq"] = pa.Array.from_buffers(pa.int64(), count, [None, zeros])
        yield pa.record_batch([_as(columns[field.name], field.type) for field in _SCHEMA], schema=_SCHEMA)


_GIVEN = ("ts", "author_raw", "kind", "text", "attachment", "media_type", "edited", "attrs")
"""Columns that a source gives."""


def _check(schema: pa.Schema, source: str) -> None:
    """Refuse what a source gives if it isn't as promised: sources may be other people's, and change.

    Raises:
        EgregoraError: a column is missing or of another type. Not a `SchemaError`, whose message is withheld where
            names aren't protected yet: this one tells of declared columns only.
    """
    for name in _GIVEN:
        wrong = ""
        if name not in schema.names:
            wrong = f"gives no column {name}"
        else:
            found, wanted = schema.field(name).type, RAW_MESSAGES.arrow().field(name).type
            plain = found.value_type if pa.types.is_dictionary(found) else found
            if plain != wanted and not (pa.types.is_large_string(plain) and wanted == pa.string()):
                wrong = f"gives the column {name} as {plain}, not {wanted}"
        if wrong:
            raise EgregoraError(f"the source {source} {wrong}", hint="update or mend the package that the source is in")


def _as(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """A column in the type that the reader promises."""
    if column.type == wanted:
        return column
    if pa.types.is_dictionary(wanted) and pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), column.dictionary)
    return column.dictionary_encode() if pa.types.is_dictionary(wanted) else column.cast(wanted)


def _encoded(column: pa.Array) -> pa.DictionaryArray:
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _renumbered(attrs: pa.Array, number: int) -> pa.Array:
    """`member` of an export read alone says 0; here it gets the export's place in `Files`."""
    attrs = _encoded(attrs)
    changed = pc.replace_substring(attrs.dictionary, '"member":[0,', f'"member":[{number},')
    return pa.DictionaryArray.from_arrays(attrs.indices, changed)


class _Ids:
    """The `event_id`s of one export.

    The first message of a kind, body and minute is known by a hash of these, the n-th by a hash of that and n. What
    came before is kept as 8 bytes a message, and looked at only where minutes overlap: mostly in the batch before.

    It keeps no secret: whoever has an id can try what it may be of. The privacy stage gives others.
    """

    def __init__(self, thread: str) -> None:
        self._thread = xxh3_64_intdigest(thread.encode())
        self._before: list[tuple[int, int, pa.Array]] = []

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """The ids of a batch, in its order."""
        minutes = pc.divide(batch.column("ts").cast(pa.int64()), 60_000_000).to_numpy()
        kind = _encoded(batch.column("kind"))
        names, numbers = kind.dictionary.to_pylist(), kind.indices.to_numpy()
        # One kind in one minute is a hash function of its own.
        kinds = np.array([xxh3_64_intdigest(name.encode(), self._thread) for name in names], np.uint64)
        seeds = minutes.astype(np.uint64) * _SPREAD + kinds[numbers]
        bodies = _without_mentions(batch.column("text").cast(pa.string())).cast(pa.binary()).to_pylist()
        for row in np.flatnonzero(np.isin(numbers, [names.index(name) for name in _SILENT if name in names])).tolist():
            bodies[row] = b""
        found = np.frombuffer(bytearray().join(map(xxh3_128_digest, bodies, seeds.tolist())), _DIGEST)
        self._number(found, minutes)
        places = np.arange(0, 32 * len(found) + 1, 32, dtype=np.int32)
        return pa.Array.from_buffers(
            pa.string(), len(found), [None, pa.py_buffer(places), pa.py_buffer(found.tobytes().hex().encode())]
        )

    def _number(self, found: npt.NDArray[np.void], minutes: npt.NDArray[np.int64]) -> None:
        """Put the ids of the second and further such messages in their places."""
        keys = found["key"].copy()
        column = _hashes(keys)
        seen = Counter[int]()
        least, most = int(minutes.min()), int(minutes.max())
        for low, high, old in self._before:
            if low <= most and high >= least:
                shared = _hashes(keys[(minutes >= low) & (minutes <= high)])
                seen.update(old.filter(pc.is_in(old, shared)).to_pylist())
        self._before.append((least, most, column))
        ordered = np.sort(keys)
        again = {*seen, *ordered[1:][ordered[1:] == ordered[:-1]].tolist()}
        if not again:
            return
        rows = np.flatnonzero(pc.is_in(column, pa.array(again, pa.uint64())).to_numpy(zero_copy_only=False))
        numbered = bytearray()
        firsts = memoryview(found[rows].tobytes())
        for place, key in enumerate(keys[rows].tolist()):
            first = firsts[16 * place : 16 * place + 16]
            numbered += xxh3_128_digest(first, seen[key]) if seen[key] else first
            seen[key] += 1
        found[rows] = np.frombuffer(numbered, _DIGEST)


def _hashes(values: npt.NDArray[np.uint64]) -> pa.Array:
    """As Arrow has it. `pa.array` would look for pandas."""
    return pa.Array.from_buffers(pa.uint64(), len(values), [None, pa.py_buffer(values)])


_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Neighbouring minutes times this have nothing in common."""
_DIGEST = np.dtype([("key", np.uint64), ("rest", np.uint64)])


def _without_mentions(bodies: pa.Array) -> pa.Array:
    """Bodies in which all mentions are alike."""
    data = np.frombuffer(bodies.buffers()[2] or b"", np.uint8)
    after = data[1:][data[:-1] == ord("@")]
    if not np.isin(after, _AFTER_MENTION).any():
        return bodies
    mentioning = pc.match_substring_regex(bodies, _MENTION)
    named = pc.replace_substring_regex(bodies.filter(mentioning), _MENTION, "@")
    return pc.replace_with_mask(bodies, mentioning, named)


def _numbered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A single export's batches with `seq`."""
    place = _SCHEMA.get_field_index("seq")
    done = 0
    for batch in batches:
        numbers = pa.py_buffer(np.arange(done, done + len(batch), dtype=np.int64))
        yield batch.set_column(place, "seq", pa.Array.from_buffers(pa.int64(), len(batch), [None, numbers]))
        done += len(batch)


def _merged(
    paths: tuple[Path, ...], config: Config, told: _Told, sources: Mapping[str, Source]
) -> pa.RecordBatchReader:
    """Several exports as one table: each message once, chats one after the other."""
    # Takes a while to import, and a single export does without.
    import duckdb

    threads = _threads(paths, config, sources)
    connection = duckdb.connect()
    connection.register("batch", _SCHEMA.empty_table())
    connection.execute("CREATE TABLE raw AS SELECT *, 0 AS export FROM batch")
    counts: list[int] = []
    for number, path in enumerate(paths):
        counts.append(0)
        for batch in _numbered(_export(path, number, config, told, sources, threads[number])):
            connection.register("batch", pa.Table.from_batches([batch]))
            connection.execute(f"INSERT INTO raw SELECT *, {number} FROM batch")
            counts[-1] += len(batch)
    connection.unregister("batch")
    if not sum(counts):
        raise _empty()
    connection.execute(_MERGE)
    left = _number(connection, "SELECT count(*) FROM merged")
    merged, chats = sum(counts) - left, len(set(threads))
    told.log(
        f"{len(paths)} exports of {chats} chat{'' if chats == 1 else 's'}: {left} messages; {merged} more were the same"
    )
    told.finish(merged=merged, people=_number(connection, "SELECT count(DISTINCT author_raw) FROM merged"))
    columns = ", ".join(f'"{name}"' for name in RAW_MESSAGES.names)
    return connection.execute(f"SELECT {columns} FROM merged ORDER BY first_export, seq").to_arrow_reader(50_000)


def _number(connection: Any, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


_MERGE = """
    CREATE TABLE matched AS
    SELECT *,
        row_number() OVER (same ORDER BY attrs LIKE '{"member"%' DESC, export, seq) AS turn,
        first_value(author_raw) OVER (same ORDER BY export) AS first_author,
        max(ts) OVER (same) AS best_ts  -- the same minute; one of the phones may show seconds
    FROM raw
    WINDOW same AS (PARTITION BY thread_id, event_id);

    -- What another phone calls somebody, as the messages that both have tell.
    CREATE TABLE names AS
    SELECT thread_id, export, author_raw, arg_max(first_author, (n, first_author)) AS name
    FROM (SELECT thread_id, export, author_raw, first_author, count(*) AS n FROM matched
          WHERE author_raw IS NOT NULL AND first_author IS NOT NULL
          GROUP BY ALL)
    WHERE n > 1 OR author_raw = first_author
    GROUP BY ALL;

    CREATE TABLE merged AS
    SELECT m.* EXCLUDE (author_raw, ts, seq, thread_raw), best_ts AS ts,
        coalesce(names.name, m.author_raw) AS author_raw,
        first_value(m.thread_raw IGNORE NULLS) OVER (chat ORDER BY m.export) AS thread_raw,
        min(m.export) OVER (chat) AS first_export,
        row_number() OVER (chat ORDER BY best_ts, m.export, m.seq) - 1 AS seq
    FROM matched m LEFT JOIN names USING (thread_id, export, author_raw)
    WHERE turn = 1
    WINDOW chat AS (PARTITION BY m.thread_id);
"""


def _threads(paths: tuple[Path, ...], config: Config, sources: Mapping[str, Source]) -> list[str]:
    """The chat of each export: by its title, and where titles differ by what the exports have in common.

    Of a chat of two, each phone's export bears the other's name; and files get renamed.
    """
    threads, titled = [], []
    for number, path in enumerate(paths, start=1):
        try:
            with open_archive(path) as archive:
                source = choose_source(archive, config.parse.source, sources)
                title = source.read(archive, config.parse).title
        except ExportError as error:
            # By its place, as the name of a file may be somebody's.
            # The same error goes on, as `runs explain` tells the innermost of a chain.
            error.args = (f"export {number} of {len(paths)}: {error}",)
            raise
        threads.append(thread_id(source.name, title))
        titled.append(title is not None)
    if len(set(threads)) > 1 or not all(titled):
        seen = [_fingerprints(path, config, sources) for path in paths]
        for later in range(1, len(paths)):
            for earlier in range(later):
                if threads[later] != threads[earlier] and _overlap(seen[earlier], seen[later]):
                    old, kept = threads[later], threads[earlier]
                    threads = [kept if thread == old else thread for thread in threads]
    return threads


def _fingerprints(path: Path, config: Config, sources: Mapping[str, Source]) -> pa.Table:
    """Time and id of each message of an export, as if all chats were one."""
    with open_archive(path) as archive:
        source = choose_source(archive, config.parse.source, sources)
        ids = _Ids("")
        batches = [
            pa.record_batch({"ts": batch.column("ts"), "id": ids.of(batch)})
            for batch in source.read(archive, config.parse).batches
            if len(batch)
        ]
    return pa.Table.from_batches(batches, pa.schema([("ts", pa.timestamp("us")), ("id", pa.string())]))


def _overlap(one: pa.Table, other: pa.Table) -> bool:
    """Whether two exports are of one chat: they share five messages, and a fifth of those of their common time."""
    if not len(one) or not len(other):
        return False
    spans = [pc.min_max(table["ts"]) for table in (one, other)]
    start = pc.max(pa.array([span["min"].as_py() for span in spans]))
    end = pc.min(pa.array([span["max"].as_py() for span in spans]))
    common = [t.filter(pc.and_(pc.greater_equal(t["ts"], start), pc.less_equal(t["ts"], end))) for t in (one, other)]
    shared = pc.sum(pc.is_in(one["id"], other["id"])).as_py() or 0
    return bool(shared >= max(5, min(len(common[0]), len(common[1])) / 5))


STAGE = Stage(
    name="parse",
    func=parse,
    output=RAW_MESSAGES,
    config_keys=("parse", "site.tenant"),
    distributions=("pyarrow",),
)
