"""How long parsing takes, as a ratio to the bare loop of `bare_parse.py`, and how much memory it needs.

    python benchmarks/parse_bench.py [--messages 1000000] [--styles android,ios]

Each run is a process of its own. What is timed is the `parse` function and the writing of its rows as zstd Parquet by
DuckDB, as a pipeline run does it; importing is not. Both read the same unpacked text.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path


def measure(path: str, out: str) -> None:
    """Parse `path` into a Parquet file and print seconds, rows and peak memory as JSON."""
    import resource

    import duckdb

    from egregora.config import Config
    from egregora.database.ir_schema import RAW_MESSAGES
    from egregora.pipeline.stage import Files, StageContext
    from egregora.stages.parse import parse
    from egregora.testing import write_export

    columns = ", ".join(f'CAST("{c.name}" AS {c.type}) AS "{c.name}"' for c in RAW_MESSAGES.columns)
    connection = duckdb.connect()
    # Once on a small export, so that all that is imported on the way (pandas by DuckDB, for one) is there.
    small = write_export(Path(out, "small.zip"), messages=50, pictures=0)
    connection.register("rows", parse(Files((small,)), Config(), run_id="bench", context=StageContext(Path(out))))
    connection.execute(f"COPY (SELECT {columns} FROM rows) TO '{out}/rows.parquet' (FORMAT parquet, COMPRESSION zstd)")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = time.process_time()
    started = time.perf_counter()
    reader = parse(Files((Path(path),)), Config(), run_id="bench", context=StageContext(Path(out)))
    connection.register("rows", reader)
    connection.execute(f"COPY (SELECT {columns} FROM rows) TO '{out}/rows.parquet' (FORMAT parquet, COMPRESSION zstd)")
    taken = time.perf_counter() - started
    cpu = time.process_time() - cpu
    rows = connection.execute(f"SELECT count(*) FROM '{out}/rows.parquet'").fetchone()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"seconds": taken, "cpu": cpu, "rows": rows[0] if rows else 0, "peak": peak / 1024, "before": before / 1024}
    print(json.dumps(found))


def bare(path: str, style: str) -> tuple[float, float]:
    """Seconds, and seconds of processor time, that the bare loop takes over `path`."""
    from bare_parse import bare_android, bare_ios

    started = time.perf_counter(), time.process_time()
    (bare_ios if style == "ios" else bare_android)(path)
    return time.perf_counter() - started[0], time.process_time() - started[1]


def main() -> None:
    """Write an export in each style, measure the loop and the parser in turn, print the best of three."""
    options = argparse.ArgumentParser()
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--styles", default="android,ios")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--child", nargs=2)
    chosen = options.parse_args()
    if chosen.child:
        measure(*chosen.child)
        return
    from egregora.testing import STYLES, write_export

    for style in chosen.styles.split(","):
        with tempfile.TemporaryDirectory() as folder:
            export = write_export(Path(folder, "export.zip"), messages=chosen.messages, style=style, pictures=0)
            with zipfile.ZipFile(export) as archive:
                name = STYLES[style].text_name.format(title="Lake House Crew")
                archive.extract(name, folder)
            text = str(Path(folder, name))
            loops, runs = [], []
            for _ in range(chosen.rounds):
                loops.append(bare(text, "ios" if style.startswith("ios") else "android"))
                command = [sys.executable, __file__, "--child", text, folder]
                runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            best, loop = min(runs, key=lambda run: run["seconds"]), min(loops)
            cpu, loop_cpu = min(run["cpu"] for run in runs), min(cpu for _, cpu in loops)
            print(
                f"{style}: {best['rows']} rows; bare loop {loop[0]:.2f} s, parse into Parquet {best['seconds']:.2f} s, "
                f"ratio {best['seconds'] / loop[0]:.2f} (processor time {cpu / loop_cpu:.2f}); "
                f"peak {best['peak']:.0f} MB, of which {best['before']:.0f} MB before it began"
            )


if __name__ == "__main__":
    main()
