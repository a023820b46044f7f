"""Mean time to explain: real faults, met as a user meets them, each explained by one command in its first five lines.

A case is a function that makes the fault up to its `yield`, and mends behind it; behind a second one it ends what must
last until then. `cases.py` says what is typed after the fault, what must be told, and which command must be named; that
one is typed as it was printed, and must work.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from egregora.testing import zip_of
from egregora.testing_llm import Asked, Reply, ScriptedServer
from model_replies import well
from mtte.cases import CASES, Case

LONGEST_S = 240
"""Seconds after which a command is taken to hang."""
EGREGORA = [sys.executable, "-m", "egregora"]
SLOWEST_S = 1.0
"""Seconds of processor time that an explanation may take, with the start of Python."""
BARE = "import duckdb, typer, rich.console"
"""What any such command needs; a machine that takes long for this takes as much longer for all."""


@dataclass
class World:
    """A folder with a site in it, and somebody who types.

    Attributes:
        folder: Where they are.
        export: The chat that the site was written from, as often as it is given.
        environment: What is set beside the usual.
    """

    folder: Path
    export: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def site(self) -> Path:
        return self.folder / "blog"

    def start(self, words: list[str], before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        """A command, in the folder, both its outputs together as on a terminal."""
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=before,
        )

    def type(self, command: str, status: int = 0, before: Callable[[], None] | None = None) -> str:
        """What a command prints; it must end so, and never with a traceback."""
        words = shlex.split(command)
        process = self.start([*EGREGORA, *words[1:]] if words[0] == "egregora" else words, before)
        out, _ = process.communicate(timeout=LONGEST_S)
        assert process.returncode == status, out
        assert "Traceback (most recent call last)" not in out, out
        return out

    def write(self, options: str = "", status: int = 0, before: Callable[[], None] | None = None) -> str:
        return self.type(f"egregora write {shlex.quote(str(self.export))} --site blog {options}", status, before)

    def settings(self, text: str) -> None:
        (self.site / "egregora.toml").write_text(f"[parse]\ntimezone = 'Europe/Lisbon'\n{text}", encoding="utf-8")


# -- the chat ---------------------------------------------------------------------------------------------------------

SAID = (
    "the lake house needs a new roof before winter",
    "I found a carpenter who can come on Friday",
    "does anybody still have the key of the boat shed?",
    "we decided to paint the fence green this time",
    "the soup was better with lemon and less salt",
    "shall we take the early train to the coast?",
    "the library has the second volume again",
    "my bicycle has a flat tyre, so I walk",
)


def chat(title: str = "") -> str:
    """Four weeks of four people. The third week is nearly all Otto Lindqvist's."""
    lines = []
    for day in range(28):
        for turn in range(4):
            author = ("Ana Beatriz", "Priya Raman", "Kwame Boateng")[(day + turn) % 3]
            if 14 <= day < 21 and turn:
                author = "Otto Lindqvist"
            elif 14 <= day < 21 and day % 4:
                continue
            date = f"{(day + 4 - 1) % 31 + 1:02}/03/2024"
            said = SAID[(day * 3 + turn) % len(SAID)]
            lines.append(f"{date}, {9 + turn * 3:02}:{day:02} - {author}: {said}, number {day * 4 + turn}\n")
    return "".join(lines)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a site that was written once; each case gets a copy."""
    folder = tmp_path_factory.mktemp("mtte")
    world = World(folder, folder / "chat.txt")
    world.export.write_text(chat(), encoding="utf-8")
    world.site.mkdir()
    world.settings("")
    world.write()
    return folder


@pytest.fixture
def world(written: Path, tmp_path: Path) -> World:
    folder = tmp_path / "home"
    shutil.copytree(written, folder)
    return World(folder, folder / "chat.txt")


def in_time(used: float) -> bool:
    """Whether an explanation that used so many seconds of processor time was quick enough.

    A machine that is busy with other things gives a process less for each second that it counts: there it may take as
    much longer as what any such command needs does just now.
    """
    if used < SLOWEST_S:
        return True
    before = seconds_of_children()
    subprocess.run([sys.executable, "-c", BARE], check=True)
    return used < 6 * (seconds_of_children() - before)


def seconds_of_children() -> float:
    """Processor time of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# -- the faults -------------------------------------------------------------------------------------------------------

Fault = Iterator[None]


def bad_zip(world: World) -> Fault:
    good, world.export = world.export, world.folder / "chat.zip"
    world.export.write_bytes(b"<html>Please sign in to download this file</html>")
    world.write(status=1)
    yield
    zip_of(world.export, {"WhatsApp Chat with Lake.txt": good.read_bytes()})


def truncated_export(world: World) -> Fault:
    good, world.export = world.export, world.folder / "chat.zip"
    whole = zip_of(world.export, {"WhatsApp Chat with Lake.txt": good.read_bytes()}).read_bytes()
    world.export.write_bytes(whole[: len(whole) // 2])
    world.write(status=1)
    yield
    world.export.write_bytes(whole)


def unknown_format(world: World) -> Fault:
    good = world.export.read_bytes()
    world.export.write_text("Shopping: bread, lemons, two tents\nCall the carpenter\n", encoding="utf-8")
    world.write(status=1)
    yield
    world.export.write_bytes(good)


def unknown_source(world: World) -> Fault:
    world.settings("source = 'telegran'\n")
    world.write(status=1)
    yield
    world.settings("")


PIGEON = """
import json, os, time
import pyarrow as pa
from egregora.sources import Reading, Source

def read(archive, config):
    with archive.open(0) as file:
        rows = [json.loads(line) for line in file.read().decode().splitlines()]
    columns = {
        "ts": pa.array([row["at"] * 1_000_000 for row in rows], pa.timestamp("us")),
        "author_raw": [row["from"] for row in rows],
        "kind": ["text"] * len(rows),
        "text": [row["says"] for row in rows],
        "attachment": pa.nulls(len(rows), pa.string()),
        "media_type": pa.nulls(len(rows), pa.string()),
        "edited": [False] * len(rows),
        "attrs": ["{}"] * len(rows),
    }
    def batches():
        CHANGE
        yield pa.RecordBatch.from_pydict(columns)
    return Reading("Pigeons", {}, batches(), {})

def detect(archive):
    return float(archive.members[0].name.endswith(".pigeon"))

SOURCE = Source("pigeon", "Carrier pigeons", detect, read)
"""


def pigeons(world: World, change: str = "pass") -> None:
    """Install a source for pigeons' messages, in a folder of its own, with a change to how it reads."""
    packages = world.folder / "packages"
    about = packages / "pigeon_egregora-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon-egregora\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[egregora.sources]\npigeon = pigeon_egregora:SOURCE\n")
    module = packages / "pigeon_egregora.py"
    module.write_text(PIGEON.replace("CHANGE", change))
    # Python takes a module for unchanged that was changed within a second and has the same size.
    shutil.rmtree(packages / "__pycache__", ignore_errors=True)
    world.environment["PYTHONPATH"] = str(packages)
    world.export = world.folder / "loft.pigeon"
    if not world.export.exists():
        rows = [
            {"at": 1_709_600_000 + n * 3600, "from": ("Ana", "Kwame")[n % 2], "says": SAID[n % 8]} for n in range(40)
        ]
        world.export.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def drifted_source(world: World) -> Fault:
    pigeons(world)
    world.write("--up-to parse")
    pigeons(world, 'columns["body"] = columns.pop("text")')
    world.export.write_bytes(world.export.read_bytes() + b"\n" + world.export.read_bytes().splitlines()[0])
    world.write("--up-to parse", status=1)
    yield
    pigeons(world)


def killed(world: World) -> Fault:
    pigeons(world, "open('reading', 'w').close(); time.sleep(60)")
    process = world.start([*EGREGORA, "write", str(world.export), "--site", "blog"])
    started = time.monotonic()
    while not (world.folder / "reading").exists() and time.monotonic() - started < 30:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    pigeons(world)
    yield


def wrong_timezone(world: World) -> Fault:
    world.write("--timezone Asia/Tokyo")
    yield


def wrong_date_order(world: World) -> Fault:
    lines = [f"{n % 9 + 1:02}/{n % 4 + 4:02}/2024, 10:{n % 60:02} - Ana Beatriz: {SAID[n % 8]}\n" for n in range(36)]
    world.export.write_text("".join(sorted(lines, key=lambda line: (line[3:5], line))), encoding="utf-8")
    world.write()
    world.settings("date_order = 'mdy'\n")
    world.write()
    yield


def ambiguous_dates(world: World) -> Fault:
    lines = [f"05/04/2024, {10 + n // 6}:{n % 60:02} - Ana Beatriz: {SAID[n % 8]}\n" for n in range(36)]
    world.export.write_text("".join(lines), encoding="utf-8")
    world.write()
    yield


def grown_export(world: World) -> Fault:
    with world.export.open("a", encoding="utf-8") as file:
        file.write("31/03/2024, 20:00 - Ana Beatriz: and one thing more about the lake house\n")
    world.write()
    yield


def changed_setting(world: World) -> Fault:
    world.settings("[write]\nwindow = '3d'\n")
    world.write()
    yield


def empty_range(world: World) -> Fault:
    world.settings("[write]\nfrom_date = 2031-01-01\n")
    world.write(status=1)
    yield
    world.settings("[write]\nfrom_date = 2024-03-05\n")


def unreadable_settings(world: World) -> Fault:
    (world.site / "egregora.toml").write_text("[parse]\ntimezone = Europe/Lisbon\n", encoding="utf-8")
    yield
    world.settings("")


def opted_out(world: World) -> Fault:
    with world.export.open("a", encoding="utf-8") as file:
        file.write("31/03/2024, 20:00 - Otto Lindqvist: /egregora opt-out\n")
    world.write()
    yield


def redacted_word(world: World) -> Fault:
    world.settings("[privacy]\nalso_redact = ['carpenter']\n")
    world.write()
    yield


def refused_leak(world: World) -> Fault:
    # The site's own words say that as well.
    world.settings("[privacy]\nalso_redact = ['took part']\n")
    world.write(status=1)
    yield


def full_disk(world: World) -> Fault:
    results = world.site / ".egregora" / "checkpoints" / "enrich"
    world.settings("[enrich]\nreply_minutes = 61\n")
    with small_disk(results) as (before, more_space):
        world.write(status=1, before=before)
        yield
        more_space()
        yield


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Callable[[], None] | None, Callable[[], None]]]:
    """A folder on a disk of its own with hardly any space; where one mayn't mount, a limit on files for one process."""
    size = ["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(size, capture_output=True, check=False).returncode == 0 if shutil.which("mount") else False
    if not mounted:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000)), lambda: None
        return
    try:
        more = ["mount", "-o", "remount,size=10m", str(folder)]
        yield None, lambda: subprocess.run(more, check=True, capture_output=True) and None
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def no_permission(world: World) -> Fault:
    results = world.site / ".egregora" / "checkpoints" / "write"
    results.chmod(0o500)
    world.settings("[write]\nwindow = '3d'\n")
    world.write(status=1, before=like_others)
    yield
    results.chmod(0o700)


def like_others() -> None:
    """Let root be bound by permissions as everybody else is."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def damaged_checkpoint(world: World) -> Fault:
    [path] = (world.site / ".egregora" / "checkpoints" / "enrich").glob("*.parquet")
    os.truncate(path, path.stat().st_size // 2)
    world.write()
    yield


def damaged_catalog(world: World) -> Fault:
    (world.site / ".egregora" / "egregora.duckdb").write_bytes(b"not a catalog" * 1000)
    yield


def foreign_page(world: World) -> Fault:
    page = world.site / "site" / "index.html"
    page.unlink()
    page.mkdir()
    world.write(status=1)
    yield
    page.rmdir()


SHOP = """
import json
import sys
import pyarrow as pa
import ibis
import prices
from egregora.database.storage import StorageManager
from egregora.pipeline.runner import run_stage_with_tracking

def totals(orders, config, *, run_id):
    rows = orders.to_pyarrow().to_pylist()
    RESULT

names, times = json.loads(sys.argv[1])
storage = StorageManager("blog/.egregora/egregora.duckdb")
orders = ibis.memtable(pa.table({"what": names, "number": list(range(len(names)))}))
for _ in range(times):
    run_stage_with_tracking("totals", totals, orders, {}, storage, force=times > 1)
"""
PRICES = """
import time
PRICE = {"bread": 3, "tent": 80}
def price_of(what):
    return PRICE[what]
"""
TABLE = 'return pa.table({"sum": [prices.price_of(row["what"]) * row["number"] for row in rows]})'


def shop(
    world: World,
    status: int = 0,
    *,
    prices: str = PRICES,
    result: str = TABLE,
    orders: tuple[str, ...] = ("bread", "tent"),
    times: int = 1,
) -> None:
    """A pipeline of somebody's own runs: one stage, and a helper that it imports."""
    (world.folder / "shop.py").write_text(SHOP.replace("RESULT", result))
    (world.folder / "prices.py").write_text(prices)
    shutil.rmtree(world.folder / "__pycache__", ignore_errors=True)
    process = world.start([sys.executable, "shop.py", json.dumps([orders, times])])
    out, _ = process.communicate(timeout=LONGEST_S)
    assert process.returncode == status, out


def changed_helper(world: World) -> Fault:
    shop(world)
    shop(world, prices=PRICES.replace("80", "95"))
    yield


def slower_stage(world: World) -> Fault:
    shop(world, times=5)
    shop(world, prices=PRICES.replace("    return", "    time.sleep(1.5)\n    return"))
    yield


def chained_exception(world: World) -> Fault:
    shop(world)
    hiding = f"""try:
        {TABLE}
    except KeyError as error:
        raise RuntimeError("can't price the orders") from error"""
    shop(world, 1, orders=("bread", "lemon"), result=hiding)
    yield


def wrong_result(world: World) -> Fault:
    shop(world, 1, result="return rows")
    yield


# -- models -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def asking(world: World, *replies: Reply, settings: str = "") -> Iterator[ScriptedServer]:
    """A model is set that gives these replies, the last one again and again; None is a faithful answer."""

    def script(asked: Asked) -> Reply:
        reply = replies[min(asked.number, len(replies)) - 1]
        return dataclasses.replace(reply, content=well(asked)) if reply.content == WELL else reply

    with ScriptedServer(script) as server:
        world.environment["OPENAI_API_KEY"] = "an-invented-key"
        world.settings(
            f"[llm]\nmodel = 'openai:gpt-4o-mini'\nbase_url = '{server.base_url}'\n"
            f"retries = 0\nconcurrency = 1\n{settings}"
        )
        yield server


WELL = "a faithful answer"


def failing(world: World, reply: Reply) -> Iterator[None]:
    """The model fails at the third window, and is mended."""
    with asking(world, Reply(WELL), Reply(WELL), reply):
        world.write(status=1)
    yield
    with asking(world, Reply(WELL)):
        yield


def wrong_key(world: World) -> Fault:
    yield from failing(world, Reply(status=401))


def rate_limit(world: World) -> Fault:
    yield from failing(world, Reply(status=429))


def large_window(world: World) -> Fault:
    told = {"message": "This model's maximum context length is 4096 tokens.", "code": "context_length_exceeded"}
    yield from failing(world, Reply(status=400, raw=json.dumps({"error": told}).encode()))


def malformed_answer(world: World) -> Fault:
    yield from failing(world, Reply("certainly! here is your post"))


def spent_budget(world: World) -> Fault:
    with asking(world, Reply(WELL)):
        world.write("--max-calls 2", status=1)
        yield
        yield


def tripled_cost(world: World) -> Fault:
    with asking(world, Reply(WELL, input_tokens=10_000, output_tokens=100)):
        world.write("--up-to write")
    with asking(world, Reply(WELL, input_tokens=30_000, output_tokens=300), settings="temperature = 0.5\n"):
        world.write("--up-to write")
        yield


# -- the proof --------------------------------------------------------------------------------------------------------

WRITE = "egregora write EXPORT"
"""What is wrong before there is a run is told by the command itself, which is typed once more."""
COMMAND = re.compile(r"egregora (?:'[^']*'|[^\s()',;]+(?: |$))+")


def next_command(out: str, case: Case) -> str:
    """The first command that is named as it stands there, and must be the one that the case names."""
    lines = out.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith(("Next", "hint:"))), 0)
    found = [match[0].strip() for line in lines[start:] for match in COMMAND.finditer(line)]
    found += [match[0].strip() for line in lines[:start] for match in COMMAND.finditer(line)]
    plain = [re.sub(r"\b[0-9a-f]{8,11}\b(-[0-9a-f]+)*", "ID", command.replace(" --site blog", "")) for command in found]
    assert case.next in plain, out
    return found[plain.index(case.next)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_explained(case: Case, world: World) -> None:
    """The cause in the first five lines, within a second, without a traceback; then a next command, which works."""
    fault = globals()[case.name](world)
    next(fault)
    with contextlib.closing(fault):
        export = shlex.quote(str(world.export))
        typed = case.command.replace("EXPORT", export)
        before = seconds_of_children()
        out = world.type(f"{typed} --site blog", status=int(case.command == WRITE))
        assert case.command == WRITE or in_time(seconds_of_children() - before)
        # A sentence that goes on in the next line is one sentence.
        first = re.sub(r"\s+", " ", " ".join(out.splitlines()[:5])).lower()
        assert [words for words in case.says if words.lower() not in first] == [], out
        command = f"{WRITE} --site blog" if case.command == WRITE else next_command(out, case)
        next(fault, None)
        command = command.replace("EXPORT", export)
        world.type(command if "--site" in command else f"{command} --site blog", status=case.status)


def test_every_case_has_its_fault() -> None:
    """No case without a function, no function without a case."""
    faults = {
        name for name, thing in globals().items() if getattr(thing, "__annotations__", {}).get("return") == "Fault"
    }
    assert {case.name for case in CASES} == faults
