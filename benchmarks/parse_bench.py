"""How long parsing takes in each style of header, as a ratio to the bare loop of `bare_parse.py`, and its peak memory.

    python benchmarks/parse_bench.py [--messages 1000000] [--styles android,android-us,ios] [--rounds 5]

Both are whole processes, in turn: the bare loop over the unpacked text, and `parse` from the zip into Parquet, written
as a pipeline run writes it. Imports count. What is printed are medians of the rounds.
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


def process(command: list[str]) -> tuple[float, float, float]:
    """Run a command; its seconds, its seconds of processor time, and its peak memory in MB."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{command[0]} failed")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Write an export in each style, run the loop and the parser in turn, print medians."""
    options = argparse.ArgumentParser()
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--styles", default="android,android-us,ios")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    from egregora.testing import STYLES, write_export

    for style in chosen.styles.split(","):
        with tempfile.TemporaryDirectory() as folder:
            export = write_export(Path(folder, "export.zip"), messages=chosen.messages, style=style, pictures=0)
            with zipfile.ZipFile(export) as archive:
                name = STYLES[style].text_name.format(title="Lake House Crew")
                archive.extract(name, folder)
            loop = [sys.executable, str(Path(__file__).with_name("bare_parse.py")), str(Path(folder, name))]
            if style not in ("android", "ios"):
                loop += ["--split", "] " if STYLES[style].ios else " - "]
            elif style == "ios":
                loop.append("--ios")
            ours = [sys.executable, "-c", PARSE, str(export), str(Path(folder, "rows.parquet"))]
            rounds = [(process(ours), process(loop)) for _ in range(chosen.rounds)]
            seconds, cpu = (statistics.median(mine[i] / bare[i] for mine, bare in rounds) for i in (0, 1))
            mine, bare, peak = (
                statistics.median(values)
                for values in ((m[0] for m, _ in rounds), (b[0] for _, b in rounds), (m[2] for m, _ in rounds))
            )
            print(
                f"{style}: {seconds:.2f} × the bare loop ({mine:.2f} s, {bare:.2f} s); "
                f"processor time {cpu:.2f} ×; peak {peak:.0f} MB"
            )


if __name__ == "__main__":
    main()
