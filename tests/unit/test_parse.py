"""The parse stage: rows as declared, ids that agree between phones, exports merged without duplicates."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from egregora.config import Config, ParseConfig
from egregora.database.ir_schema import RAW_MESSAGES
from egregora.database.storage import StorageManager
from egregora.errors import ConfigError, ExportError
from egregora.pipeline.runner import run_stage
from egregora.pipeline.stage import Files, StageContext
from egregora.sources import choose_source, known_sources
from egregora.sources.archive import open_archive
from egregora.stages.chain import stage_called
from egregora.stages.parse import STAGE, parse, thread_id
from egregora.testing import write_export, zip_of


class Listening(StageContext):
    """A context that keeps what it is told."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.lines: list[tuple[str, str]] = []
        self.done: list[tuple[int, int | None]] = []
        self.figures: dict[str, float] = {}

    def log(self, message: str, level: str = "info") -> None:
        self.lines.append((level, message))

    def progress(self, done: int, total: int | None = None, unit: str = "messages") -> None:
        self.done.append((done, total))

    def profile(self, name: str, value: float) -> None:
        self.figures[name] = value


def run(paths: Iterable[Path], context: StageContext | None = None, **config: Any) -> list[dict[str, Any]]:
    context = context or StageContext(Path("/nowhere"))
    reader = parse(Files(tuple(paths)), Config(parse=ParseConfig(**config)), run_id="r", context=context)
    return [row for batch in reader for row in batch.to_pylist()]


def chat(tmp_path: Path, name: str, text: str, **more: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return zip_of(folder / "export.zip", {f"WhatsApp Chat with {more.pop('title', 'Crew')}.txt": text, **more})


def test_rows_are_as_declared(tmp_path: Path) -> None:
    """DuckDB takes the rows as the declared table, no column missing and no NULL where none may be."""
    path = write_export(tmp_path / "e.zip", messages=500)
    context = Listening(tmp_path)
    reader = parse(Files((path,)), Config(), run_id="r", context=context)
    assert tuple(reader.schema.names) == RAW_MESSAGES.names
    connection = duckdb.connect()
    connection.execute(RAW_MESSAGES.ddl())
    connection.register("rows", reader)
    connection.execute("INSERT INTO raw_messages SELECT * FROM rows")
    assert connection.execute(
        "SELECT count(*), count(DISTINCT event_id), min(seq), max(seq), count(DISTINCT thread_raw) FROM raw_messages"
    ).fetchone() == (502, 502, 0, 501, 1)
    assert context.done[-1] == (502, 502)
    assert connection.execute("SELECT DISTINCT length(event_id) FROM raw_messages").fetchall() == [(32,)]


def test_same_bytes_same_rows(tmp_path: Path) -> None:
    """Reading twice gives the same rows."""
    path = write_export(tmp_path / "e.zip", messages=300)
    assert run([path]) == run([path])


def test_nothing_of_the_chat_is_logged(tmp_path: Path) -> None:
    """What was decided is logged, names and text are not."""
    path = write_export(tmp_path / "Secret Crew.zip", messages=200, title="Secret Crew")
    context = Listening(tmp_path)
    run([path], context)
    told = "\n".join(line for _, line in context.lines)
    assert "NN/NN/YYYY, hh:mm -" in told
    assert "202 headers" in told
    assert not any(word in told for word in ("Secret", "Crew", "Ana", "lake", "+55"))


def test_ambiguity_is_a_warning(tmp_path: Path) -> None:
    """A guessed order of day and month is a warning that names the setting, and a figure."""
    context = Listening(tmp_path)
    run([chat(tmp_path, "a", "05/02/23, 10:00 - N: t\n")], context)
    assert any(level == "warning" and "parse.date_order" in line for level, line in context.lines)
    assert context.figures["date_order_ambiguous"] == 1


def test_figures_tell_how_much_was_understood(tmp_path: Path) -> None:
    """Lines of no message, and lines of another format, are a share of those that aren't empty."""
    context = Listening(tmp_path)
    text = "what is this\n\n13/10/2023, 21:07 - N: t\n\nu\n[13/10/2023, 21:07:45] M: other\n"
    assert len(run([chat(tmp_path, "a", text)], context)) == 1
    expected = {
        "lines": 6,
        "lines_not_understood": 2 / 4,
        "date_order_ambiguous": 0,
        "merged_duplicates": 0,
    }
    assert {name: context.figures[name] for name in expected} == expected


def test_nth_such_message_has_its_own_id(tmp_path: Path) -> None:
    """Equal messages of one minute differ in their ids, also when the clock was set back far."""
    again = "13/10/2023, 21:07 - N: ok\n"
    other = "".join(f"14/10/2023, 21:07 - N: {i}\n" for i in range(60_000))
    rows = run([chat(tmp_path, "a", again * 3 + other + again)])
    ids = [row["event_id"] for row in rows if row["text"] == "ok"]
    assert len(set(ids)) == 4
    few = run([chat(tmp_path, "b", again * 4)])
    assert [row["event_id"] for row in few] == ids


def test_id_ignores_author_and_seconds(tmp_path: Path) -> None:
    """Two phones' exports of one chat agree on ids: contacts' names, seconds, languages and mentions don't count."""
    android = chat(
        tmp_path,
        "a",
        "13/10/2023, 21:07 - Mum: hello @5511912345678\n13/10/2023, 21:08 - Mum: <Mídia oculta>\n"
        "13/10/2023, 21:09 - Mum: Mensagem apagada\n",
    )
    iphone = chat(
        tmp_path,
        "b",
        "[13/10/2023, 21:07:12] Ana: hello @\u2068Otto\u2069\n[13/10/2023, 21:08:13] Ana: \u200eimage omitted\n"
        "[13/10/2023, 21:09:14] Ana: \u200eThis message was deleted.\n",
    )
    one, other = run([android]), run([iphone])
    assert [row["event_id"] for row in one] == [row["event_id"] for row in other]
    assert [row["kind"] for row in one] == ["text", "media", "deleted"]


def test_thread_is_the_title_whatever_a_file_makes_of_it() -> None:
    """Case, spaces and signs that file names lose don't make another chat."""
    assert thread_id("whatsapp", "The Crew/Lake") == thread_id("whatsapp", "the_crew lake")
    assert thread_id("whatsapp", "The Crew") != thread_id("whatsapp", "The Band")
    assert thread_id("whatsapp", "x") != thread_id("other", "x")


DAY_ONE = "13/10/2023, 21:07 - Ana: one\n13/10/2023, 21:08 - Bo: two\n13/10/2023, 21:08 - Ana: two\n"
DAY_TWO = "14/10/2023, 21:07 - Ana: three\n"


def test_later_export_adds_only_what_is_new(tmp_path: Path) -> None:
    """Overlapping exports give each message once, in order, numbered through, and the overlap is told."""
    context = Listening(tmp_path)
    first, second = chat(tmp_path, "a", DAY_ONE), chat(tmp_path, "b", DAY_ONE + DAY_TWO)
    rows = run([first, second], context)
    assert [(row["seq"], row["text"]) for row in rows] == [(0, "one"), (1, "two"), (2, "two"), (3, "three")]
    assert run([second, first]) == rows
    assert ("info", "2 exports of 1 chat: 4 messages; 3 more were the same") in context.lines
    expected = {
        "lines": 7,
        "lines_not_understood": 0,
        "date_order_ambiguous": 0,
        "merged_duplicates": 3,
    }
    assert {name: context.figures[name] for name in expected} == expected
    assert context.done[-1] == (7, 7)


def test_merging_one_export_with_itself_changes_nothing(tmp_path: Path) -> None:
    """The same export twice is that export."""
    path = write_export(tmp_path / "e.zip", messages=400)
    assert sorted(row["event_id"] for row in run([path, path])) == sorted(row["event_id"] for row in run([path]))


def test_another_phones_names_become_the_first_ones(tmp_path: Path) -> None:
    """Whom the second phone calls otherwise keeps the name of the first, in messages that only the second has."""
    theirs = (DAY_ONE + DAY_TWO).replace("Ana:", "My daughter:") + DAY_TWO.replace("Ana: three", "Eve: hi")
    ours = DAY_ONE + "13/10/2023, 22:00 - Ana: four\n"
    rows = run([chat(tmp_path, "a", ours), chat(tmp_path, "b", theirs + "13/10/2023, 22:00 - My daughter: four\n")])
    assert [(row["author_raw"], row["text"]) for row in rows] == [
        ("Ana", "one"),
        ("Bo", "two"),
        ("Ana", "two"),
        ("Ana", "four"),
        ("Ana", "three"),
        ("Eve", "hi"),
    ]


def test_the_copy_with_the_file_wins(tmp_path: Path) -> None:
    """Of two copies of a message the one whose file is there is kept, with the number of its export."""
    line = "13/10/2023, 21:07 - Ana: IMG-20231013-WA0001.jpg (file attached)\n"
    without = chat(tmp_path, "a", "13/10/2023, 21:07 - Ana: <Media omitted>\n")
    with_file = chat(tmp_path, "b", line, **{"IMG-20231013-WA0001.jpg": "jpeg"})
    assert [(row["attachment"], row["attrs"]) for row in run([without, with_file])] == [
        ("IMG-20231013-WA0001.jpg", '{"member":[1,1]}')
    ]


def test_two_chats_stay_two(tmp_path: Path) -> None:
    """Chats with different titles and contents are numbered each for itself."""
    rows = run([chat(tmp_path, "a", DAY_ONE), chat(tmp_path, "b", DAY_TWO, title="Band")])
    assert [(row["thread_raw"], row["seq"]) for row in rows] == [("Crew", 0), ("Crew", 1), ("Crew", 2), ("Band", 0)]


def test_a_chat_without_a_title_is_kept(tmp_path: Path) -> None:
    """A text file whose name says nothing has no title, and its rows fit the checkpoint all the same."""
    export = tmp_path / "notes.txt"
    export.write_text(DAY_ONE, encoding="utf-8")
    storage = StorageManager(tmp_path / ".egregora" / "egregora.duckdb")
    kept = run_stage(stage_called("parse", Config()), Files((export,)), Config(), storage)
    assert {row["thread_raw"] for row in pq.read_table(kept.origin.path).to_pylist()} == {None}
    storage.close()


def test_one_chat_under_two_titles_is_one(tmp_path: Path) -> None:
    """A chat of two bears the other's name on each phone; what they have in common tells."""
    text = "".join(f"13/10/2023, 21:{m:02} - Ana: message {m}\n" for m in range(20))
    mine, theirs = chat(tmp_path, "a", text, title="Ana"), chat(tmp_path, "b", text + DAY_TWO, title="Bo")
    rows = run([mine, theirs])
    assert len(rows) == 21
    assert {(row["thread_id"], row["thread_raw"]) for row in rows} == {(thread_id("whatsapp", "Ana"), "Ana")}


def test_no_chat_is_an_error_at_the_call(tmp_path: Path) -> None:
    """Nothing to read is said before anything is written, for one export and for several."""
    bad = zip_of(tmp_path / "x.zip", {"a.txt": "no chat"})
    good = chat(tmp_path, "a", DAY_ONE)
    for paths in ([bad], [good, bad]):
        with pytest.raises(ExportError, match="no chat in it"):
            run(paths)


def test_of_several_exports_the_error_says_which(tmp_path: Path) -> None:
    """Whoever gives two zips must know which to copy again; by its place, as a file's name may be somebody's."""
    good = chat(tmp_path, "a", DAY_ONE)
    cut = tmp_path / "Chat with Joana.zip"
    cut.write_bytes(good.read_bytes()[:-30])
    with pytest.raises(ExportError) as caught:
        run([good, cut])
    assert str(caught.value) == "export 2 of 2: the export is damaged or cut off: it can't be unpacked"
    assert caught.value.hint == "export or copy the chat again"
    assert not isinstance(caught.value.__cause__, ExportError), "`runs explain` would tell the inner one"


@pytest.mark.parametrize("copies", [1, 2])
def test_damage_far_inside_is_an_export_error(tmp_path: Path, copies: int) -> None:
    """A zip that breaks after its first messages fails as an ExportError while the rows are read, merged or not."""
    noise = random.Random(1)
    lines = (f"13/10/2023, 21:07 - N: {noise.getrandbits(400):x}\n" for _ in range(40_000))
    path = chat(tmp_path, "a", "".join(lines))
    data = bytearray(path.read_bytes())
    data[-len(data) // 10] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ExportError, match="damaged"):
        run([path] * copies)


def test_sources_are_found_by_entry_point(tmp_path: Path) -> None:
    """WhatsApp is installed; an unknown name is answered with the known ones."""
    assert "whatsapp" in known_sources()
    assert "whatsapp" in {entry.name for entry in entry_points(group="egregora.sources")}
    with open_archive(chat(tmp_path, "a", DAY_ONE)) as archive:
        assert choose_source(archive, "auto").name == choose_source(archive, "whatsapp").name == "whatsapp"
        with pytest.raises(ConfigError, match="unknown source 'telegraph'") as caught:
            choose_source(archive, "telegraph")
    assert "whatsapp" in caught.value.hint


def test_sources_can_be_given(tmp_path: Path) -> None:
    """What is chosen from is the caller's, for one export and for several."""
    path = chat(tmp_path, "a", DAY_ONE)
    mine = {"whatsapp": replace(known_sources()["whatsapp"], name="pigeon")}
    for paths in ((path,), (path, path)):
        reader = parse(Files(paths), Config(), run_id="r", context=StageContext(tmp_path), sources=mine)
        assert {row["source"] for batch in reader for row in batch.to_pylist()} == {"pigeon"}
        with pytest.raises(ExportError, match="no chat"):
            parse(Files(paths), Config(), run_id="r", context=StageContext(tmp_path), sources={})


def test_one_export_needs_neither_duckdb_nor_ibis(tmp_path: Path) -> None:
    """Parsing one export into Parquet imports neither, nor pandas: that is 100 MB and half a second."""
    path = write_export(tmp_path / "e.zip", messages=50)
    code = (
        "import sys; from pathlib import Path; from egregora.config import Config\n"
        "from egregora.database.ir_schema import RAW_MESSAGES; from egregora.pipeline.checkpoint import stream_rows\n"
        "from egregora.pipeline.stage import Files, StageContext; from egregora.stages.parse import parse\n"
        "path = Path(sys.argv[1])\n"
        "rows = parse(Files((path,)), Config(), run_id='r', context=StageContext(path.parent))\n"
        "stream_rows(path.with_suffix('.parquet'), rows, RAW_MESSAGES)\n"
        "print(sorted({'duckdb', 'ibis', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_stage_is_declared() -> None:
    """The stage reads `parse.*` and the tenant, and makes raw messages."""
    assert (STAGE.name, STAGE.output, STAGE.config_keys) == ("parse", RAW_MESSAGES, ("parse", "site.tenant"))
