"""Measures what `benchmarks/README.md` tells, as ratios of things run in turn, and writes the table there.

    python benchmarks/run.py              everything (some ten minutes)
    python benchmarks/run.py tail parse   some of it; the table keeps its other rows

Machines differ and are busy with other things, so no figure here is a time on its own: each is a ratio against
something bare that does the least that the job needs, measured in alternation, the median of several pairs.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from parse_bench import PARSE, measure

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"


@dataclass
class Figure:
    """One row of the table."""

    key: str
    what: str
    reach: str
    measured: str
    held: bool


LAUNCH = """
import json, os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(json.dumps([time.perf_counter() - began, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)]))
"""


def process(command: list[str], **variables: str) -> tuple[float, float]:
    """Wall seconds and peak MB of a whole process that must succeed.

    A small process starts it: until a child has become another program, the memory of whoever started it counts as its
    own.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCH, *command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **variables},
    )
    seconds, peak, code = json.loads(done.stdout)
    if code:
        raise SystemExit(f"failed with {code}: {' '.join(command)}\n{done.stderr}")
    return seconds, peak


def paired(one: Callable[[], float], other: Callable[[], float], pairs: int) -> tuple[float, float, float]:
    """Median ratio of two measures taken in turn, and the median of each."""
    one(), other()
    results = [(one(), other()) for _ in range(pairs)]
    ratio = statistics.median(a / b for a, b in results)
    return ratio, statistics.median(a for a, _ in results), statistics.median(b for _, b in results)


def repeated(work: Callable[[], object], times: int) -> float:
    """Median seconds of a piece of work in this process."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def catalog(folder: Path, runs: int) -> Path:
    """A site whose catalog holds this many runs, as a few years of use would leave them.

    Of three writes one executes everything, with thirty windows, and two are hits; every fiftieth fails. With logs,
    lineage, figures of each result, model calls, configurations and codes.
    """
    import duckdb

    from egregora.database.runs_schema import create_tables

    site = folder / f"site-{runs}"
    if site.exists():
        return site
    (site / ".egregora" / "journal").mkdir(parents=True)
    con = duckdb.connect()
    con.execute(f"ATTACH '{site / '.egregora' / 'egregora.duckdb'}' AS cat (STORAGE_VERSION 'v1.2.0')")
    create_tables(con, "cat")
    # 48 runs an hour: 36 of the write that executes (30 of them windows), then 6 and 6.
    con.execute(
        f"""
        CREATE TABLE planned AS
        SELECT i, i // 48 AS hour, i % 48 AS k, CASE WHEN k < 36 THEN 0 WHEN k < 42 THEN 1 ELSE 2 END AS nth,
               k BETWEEN 4 AND 33 AS is_window,
               CASE WHEN k BETWEEN 3 AND 33 THEN 'write'
                    ELSE ['parse', 'privacy', 'enrich', 'write', 'rank', 'publish']
                         [1 + CASE WHEN k < 4 THEN k WHEN k < 36 THEN k - 30 ELSE k % 6 END] END AS stage,
               (hour * 3 + nth) % 50 = 7 AND (stage = 'write' AND k < 34 OR k = 39) AND k % 30 = 9 % 30 AS failed,
               md5('run' || i)::UUID AS run_id, md5('invocation' || hour * 3 + nth)::UUID AS invocation_id,
               CASE WHEN is_window THEN md5('run' || hour * 48 + 3)::UUID END AS parent_run_id,
               TIMESTAMP '2022-01-01' + to_seconds(hour * 3600 + nth * 1200 + k) AS started_at,
               CASE WHEN nth = 0 THEN (1 + k % 7) * (0.5 + hash(i) % 1000 / 1000) ELSE 0.002 END AS seconds
        FROM range({runs}) r(i)
        """
    )
    con.execute(
        """
        INSERT INTO cat.runs BY NAME
        SELECT run_id, stage, CASE WHEN failed THEN 'failed' ELSE 'completed' END AS status,
               CASE WHEN failed THEN 'the model refused' END AS error,
               CASE WHEN failed THEN 'ModelError' END AS error_type,
               'sha256:' || sha256(stage || hour || CASE WHEN is_window THEN k ELSE 0 END) AS input_fingerprint,
               sha256('a' || hour) AS input_hash, sha256('b' || stage || hour // 100) AS config_hash,
               sha256('c' || stage || hour // 400) AS code_hash,
               CASE WHEN NOT failed THEN sha256('d' || stage || hour // 2) END AS output_hash,
               CASE WHEN NOT is_window AND NOT failed THEN 4096 END AS checkpoint_bytes,
               CASE WHEN NOT is_window AND NOT failed THEN 1 END AS checkpoint_mtime_ns,
               CASE WHEN NOT is_window AND NOT failed THEN sha256('e' || hour) END AS checkpoint_sha256,
               started_at, started_at + to_microseconds((seconds * 1e6)::BIGINT) AS finished_at,
               CASE WHEN stage = 'parse' THEN 1 WHEN is_window THEN 100 ELSE 3000 + hour % 1000 END AS rows_in,
               CASE WHEN failed THEN NULL WHEN is_window THEN 1 ELSE 3000 + hour % 1000 END AS rows_out,
               seconds AS duration_seconds,
               CASE WHEN nth > 0 OR stage <> 'write' THEN 0 WHEN is_window THEN 1 ELSE 30 END AS llm_calls,
               llm_calls * 2500 AS tokens, CASE WHEN llm_calls > 0 THEN llm_calls * 0.002 END AS cost_usd,
               'unknown' AS code_ref, CASE WHEN nth = 0 THEN 'executed' ELSE 'checkpoint' END AS source,
               CASE WHEN nth = 0 THEN 'input changed' ELSE 'unchanged' END AS reason, invocation_id, parent_run_id,
               CASE WHEN is_window THEN (started_at - to_days(k::INT))::DATE::VARCHAR END AS label,
               '00000000-1-' || hour * 3 + nth AS owner, 'default' AS tenant_id
        FROM planned ORDER BY i
        """
    )
    con.execute(
        """
        INSERT INTO cat.lineage
        SELECT md5('run' || i)::UUID, md5('run' || CASE WHEN k = 34 THEN hour * 48 + 3 ELSE i - 1 END)::UUID
        FROM planned WHERE k NOT IN (0, 36, 42) AND NOT is_window ORDER BY i
        """
    )
    con.execute(
        "INSERT INTO cat.run_logs SELECT run_id, started_at + to_seconds(n), "
        "CASE WHEN n = 1 THEN 'warning' ELSE 'info' END, 'line ' || n || ' of what a stage says while it works' "
        "FROM planned, range(3) AS r(n) "
        "WHERE NOT is_window ORDER BY i, n"
    )
    con.execute(
        "INSERT INTO cat.llm_calls SELECT run_id, started_at, ['a-model', 'another-model'][1 + (i % 2)::INT], "
        "sha256('p' || i), 2000, 500, 0.002, 900 + hash(i) % 400, CASE WHEN i % 40 = 1 THEN 'rate limit' END "
        "FROM planned WHERE is_window ORDER BY i"
    )
    con.execute(
        "INSERT INTO cat.profiles SELECT run_id, n, hash(i, n) % 1000 FROM planned, "
        "(SELECT unnest(['rows', 'people', 'nulls.reply_to', 'first', 'last']) AS n) WHERE NOT is_window ORDER BY i"
    )
    con.execute(
        "INSERT INTO cat.configs SELECT DISTINCT sha256('b' || stage || hour // 100), "
        "to_json({'stage': stage, 'n': hour // 100})::VARCHAR FROM planned"
    )
    con.execute(
        "INSERT INTO cat.codes SELECT DISTINCT sha256('c' || stage || hour // 400), to_json(MAP {'module ' || stage: "
        "sha256('c' || stage || hour // 400)})::VARCHAR FROM planned"
    )
    con.execute("DETACH cat")
    return site


BARE_TAIL = """
import sys, duckdb, typer
from rich.console import Console
from rich.table import Table
con = duckdb.connect(sys.argv[1], read_only=True)
rows = con.execute("SELECT run_id, stage, status, source, started_at, rows_in, rows_out, duration_seconds FROM runs "
                   "ORDER BY started_at DESC LIMIT 10").fetchall()
table = Table()
for name in ("run", "stage", "status", "source", "started", "in", "out", "seconds"):
    table.add_column(name)
for row in rows:
    table.add_row(*map(str, row))
Console().print(table)
"""


def bench_tail(folder: Path) -> list[Figure]:
    """`runs tail` as a process against a bare script, and with a million runs against a thousand."""
    small, large = catalog(folder, 1_000), catalog(folder, 1_000_000)

    def tail(site: Path) -> float:
        return process([str(Path(sys.executable).with_name("egregora")), "runs", "tail", "--site", str(site)])[0]

    def bare() -> float:
        return process([sys.executable, "-c", BARE_TAIL, str(small / ".egregora" / "egregora.duckdb")])[0]

    ratio, ours, theirs = paired(lambda: tail(small), bare, 15)
    first = Figure(
        "tail bare",
        "`egregora runs tail` as a process, 1,000 runs, against a bare script that imports duckdb, typer and rich and "
        "prints the same ten rows",
        "≤ 1.5 ×",
        f"{ratio:.2f} × ({ours:.2f} s, {theirs:.2f} s)",
        ratio <= 1.5,
    )
    ratio, big, little = paired(lambda: tail(large), lambda: tail(small), 15)
    second = Figure(
        "tail million",
        "the same with 1,000,000 runs, against 1,000",
        "≤ 1.3 ×",
        f"{ratio:.2f} × ({big:.2f} s, {little:.2f} s)",
        ratio <= 1.3,
    )
    return [first, second]


QUESTIONS: tuple[tuple[str, ...], ...] = (
    ("runs", "tail"),
    ("runs", "show", "last"),
    ("runs", "show", "last-failed"),
    ("runs", "explain", "last"),
    ("runs", "explain", "last-failed"),
    ("runs", "diff", "write~1", "write"),
    ("runs", "lineage", "last"),
    ("runs", "logs", "write", "--children"),
    ("runs", "list"),
    ("runs", "list", "--label", "2024-*", "--limit", "100"),
    ("runs", "list", "--where", "duration_seconds > 5", "--sort", "-duration"),
    ("runs", "stats"),
    ("runs", "stats", "--by", "day", "--since", "2024-01-01"),
    ("runs", "stats", "--by", "model"),
    ("runs", "watch", "--once"),
    ("runs", "export", "--limit", "1000"),
    ("sql", "SELECT stage, count(*), avg(duration_seconds) FROM runs GROUP BY stage"),
)
"""What is asked of a million runs."""


def bench_questions(folder: Path) -> list[Figure]:
    """Every question as a process on a million runs, while a pipeline writes; `tail` and `show` against a thousand."""
    from egregora.database.storage import StorageManager, now

    small, large = catalog(folder, 1_000), catalog(folder, 1_000_000)
    program = str(Path(sys.executable).with_name("egregora"))
    writers = [StorageManager(site / ".egregora" / "egregora.duckdb") for site in (small, large)]
    for writer in writers:
        # A stage at work whose events are not folded: what a look during a write has to lay over the catalog.
        row = {"stage": "write", "status": "running", "input_fingerprint": "sha256:0", "owner": writer.owner}
        row |= {"invocation_id": writer.invocation_id, "tenant_id": "default", "source": "executed"}
        parent = str(uuid.uuid4())
        done = {"status": "completed", "parent_run_id": parent, "duration_seconds": 1.0, "rows_out": 1}
        events = [{"e": "run", "run_id": parent, "started_at": now(), **row}]
        events += [{"e": "run", "run_id": str(uuid.uuid4()), "started_at": now(), **row, **done} for _ in range(30)]
        writer.append(events, sync=True)

    def ask(site: Path, *words: str) -> float:
        return process([program, *words, "--site", str(site)])[0]

    taken = {}
    for words in QUESTIONS:
        ask(large, *words)
        taken[words] = statistics.median(ask(large, *words) for _ in range(5))
    slowest = max(taken, key=lambda words: taken[words])
    for words, seconds in taken.items():
        print(f"        {seconds:.2f} s  egregora {' '.join(words)}")
    figures = [
        Figure(
            "questions",
            "the slowest of all questions (list, stats, sql, explain, …) as a process, 1,000,000 runs, while a "
            "pipeline writes",
            "≤ 1 s",
            f"{taken[slowest]:.2f} s (`{' '.join(slowest[:3])}`)",
            taken[slowest] <= 1,
        )
    ]
    for words in (("runs", "tail"), ("runs", "show", "last")):
        ratio, big, little = paired(lambda w=words: ask(large, *w), lambda w=words: ask(small, *w), 9)  # type: ignore[misc]
        figures.append(
            Figure(
                " ".join(words),
                f"`egregora {' '.join(words)}` while a pipeline writes, 1,000,000 runs, against 1,000",
                "≤ 1.5 ×",
                f"{ratio:.2f} × ({big:.2f} s, {little:.2f} s)",
                ratio <= 1.5,
            )
        )
    for writer in writers:
        writer.close()
    return figures


def nothing(table: object, config: object, *, run_id: str) -> object:
    """A stage that does nothing."""
    return table


def bench_stage(folder: Path) -> list[Figure]:
    """What tracking costs: a stage that does nothing, after warm-up, its input's hash known."""
    import ibis

    from egregora.database.storage import StorageManager
    from egregora.pipeline.fingerprint import hash_relation
    from egregora.pipeline.runner import run_stage_with_tracking
    from egregora.pipeline.tracking import Run

    storage = StorageManager(folder / "stage" / ".egregora" / "egregora.duckdb")
    plain = ibis.duckdb.connect()
    handle = os.open(folder / "appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append() -> None:
        os.write(handle, b"x" * 500 + b"\n")
        os.fsync(handle)

    run = Run(storage, "parent", inputs={})
    run.begin({"input_fingerprint": "sha256:0"}, sync=True)

    def child() -> None:
        with run.child("a window", 10) as made:
            made.rows_out = 1

    pairs = [(repeated(child, 100), repeated(append, 100)) for _ in range(5)]
    ratio = statistics.median(a / b for a, b in pairs)
    figures = [
        Figure(
            "stage append",
            "a tracked run that does nothing, without a checkpoint, against one synced append of as many bytes",
            "≤ 15 ×",
            f"{ratio:.1f} × ({pairs[-1][0] * 1000:.2f} ms, {pairs[-1][1] * 1000:.2f} ms)",
            ratio <= 15,
        )
    ]
    run.finish({"status": "completed"})
    for rows in (1_000, 1_000_000):
        numbers = ibis.range(rows).unnest().name("n").as_table()
        table = numbers.mutate(text=numbers.n.cast("string").lpad(20, "message "))
        first = run_stage_with_tracking("first", nothing, table, {}, storage)

        def tracked(first: object = first, force: bool = False) -> object:
            return run_stage_with_tracking("nothing", nothing, first, {}, storage, force=force)

        tracked()
        path = max((storage.checkpoint_dir / "nothing").glob("*.parquet"), key=lambda p: p.stat().st_mtime_ns)
        copy = folder / "bare.parquet"

        def bare_miss(path: Path = path, copy: Path = copy) -> None:
            plain.con.execute(f"COPY (FROM read_parquet('{path}')) TO '{copy}' (FORMAT parquet, COMPRESSION zstd)")
            with copy.open("r+b") as file:
                os.fsync(file.fileno())
            hash_relation(plain.con, f"FROM read_parquet('{copy}')")

        if rows == 1_000:
            pairs = [(repeated(lambda: tracked(force=True), 40), repeated(bare_miss, 40)) for _ in range(5)]
            ratio = statistics.median(a / b for a, b in pairs)
            figures.append(
                Figure(
                    "stage miss",
                    "a miss with its checkpoint, 1,000 rows, against a bare COPY to Parquet, sync, hash",
                    "≤ 3 ×",
                    f"{ratio:.2f} × ({pairs[-1][0] * 1000:.1f} ms, {pairs[-1][1] * 1000:.1f} ms)",
                    ratio <= 3,
                )
            )
        pairs = [
            (repeated(tracked, 60), repeated(lambda path=path: plain.read_parquet(path), 60))  # type: ignore[misc]
            for _ in range(5)
        ]
        ratio = statistics.median(a / b for a, b in pairs)
        figures.append(
            Figure(
                f"stage hit {rows}",
                f"a hit, {rows:,} rows, against a bare ibis `read_parquet` of the checkpoint",
                "≤ 2 ×",
                f"{ratio:.2f} × ({pairs[-1][0] * 1000:.2f} ms, {pairs[-1][1] * 1000:.2f} ms)",
                ratio <= 2,
            )
        )
    os.close(handle)
    storage.close()
    return figures


def export(folder: Path, messages: int, days: int) -> tuple[Path, Path]:
    """An invented export as a zip, and its chat unpacked for the bare loop."""
    import zipfile

    from egregora.testing import write_export

    packed = folder / f"WhatsApp Chat with Bench {messages}.zip"
    plain = folder / f"chat-{messages}.txt"
    if not packed.exists():
        write_export(packed, messages=messages, people=20, days=days)
        with zipfile.ZipFile(packed) as archive:
            name = max((i for i in archive.infolist() if i.filename.endswith(".txt")), key=lambda i: i.file_size)
            plain.write_bytes(archive.read(name))
    return packed, plain


def bench_parse(folder: Path) -> list[Figure]:
    """Parsing a million messages into Parquet, as a process, against the bare loop as a process."""
    figures, peaks = [], []
    for style, headers in (
        ("android", "`05/10/2023, 21:07 - `"),
        ("android-us", "`10/5/23, 9:07 PM - `"),
        ("ios", "`[05/10/2023, 21:07:45] `"),
    ):
        found = measure(style, 1_000_000, 5)
        peaks.append(found.peak)
        what = f"the same with headers as {headers}"
        if style == "android":
            what = (
                "parse, 1 million messages, from the zip into Parquet, against a bare Python loop that slices the "
                f"unpacked text with one fixed format and keeps nothing (both as processes); headers as {headers}"
            )
        figures.append(
            Figure(
                f"parse time {style}",
                what,
                "≤ 2.5 ×",
                f"{found.ratio:.2f} × ({found.seconds:.2f} s, {found.bare:.2f} s); processor time {found.cpu:.2f} ×",
                found.ratio <= 2.5,
            )
        )
    peak = max(peaks)
    return [*figures, Figure("parse memory", "peak memory of these", "≤ 200 MB", f"{peak:.0f} MB", peak <= 200)]


HASH = """
import json, sys, time, duckdb
from egregora.pipeline.fingerprint import hash_relation
con = duckdb.connect()
con.execute(f"CREATE TABLE messages AS FROM read_parquet('{sys.argv[1]}')")
results = []
for _ in range(7):
    began = time.perf_counter(); hash_relation(con, "FROM messages"); hashed = time.perf_counter() - began
    began = time.perf_counter()
    con.execute(f"COPY messages TO '{sys.argv[1]}.copy' (FORMAT parquet, COMPRESSION zstd)")
    results.append((hashed, time.perf_counter() - began))
print(json.dumps(results[1:]))
"""


def bench_hash(folder: Path) -> list[Figure]:
    """The hash of a whole table against writing it."""
    packed, _ = export(folder, 1_000_000, 2_000)
    parsed = folder / "parsed.parquet"
    if not parsed.exists():
        process([sys.executable, "-c", PARSE, str(packed), str(parsed)])
    done = subprocess.run([sys.executable, "-c", HASH, str(parsed)], capture_output=True, text=True, check=True)
    results = json.loads(done.stdout)
    ratio = statistics.median(a / b for a, b in results)
    hashed, written = (statistics.median(column) for column in zip(*results, strict=True))
    return [
        Figure(
            "hash",
            "hash of a table's whole content, 1 million message rows, against DuckDB writing it as zstd Parquet",
            "≤ 0.7 ×",
            f"{ratio:.2f} × ({hashed:.2f} s, {written:.2f} s)",
            ratio <= 0.7,
        )
    ]


def bench_pipeline(folder: Path) -> list[Figure]:
    """All stages on 100,000 messages in at most 200 windows, and again when nothing changed."""
    packed, plain = export(folder, 100_000, 1_000)
    program = str(Path(sys.executable).with_name("egregora"))
    peaks: list[float] = []
    number = iter(range(1_000))

    def fresh() -> float:
        site = folder / f"whole-{next(number)}"
        seconds, peak = process([program, "write", str(packed), "--site", str(site)])
        peaks.append(peak)
        return seconds

    def bare() -> float:
        # Less the start of Python, which is a tenth of this and would only flatter us.
        done = subprocess.run(
            [sys.executable, str(HERE / "bare_parse.py"), str(plain)], capture_output=True, text=True, check=True
        )
        return float(done.stdout.split(", ")[1].split()[0])

    ratio, mine, theirs = paired(fresh, bare, 5)
    site = folder / "whole-0"

    def again() -> float:
        return process([program, "write", str(packed), "--site", str(site)])[0]

    def tail() -> float:
        return process([program, "runs", "tail", "--site", str(site)])[0]

    repeat, once_more, looked = paired(again, tail, 9)
    peak = statistics.median(peaks)
    return [
        Figure(
            "pipeline",
            "whole pipeline as a process, 100,000 messages, ≤ 200 windows, against that bare loop over them "
            "(without the start of Python)",
            "≤ 25 ×",
            f"{ratio:.1f} × ({mine:.2f} s, {theirs:.3f} s)",
            ratio <= 25,
        ),
        Figure("pipeline memory", "its peak memory", "≤ 1 GB", f"{peak:.0f} MB", peak <= 1_000),
        Figure(
            "pipeline again",
            "the same again, unchanged, against `runs tail`",
            "≤ 5 ×",
            f"{repeat:.2f} × ({once_more:.2f} s, {looked:.2f} s)",
            repeat <= 5,
        ),
    ]


def bench_privacy(folder: Path) -> list[Figure]:
    """The privacy stage against parsing, both with everything around them, from the runs themselves."""
    from egregora.database.storage import StorageManager

    packed, _ = export(folder, 1_000_000, 2_000)
    site = folder / "privacy"
    _, peak = process(
        [
            str(Path(sys.executable).with_name("egregora")),
            "write",
            str(packed),
            "--site",
            str(site),
            "--up-to",
            "privacy",
        ]
    )
    storage = StorageManager(site / ".egregora" / "egregora.duckdb")
    with storage.reading() as con:
        seconds = dict(con.execute("SELECT stage, duration_seconds FROM runs WHERE parent_run_id IS NULL").fetchall())
    ratio = seconds["privacy"] / seconds["parse"]
    return [
        Figure(
            "privacy",
            "privacy, 1 million messages, against parsing them (durations of the runs)",
            "≤ 4 ×",
            f"{ratio:.2f} × ({seconds['privacy']:.1f} s, {seconds['parse']:.1f} s)",
            ratio <= 4,
        ),
        Figure("privacy memory", "peak memory of the process that did both", "≤ 1 GB", f"{peak:.0f} MB", peak <= 1_000),
    ]


def bench_alarms(_folder: Path) -> list[Figure]:
    """What privacy takes out of harmless text, in seven countries, and what it leaves of names; both are in tests/.

    That text helped to make the rules, so it flatters a little.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import harmless
    import leaks
    from egregora.stages.privacy import Cleaner, Person, Roster
    from egregora.stages.privacy_names import clean

    def cleaner(names: Iterable[str], region: str) -> Cleaner:
        people = [Person(f"{n}", f"Quick Otter {n}", (name,)) for n, name in enumerate(names)]
        return Cleaner(Roster(tuple(people)), region)

    figures = []
    usual = [name for cast in leaks.CAST.values() for name in cast]
    for key, whose, cast, most in (
        ("alarms", "usual names", usual, 0.005),
        ("alarms words", "names that are words (Will, May, Rosa, Luz, …)", harmless.CAST, 0.03),
    ):
        altered = total = 0
        for region in harmless.REGIONS:
            one = cleaner(cast, region)
            for _, text in harmless.harmless():
                total += 1
                altered += one.redact(text) != clean(text)
        figures.append(
            Figure(
                key,
                f"harmless messages that privacy alters, in a chat of people with {whose}",
                f"≤ {most:.1%}",
                f"{altered / total:.2%} ({altered} of {total:,})",
                altered <= most * total,
            )
        )
    left = total = 0
    for people in leaks.CAST.values():
        one = cleaner(people, "US")
        for line in leaks.said():
            if line.author in people:
                total += 1
                left += bool(line.left(one.redact(line.text)))
    figures.append(
        Figure(
            "leaks",
            "messages that name somebody, in twelve groups of languages, of which a part of the name stays",
            "0",
            f"{left} of {total:,}",
            not left,
        )
    )
    return figures


def bench_llm(folder: Path) -> list[Figure]:
    """Sixty windows and a model: how much of its time is lost, what a call costs us, and from the record."""
    from egregora.testing_llm import Reply, ScriptedServer

    def measured(how: str, server: ScriptedServer) -> dict[str, float]:
        command = [sys.executable, str(HERE / "llm_bench.py"), how, server.base_url, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))

    answer = Reply({"title": "A day at the lake"})
    with ScriptedServer(lambda asked: replace(answer, delay=1.0)) as server:
        eight = measured("eight", server)["seconds"]
    with ScriptedServer(lambda asked: answer, most_requests=10_000) as server:
        pairs = [measured("each", server) for _ in range(3)]
        asked = len(server.asked)
        again = statistics.median(measured("replay", server)["seconds"] for _ in range(3))
        if len(server.asked) > asked:
            raise SystemExit("a replay asked the server")
    over = statistics.median(pair["call"] - pair["bare"] for pair in pairs)
    call, bare = (statistics.median(pair[name] for pair in pairs) for name in ("call", "bare"))
    return [
        Figure(
            "llm windows",
            "60 windows, a model that answers in 1 s, 8 at a time, with the import of what asks it, against 8 s",
            "≤ 1.3 ×",
            f"{eight / 8:.2f} × ({eight:.1f} s)",
            eight <= 1.3 * 8,
        ),
        Figure(
            "llm call",
            "what we add to a call: 240 windows less 60, each a child run with its checkpoint, less the same call by a "
            "bare HTTP client",
            "≤ 20 ms",
            f"{over * 1000:.1f} ms ({call * 1000:.1f} ms, {bare * 1000:.1f} ms)",
            over <= 0.020,
        ),
        Figure("llm replay", "those 60 windows from replies on record", "≤ 3 s", f"{again:.2f} s", again <= 3),
    ]


BENCHES: dict[str, Callable[[Path], list[Figure]]] = {
    "tail": bench_tail,
    "questions": bench_questions,
    "stage": bench_stage,
    "parse": bench_parse,
    "hash": bench_hash,
    "pipeline": bench_pipeline,
    "privacy": bench_privacy,
    "alarms": bench_alarms,
    "llm": bench_llm,
}

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def write_table(figures: list[Figure]) -> None:
    """Lay the figures over those that stand in the README."""
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    rows = {key: row for row, key in re.findall(r"^(\| .*?<!-- (.*?) --> \|)$", old, re.MULTILINE)}
    for figure in figures:
        mark = "yes" if figure.held else "**no**"
        rows[figure.key] = f"| {figure.what} | {figure.reach} | {figure.measured} | {mark} <!-- {figure.key} --> |"
    import duckdb

    machine = (
        f"Last measured with Python {platform.python_version()}, DuckDB {duckdb.__version__}, "
        f"{os.cpu_count()} cores, {platform.system()}."
    )
    table = "\n".join(["| what | reach | measured | held |", "|---|---|---|---|", *rows.values()])
    README.write_text(f"{head}{BEGIN}\n{machine}\n\n{table}\n{END}{tail}", encoding="utf-8")


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        raise SystemExit(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHES)}")
    with tempfile.TemporaryDirectory(prefix="egregora-bench-") as name:
        for bench in wanted:
            figures = BENCHES[bench](Path(name))
            for figure in figures:
                print(f"{'held' if figure.held else 'MISSED':<7}{figure.measured:<33} {figure.reach:<10}{figure.what}")
            write_table(figures)


if __name__ == "__main__":
    main()
