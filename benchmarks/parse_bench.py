"""How long parsing takes in each style of header, as a ratio to the bare loop of `bare_parse.py`, and its peak memory.

    python benchmarks/parse_bench.py [--messages 1000000] [--styles android,android-us,ios] [--rounds 5]

`--styles all` takes every style that `egregora.testing` can write. Both are whole processes, in turn: the bare loop
over the unpacked text, and `parse` from the zip into Parquet, written as a pipeline run writes it, with the variables
that the program sets for itself. Imports count. What is printed are medians of the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

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


@dataclass
class Measured:
    """Medians of some rounds: ratios of wall and processor time to the loop's, seconds of both, peak memory in MB."""

    ratio: float
    cpu: float
    seconds: float
    bare: float
    peak: float


def process(command: list[str]) -> tuple[float, float, float]:
    """Run a command; its seconds, its seconds of processor time, and its peak memory in MB."""
    started = time.perf_counter()
    variables = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "jemalloc", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=variables) as running:
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{command[0]} failed")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def measure(style: str, messages: int, rounds: int) -> Measured:
    """Write an export in a style, and run the parser and the loop over it in turn."""
    from egregora.testing import STYLES, write_export

    with tempfile.TemporaryDirectory() as folder:
        export = write_export(Path(folder, "export.zip"), messages=messages, style=style, pictures=0)
        with zipfile.ZipFile(export) as archive:
            name = archive.namelist()[0]
            archive.extract(name, folder)
        loop = [sys.executable, str(Path(__file__).with_name("bare_parse.py")), str(Path(folder, name))]
        if style not in ("android", "ios"):
            loop += ["--split", "] " if STYLES[style].ios else " - "]
        elif style == "ios":
            loop.append("--ios")
        ours = [sys.executable, "-c", PARSE, str(export), str(Path(folder, "rows.parquet"))]
        process(ours)
        pairs = [(process(ours), process(loop)) for _ in range(rounds)]
    return Measured(
        *(statistics.median(mine[i] / bare[i] for mine, bare in pairs) for i in (0, 1)),
        seconds=statistics.median(mine[0] for mine, _ in pairs),
        bare=statistics.median(bare[0] for _, bare in pairs),
        peak=statistics.median(mine[2] for mine, _ in pairs),
    )


def main() -> None:
    """Measure the styles that are asked for, and print what came of it."""
    from egregora.testing import STYLES

    options = argparse.ArgumentParser()
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--styles", default="android,android-us,ios")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    for style in STYLES if chosen.styles == "all" else chosen.styles.split(","):
        found = measure(style, chosen.messages, chosen.rounds)
        print(
            f"{style}: {found.ratio:.2f} × the bare loop ({found.seconds:.2f} s, {found.bare:.2f} s); "
            f"processor time {found.cpu:.2f} ×; peak {found.peak:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
