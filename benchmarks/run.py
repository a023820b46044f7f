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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    """A site whose catalog holds this many runs, some failed, some hits, some children."""
    import duckdb

    from egregora.database.runs_schema import create_tables

    site = folder / f"site-{runs}"
    (site / ".egregora" / "journal").mkdir(parents=True)
    con = duckdb.connect()
    con.execute(f"ATTACH '{site / '.egregora' / 'egregora.duckdb'}' AS cat (STORAGE_VERSION 'v1.2.0')")
    create_tables(con, "cat")
    con.execute(
        f"""
        INSERT INTO cat.runs BY NAME
        SELECT uuid() AS run_id,
               ['parse', 'privacy', 'enrich', 'write', 'rank', 'publish'][1 + (i % 6)::INT] AS stage,
               CASE WHEN i % 50 = 7 THEN 'failed' ELSE 'completed' END AS status,
               CASE WHEN i % 50 = 7 THEN 'the export is damaged' END AS error,
               'sha256:' || sha256(i::VARCHAR) AS input_fingerprint,
               sha256('a' || i // 60) AS input_hash, sha256('b' || i // 600) AS config_hash, sha256('c') AS code_hash,
               sha256('d' || i) AS output_hash, 4096 AS checkpoint_bytes,
               1 AS checkpoint_mtime_ns, sha256('e') AS checkpoint_sha256,
               TIMESTAMP '2024-01-01' + to_seconds(i) AS started_at,
               TIMESTAMP '2024-01-01' + to_seconds(i) + INTERVAL 1 SECOND AS finished_at,
               1000 AS rows_in, 1000 AS rows_out, 1.0 AS duration_seconds, 0 AS llm_calls, 0 AS tokens,
               'unknown' AS code_ref, CASE WHEN i % 3 = 0 THEN 'checkpoint' ELSE 'executed' END AS source,
               'input changed' AS reason, uuid() AS invocation_id, '00000000-1-1' AS owner, 'default' AS tenant_id
        FROM range({runs}) r(i) ORDER BY i
        """
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


PARSE = """
import sys
from pathlib import Path
from egregora.config import Config
from egregora.database.ir_schema import RAW_MESSAGES
from egregora.pipeline.checkpoint import stream_rows
from egregora.pipeline.stage import Files, StageContext
from egregora.stages.parse import parse
out = Path(sys.argv[2])
rows = parse(Files((Path(sys.argv[1]),)), Config(), run_id="-", context=StageContext(out.parent))
stream_rows(out, rows, RAW_MESSAGES)
"""


def bench_parse(folder: Path) -> list[Figure]:
    """Parsing a million messages into Parquet, as a process, against the bare loop as a process."""
    packed, plain = export(folder, 1_000_000, 2_000)
    peaks: list[float] = []

    def ours() -> float:
        # With the allocator that the program asks for.
        seconds, peak = process(
            [sys.executable, "-c", PARSE, str(packed), str(folder / "parsed.parquet")],
            ARROW_DEFAULT_MEMORY_POOL="jemalloc",
        )
        peaks.append(peak)
        return seconds

    def bare() -> float:
        return process([sys.executable, str(HERE / "bare_parse.py"), str(plain)])[0]

    ratio, mine, theirs = paired(ours, bare, 5)
    peak = statistics.median(peaks)
    return [
        Figure(
            "parse time",
            "parse, 1 million messages, from the zip into Parquet, against a bare Python loop that slices the unpacked "
            "text with one fixed format and keeps nothing (both as processes)",
            "≤ 2.5 ×",
            f"{ratio:.2f} × ({mine:.2f} s, {theirs:.2f} s)",
            ratio <= 2.5,
        ),
        Figure("parse memory", "peak memory of that process", "≤ 200 MB", f"{peak:.0f} MB", peak <= 200),
    ]


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


BENCHES: dict[str, Callable[[Path], list[Figure]]] = {
    "tail": bench_tail,
    "stage": bench_stage,
    "parse": bench_parse,
    "hash": bench_hash,
    "pipeline": bench_pipeline,
    "privacy": bench_privacy,
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
                print(f"{'held' if figure.held else 'MISSED':<7}{figure.measured:<34}{figure.reach:<10}{figure.what}")
            write_table(figures)


if __name__ == "__main__":
    main()
