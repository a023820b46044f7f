"""How long the privacy stage takes for a message, beside a bare loop that slices the same lines and keeps nothing.

    .venv/bin/python benchmarks/privacy_bench.py [MESSAGES] [PARTICIPANTS]

The mark: at most 4 × the time of parsing, which may take 2.5 × the bare loop, so at most 10 × the bare loop; 1 GB.
Also counts false alarms: how many messages that hold no name and no personal data change, by generated chat.
"""

# ruff: noqa: SIM905

from __future__ import annotations

import datetime as dt
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import ibis
import pyarrow as pa
from pydantic import SecretBytes

from egregora.config import Config
from egregora.database.ir_schema import RAW_MESSAGES
from egregora.pipeline.stage import StageContext
from egregora.stages.privacy import privacy

FIRST = """Alexandre Beatriz Carla Daniel Eduarda Felipe Gabriela Henrique Isabela João Karina Leonardo Mariana Nathan
Olivia Pedro Rafael Sofia Thiago Vanessa William Rose Mark Grace Oscar Emily George Hannah Julia Kevin""".split()
LAST = """Quintela Pellington Vilhena Rookwood Ashdown Tarrow Zambrano Fonteneve Cortezão Brannagh Kettleby Lisgrove
Marwood Nettlefold Oakshott Penhallow Quarrington Ravensdale Sedgemoor Thistlewood""".split()
WORDS = """the que de não house vamos semana amanhã praia lake dinner quem leva bread é um dia banana carro marido
sobre thing people kkkk haha ok então you
will may can I we it's for to and com para uma see time good very nice boat""".split()


def chat(messages: int, participants: int) -> tuple[list[str], list[str], list[str]]:
    """Authors, bodies, and which bodies are plain (`plain`, `named`, `data`)."""
    draw = random.Random(7)
    names = sorted({f"{a} {b}" for a in FIRST for b in LAST})
    draw.shuffle(names)
    names = names[:participants]
    authors, bodies, kinds = [], [], []
    for _ in range(messages):
        body = " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 14)))
        kind, dice = "plain", draw.random()
        if dice < 0.06:
            body, kind = f"{body} {draw.choice(names).split()[0]}", "named"
        elif dice < 0.07:
            body, kind = f"{body} +55 11 98765-{draw.randint(1000, 9999)}", "data"
        elif dice < 0.09:
            body += f" https://example.com/a/{draw.randint(1, 999)}?page=2"
        elif dice < 0.15:
            body += draw.choice((" R$ 1.234,56", " at 12:30", " 3-2!", " on 05/10/2024", f" {draw.randint(1, 99999)}"))
        if dice > 0.9:
            body += " 😂"
        authors.append(draw.choice(names))
        bodies.append(body)
        kinds.append(kind)
    return authors, bodies, kinds


def bare_loop(path: Path) -> float:
    """Seconds to read a file and slice every line by one fixed format, the time included, and keep nothing."""
    start = time.perf_counter()
    with path.open(encoding="utf-8") as file:
        for line in file:
            dt.datetime(int(line[6:10]), int(line[3:5]), int(line[:2]), int(line[12:14]), int(line[15:17]))
            _author, _, _text = line[20:-1].partition(": ")
    return time.perf_counter() - start


def main(messages: int = 100_000, participants: int = 200) -> None:
    authors, bodies, kinds = chat(messages, participants)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.txt"
        path.write_text(
            "".join(f"05/10/2023, 21:07 - {a}: {b}\n" for a, b in zip(authors, bodies, strict=True)), "utf-8"
        )
        bare = min(bare_loop(path) for _ in range(3))
    start = dt.datetime(2024, 1, 1)
    text = pa.string()
    columns = {
        "event_id": pa.array([f"{n:032x}" for n in range(messages)]),
        "tenant_id": pa.array(["default"] * messages),
        "source": pa.array(["whatsapp"] * messages),
        "thread_id": pa.array(["0" * 32] * messages),
        "seq": pa.array(range(messages), pa.int64()),
        "ts": pa.array([start + dt.timedelta(minutes=n) for n in range(messages)], pa.timestamp("us")),
        "thread_raw": pa.array(["Quintal Drama Club"] * messages),
        "author_raw": pa.array(authors),
        "kind": pa.array(["text"] * messages),
        "text": pa.array(bodies),
        "attachment": pa.nulls(messages, text),
        "media_type": pa.nulls(messages, text),
        "edited": pa.array([False] * messages),
        "attrs": pa.array(["{}"] * messages),
    }
    raw = pa.table(columns, schema=RAW_MESSAGES.arrow())
    del columns, authors
    connection = ibis.duckdb.connect()
    connection.con.register("raw_messages", raw)
    config = Config(site_key=SecretBytes(b"k" * 32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times, changed = [], 0
    for _ in range(3 if messages <= 200_000 else 1):
        begun, row, changed = time.perf_counter(), 0, 0
        reader = privacy(connection.table("raw_messages"), config, run_id="bench", context=StageContext(Path()))
        batches = [batch.column("text") for batch in reader]
        times.append(time.perf_counter() - begun)
        for column in batches:
            for value in column.to_pylist():
                changed += kinds[row] == "plain" and value != bodies[row]
                row += 1
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    best = min(times)
    print(f"{messages:,} messages, {participants} participants")
    print(f"bare loop  {bare:7.3f} s  {bare / messages * 1e6:6.2f} µs a message")
    print(f"privacy    {best:7.3f} s  {best / messages * 1e6:6.2f} µs a message  {best / bare:5.1f} × the bare loop")
    print(f"memory     {after:,.0f} MB in all, {after - before:,.0f} MB above the input")
    print(f"false alarms: {changed} of {kinds.count('plain'):,} plain messages changed")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
