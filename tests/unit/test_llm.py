"""Asking a model: what leaves and what may not, what is counted, what goes wrong and how it is told."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel, Field

from egregora.config import Config
from egregora.database.columns import Column, TableSpec
from egregora.database.storage import StorageManager
from egregora.errors import AnswerError, BudgetError, ConfigError, EgregoraError, ModelError, PrivacyError
from egregora.llm import MODEL_KEYS, ask
from egregora.observe.checkpoints import plan_gc
from egregora.pipeline.rehearsal import rehearse_stage
from egregora.pipeline.runner import run_stage, run_stage_with_tracking
from egregora.pipeline.stage import PrivacyPass, Stage, StageContext
from egregora.testing import write_export
from egregora.testing_llm import Asked, Reply, ScriptedServer
from runs_rows import Shown

Ask = Callable[..., list[Any]]
WINDOWS = TableSpec("windows", "Windows.", (Column("label", "VARCHAR", "which"), Column("title", "VARCHAR", "title")))


class Post(BaseModel):
    """A post."""

    title: str = Field(max_length=80)


def protect(table: Any, config: Any, *, run_id: str) -> Any:
    return table


def one(table: pa.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    (label,) = table["label"].to_pylist()
    said = ask(
        context.privacy_pass(),
        context,
        purpose="write a window",
        instructions="Write a title.",
        prompt=f"Window {label}",
        output=Post,
        check=no_shouting,
    )
    return pa.table({"label": [label], "title": [said.title]})


def no_shouting(post: Post) -> None:
    if post.title.isupper():
        raise ValueError("Don't shout.")


def each(table: Any, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    rows = table.order_by("label").to_pyarrow()
    jobs = [
        functools.partial(
            context.child_result,
            f"window {number}",
            one,
            rows.slice(number, 1),
            config_keys=MODEL_KEYS,
            output=WINDOWS,
        )
        for number in range(len(rows))
    ]
    return pa.concat_tables(context.run_children(jobs, config.llm.concurrency))


def settings(server: ScriptedServer | None = None, **more: Any) -> Config:
    llm = {"model": "openai:gpt-4o-mini", "base_url": server.base_url if server else "http://127.0.0.1:9/v1"}
    return Config.model_validate({"llm": {**llm, "retries": 0, "timeout_seconds": 5, **more}})


def write(storage: StorageManager, config: Config, labels: int = 3, func: Any = each) -> list[str]:
    """Run the two stages; gives the titles."""
    table = pa.table({"label": [f"{number:02}" for number in range(labels)]})
    protected = run_stage_with_tracking("privacy", protect, table, {}, storage)
    made = run_stage_with_tracking("write", func, protected, config, storage, config_keys=("llm",))
    return list(made.order_by("label").to_pyarrow()["title"].to_pylist())


def again(storage: StorageManager) -> StorageManager:
    """The next invocation."""
    storage.close()
    return StorageManager(storage.db_path)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")
    return


def titled(asked: Asked) -> Reply:
    return Reply({"title": f"On {asked.prompt.lower()}"})


# -- what leaves


def test_the_program_starts_without_the_model_library() -> None:
    """Importing the command line doesn't import pydantic_ai, nor does importing what stages ask with."""
    code = "import sys, egregora.cli, egregora.llm; print([m for m in sys.modules if m.startswith('pydantic_ai')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_leaves_without_the_runs_own_pass(storage: StorageManager) -> None:
    """No pass, a pass that was made up, one of another site or run: refused before anything is sent."""
    refused: list[str] = []

    def wrong(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
        own = context.privacy_pass()
        for permit in (None, PrivacyPass("x", own.tenant_id), PrivacyPass(own.run_id, "another"), "pass"):
            with pytest.raises(PrivacyError) as caught:
                ask(permit, context, purpose="p", instructions="i", prompt="p", output=Post)  # type: ignore[arg-type]
            refused.append(str(caught.value))
        return pa.table({"label": ["a"], "title": ["t"]})

    def raw(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
        permit = PrivacyPass("4f8f9a2e-0000-4000-8000-000000000000", context.tenant_id)
        ask(permit, context, purpose="p", instructions="i", prompt="p", output=Post)

    with ScriptedServer(titled) as server:
        write(storage, settings(server), func=wrong)
        assert len(refused) == 4
        with pytest.raises(PrivacyError):
            run_stage_with_tracking("write", raw, pa.table({"a": [1]}), settings(server), storage, config_keys=("llm",))
        assert server.asked == []
    context = StageContext(Path("/nowhere"), config=settings())
    with pytest.raises(PrivacyError):
        ask(PrivacyPass("r", "default"), context, purpose="p", instructions="i", prompt="p", output=Post)


def test_a_key_is_sent_and_nowhere_else(storage: StorageManager) -> None:
    """The key comes from the environment, goes to the service, and is in no file of the site."""
    with ScriptedServer(titled) as server:
        write(storage, settings(server))
        assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer sk-secret-of-the-test"}
    storage.close()
    files = [path for path in storage.directory.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if b"sk-secret" in path.read_bytes()] == []


# -- children that are paid once


def test_each_window_is_paid_once(storage: StorageManager, ask: Ask) -> None:
    """When one fails those that are done are kept; the next time only the rest is asked; then nothing."""

    def script(asked: Asked) -> Reply:
        return Reply(status=400) if failing and "Window 16" in asked.prompt else titled(asked)

    failing = True
    with ScriptedServer(script) as server:
        with pytest.raises(EgregoraError, match="16 of 20 windows, 1 failed, 3 not started: ") as caught:
            write(storage, settings(server, concurrency=1), 20)
        assert isinstance(caught.value.__cause__, ModelError)
        assert len(server.asked) == 17
        (error,) = ask(storage, "SELECT error FROM runs WHERE stage = 'write' AND parent_run_id IS NULL")
        assert error.startswith("16 of 20 windows, 1 failed, 3 not started: ")
        failing = False
        storage = again(storage)
        titles = write(storage, settings(server, concurrency=8), 20)
        assert titles == [f"On window {number:02}" for number in range(20)]
        assert len(server.asked) == 21
        rows = ask(
            storage,
            "SELECT source, reason, count(*) FROM runs WHERE parent_run_id IS NOT NULL AND status = 'completed' "
            f"AND invocation_id = '{storage.invocation_id}' GROUP BY ALL ORDER BY 1",
        )
        assert rows == [("checkpoint", "unchanged", 16), ("executed", "first run", 4)]
        assert ask(storage, "SELECT llm_calls FROM runs WHERE stage = 'write' AND parent_run_id IS NULL "
                   "ORDER BY started_at") == [17, 4]  # fmt: skip
        storage = again(storage)
        assert write(storage, settings(server, concurrency=3, timeout_seconds=9), 20) == titles
        assert len(server.asked) == 21
        storage.close()


def test_what_changes_no_result_is_not_counted(storage: StorageManager) -> None:
    """Another address, time-out, number of retries or fallback pays for nothing again; another model does."""
    with ScriptedServer(titled) as one_server, ScriptedServer(titled) as other:
        write(storage, settings(one_server))
        write(storage, settings(other, retries=3, timeout_seconds=50, concurrency=2, fallback=["openai:gpt-4o"]))
        assert len(other.asked) == 0
        for number, changed in enumerate(({"model": "openai:gpt-4o"}, {"temperature": 0.5}), 1):
            storage = again(storage)
            write(storage, settings(other, **changed))
            assert len(other.asked) == 3 * number
    storage.close()


# -- what is counted


def test_every_attempt_is_counted(storage: StorageManager, ask: Ask) -> None:
    """Failed attempts, fallbacks and answers that went back are rows of their own, with tokens and cost."""

    def script(asked: Asked) -> Reply:
        if asked.model == "gpt-4o-mini":
            return Reply(status=500)
        if asked.again:
            return Reply({"title": "calm"}, input_tokens=2_000, output_tokens=100)
        return Reply({"title": "LOUD"}, input_tokens=1_000, output_tokens=100)

    with ScriptedServer(script) as server:
        assert write(storage, settings(server, retries=1, fallback=["openai:gpt-4o"]), 1) == ["calm"]
    columns = "model, input_tokens, output_tokens, round(cost_usd, 6), error"
    rows = ask(storage, f"SELECT {columns} FROM llm_calls ORDER BY ts")
    failed = ("openai:gpt-4o-mini", None, None, 0.0, "the service of openai:gpt-4o-mini failed (500)")
    assert rows == [
        failed,
        failed,
        ("openai:gpt-4o", 1000, 100, 0.0035, None),
        failed,
        failed,
        ("openai:gpt-4o", 2000, 100, 0.006, None),
    ]
    sums = "SELECT llm_calls, tokens, round(cost_usd, 6) FROM runs WHERE stage = 'write'"
    assert ask(storage, sums) == [(6, 3200, 0.0095)] * 2


# -- what goes wrong


@pytest.mark.parametrize(
    ("reply", "kind", "says", "hint", "calls"),
    [
        (Reply(status=401, content="bad key sk-secret-of-the-test"), ModelError, "refused (401)", "OPENAI_API_KEY", 1),
        (Reply(status=404), ModelError, "knows no model", "base_url", 1),
        (Reply(status=500), ModelError, "failed (500)", "later", 3),
        (Reply(status=429), ModelError, "asked too often (429)", "concurrency", 3),
        (Reply(delay=30), ModelError, "no answer within 0.5 s", "timeout_seconds", 3),
        (Reply({"title": "x" * 100}), AnswerError, "no answer in the form asked for, twice", "another model", 2),
        (Reply({"title": "SHOUTING"}), AnswerError, "no answer in the form asked for, twice", "another model", 2),
        (Reply("{"), AnswerError, "no answer in the form asked for, twice", "another model", 2),
        (Reply('{"title": "cut', finish="length"), AnswerError, "cut off", "max_output_tokens", 1),
        (Reply(finish="content_filter"), AnswerError, "content filter", "another model", 1),
        (Reply(refusal="I'd rather not."), AnswerError, "refused", "another model", 1),
        (Reply(raw=b"<html>"), ModelError, "is no answer", "base_url", 3),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_goes_wrong_is_told_in_plain_words(
    storage: StorageManager, ask: Ask, reply: Reply, kind: type[Exception], says: str, hint: str, calls: int
) -> None:
    """A failed child run says why and what to do; it is tried again only where that may help."""
    with ScriptedServer(lambda asked: reply) as server:
        with pytest.raises(EgregoraError) as caught:
            write(storage, settings(server, retries=2, timeout_seconds=0.5 if reply.delay else 5), 1)
        cause = caught.value.__cause__
        assert type(cause) is kind
        assert says in str(cause)
        assert hint in cause.hint  # type: ignore[union-attr]
        assert len(server.asked) == calls
    assert ask(storage, "SELECT status, error_type FROM runs WHERE parent_run_id IS NOT NULL")[0] == (
        "failed",
        kind.__name__,
    )
    assert ask(storage, "SELECT count(*) FROM llm_calls") == [calls]
    storage.close()
    assert not any(b"sk-secret" in path.read_bytes() for path in storage.directory.rglob("*") if path.is_file())


def test_a_wrong_key_is_told_once(storage: StorageManager) -> None:
    """However many windows there are, one call finds it out."""
    with ScriptedServer(lambda asked: Reply(status=401)) as server:
        with pytest.raises(EgregoraError, match="0 of 20 windows, 1 failed, 19 not started: the key for") as caught:
            write(storage, settings(server, concurrency=8), 20)
        assert caught.value.hint == "set the environment variable OPENAI_API_KEY"
        assert len(server.asked) == 1


def test_a_service_that_asks_for_quiet_gets_it(storage: StorageManager) -> None:
    """`Retry-After` is obeyed by all that are under way."""
    times: list[float] = []

    def script(asked: Asked) -> Reply:
        times.append(asked.at)
        return Reply(status=429, headers={"Retry-After": "1"}) if asked.number == 2 else titled(asked)

    with ScriptedServer(script) as server:
        write(storage, settings(server, retries=2, concurrency=1))
        assert len(server.asked) == 4
    assert times[2] - times[1] >= 1.0


@pytest.mark.parametrize(
    ("model", "base_url", "says", "hint"),
    [
        ("anthropic:claude-haiku-4-5", "", "needs a package", "pip install 'pydantic-ai-slim[anthropic]'"),
        ("openai:gpt-4o", "", "no key for openai", "OPENAI_API_KEY"),
        ("oppenai:gpt-4o", "", "unknown model", "[llm]"),
        ("gpt-4o", "", "unknown model", "[llm]"),
    ],
)
def test_what_is_missing_is_told_with_what_to_type(
    storage: StorageManager, monkeypatch: pytest.MonkeyPatch, model: str, base_url: str, says: str, hint: str
) -> None:
    """A provider's package, its key, a name that is none: one error, before anything is sent."""
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(EgregoraError) as caught:
        write(storage, settings(None, model=model, base_url=base_url))
    cause = caught.value.__cause__
    assert isinstance(cause, (ConfigError, ModelError))
    assert says in str(cause).lower()
    assert hint in caught.value.hint


# -- limits


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_calls_than_allowed(storage: StorageManager, ask: Ask, concurrency: int) -> None:
    """It stops before the limit is passed, keeps what is done, and goes on from there."""
    with ScriptedServer(titled) as server:
        with pytest.raises(
            BudgetError, match=r"^5 of 9 windows, 4 not started: the limit of 5 calls is reached"
        ) as stop:
            write(storage, settings(server, max_calls=5, concurrency=concurrency), 9)
        assert "--max-calls" in stop.value.hint
        assert len(server.asked) == 5
        storage = again(storage)
        assert len(write(storage, settings(server, max_calls=4, concurrency=concurrency), 9)) == 9
        assert len(server.asked) == 9
        storage.close()


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_is_never_passed(storage: StorageManager, ask: Ask, concurrency: int) -> None:
    """Calls under way count with the worst that they can cost; where they may leave room, it waits for them."""

    def script(asked: Asked) -> Reply:
        # A fifth of the worst: the output may be ten times as long.
        return Reply({"title": "t"}, input_tokens=1_000, output_tokens=4_000, delay=0.02)

    # 0.15 and 0.60 dollars a million tokens: 0.00255 a call, 0.02475 and a little at the worst.
    with ScriptedServer(script) as server:
        limits = {"budget_usd": 0.05, "max_output_tokens": 40_000, "concurrency": concurrency}
        with pytest.raises(BudgetError, match=r"could pass the budget of \$0\.05") as stop:
            write(storage, settings(server, **limits), 30)
        assert "--budget" in stop.value.hint
        spent = ask(storage, "SELECT sum(cost_usd) FROM llm_calls")[0]
        # A call that would still have fitted at its worst was made.
        assert 0.05 - 0.0352 <= spent <= 0.05
        assert len(server.asked) == round(spent / 0.00255)


def test_a_budget_needs_a_price(storage: StorageManager) -> None:
    """With a model whose price nobody knows a budget can't be kept, so nothing is sent."""
    with ScriptedServer(titled) as server:
        with pytest.raises(EgregoraError, match="the price of openai:home-made is not known") as caught:
            write(storage, settings(server, model="openai:home-made", budget_usd=1.0))
        assert "--max-calls" in caught.value.hint
        assert server.asked == []


# -- the record


def test_what_is_on_record_needs_no_network(storage: StorageManager, ask: Ask, tmp_path: Path) -> None:
    """Another copy of the site comes to the same result from the replies, and asks nobody."""

    def script(asked: Asked) -> Reply:
        if asked.again:
            return Reply({"title": "calm"})
        return Reply({"title": "LOUD"}) if "01" in asked.prompt else titled(asked)

    with ScriptedServer(script) as server:
        titles = write(storage, settings(server, replay="record"), 5)
        assert len(server.asked) == 6
    storage.close()
    copy = StorageManager(tmp_path / "copy" / ".egregora" / "egregora.duckdb")
    copy.create()
    (storage.directory / "replies").rename(copy.directory / "replies")
    assert titles == write(copy, settings(None, replay="replay", base_url=""), 5)
    assert ask(copy, "SELECT count(*), count(*) FILTER (llm_calls = 0) FROM runs WHERE stage = 'write'") == [(6, 6)]
    with pytest.raises(EgregoraError, match="is not on record") as missing:
        write(again(copy), settings(None, replay="replay", base_url="", temperature=1.0), 5)
    assert "record" in missing.value.hint
    kept = list((copy.directory / "replies").iterdir())
    assert len(kept) == 5
    assert {oct(path.stat().st_mode & 0o777) for path in kept} == {"0o600"}
    assert not any("sk-secret" in path.read_text() for path in kept)


@pytest.mark.parametrize(
    "reply", [Reply({"title": "LOUD"}), Reply("{", finish="length"), Reply(finish="content_filter")]
)
def test_a_failure_on_record_is_the_same_failure(storage: StorageManager, reply: Reply) -> None:
    """What could not be used when it was put on record can't be used later, for the same reason."""
    said = []
    with ScriptedServer(lambda asked: reply) as server:
        for replay in ("record", "replay"):
            storage = again(storage)
            with pytest.raises(EgregoraError) as caught:
                write(storage, settings(server, replay=replay), 1)
            cause = caught.value.__cause__
            assert isinstance(cause, AnswerError)
            said.append((str(cause), cause.hint))
        assert len(server.asked) == 2 if reply.finish is None else 1
    assert said[0] == said[1]
    storage.close()


# -- the rehearsal


def test_a_rehearsal_sends_and_records_nothing(storage: StorageManager, ask: Ask, tmp_path: Path) -> None:
    """It says what would be asked and what is paid already, and the next run is what it would have been."""
    stage = Stage("write", each, WINDOWS, ("llm",))
    table = pa.table({"label": [f"{number:02}" for number in range(6)]})
    protected = run_stage_with_tracking("privacy", protect, table, {}, storage)
    with ScriptedServer(titled) as server:
        with pytest.raises(BudgetError):
            run_stage(stage, protected, settings(server, max_calls=2, concurrency=1), storage)
        before = ask(storage, "SELECT count(*) FROM runs")
        result, expected = rehearse_stage(stage, protected, settings(server), storage, tmp_path)
        assert len(server.asked) == 2
    assert (expected.done, sorted(expected.due), expected.calls) == (2, [f"window {n}" for n in range(2, 6)], 4)
    assert 0 < expected.input_tokens < 2_000
    assert expected.output_tokens == 4 * 1024
    assert expected.cost_usd == pytest.approx(expected.input_tokens * 0.15e-6 + 4 * 1024 * 0.6e-6)
    assert result.arrow.to_pydict() == {"label": ["00", "01"], "title": ["On window 00", "On window 01"]}
    assert before == ask(storage, "SELECT count(*) FROM runs")
    assert {path.name for path in tmp_path.iterdir()} == {"write.parquet", "site"}


def test_limits_and_the_rehearsal_on_the_command_line(site: Path, shown: Shown, tmp_path: Path) -> None:
    """What it would cost is told and nothing sent; a limit stops it with a way on; then everything is there already."""
    export = tmp_path / "Chat.zip"
    write_export(export, messages=400, people=4, days=28)
    with ScriptedServer() as server:
        (site / "egregora.toml").write_text(
            f'[llm]\nmodel = "openai:gpt-4o-mini"\nbase_url = "{server.base_url}"\nconcurrency = 1\n'
        )
        code, out, _ = shown("write", str(export), "--dry-run", width=80)
        assert (code, len(server.asked)) == (0, 0)
        windows = int(re.search(r"^write +(\d+) +0 ", out, re.MULTILINE)[1])  # type: ignore[index]
        assert windows >= 3
        assert "Nothing was sent." in out
        assert max(map(len, out.splitlines())) <= 80
        code, _, err = shown("write", str(export), "--max-calls", "2")
        assert (code, len(server.asked)) == (1, 2)
        assert f"2 of {windows} windows, {windows - 2} not started: the limit of 2 calls is reached" in err
        assert "--max-calls" in err
        assert re.search(rf"^write +{windows - 2} +2 ", shown("write", str(export), "--dry-run")[1], re.MULTILINE)
        told = json.loads(shown("write", str(export), "--dry-run", "--json")[1])
        assert told["stages"][0] | {"stage": "write", "done": 2, "calls": windows - 2} == told["stages"][0]
        assert (told["model"], len(told["stages"][0]["due"])) == ("openai:gpt-4o-mini", windows - 2)
        assert told["calls"] >= windows - 2
        assert told["cost_usd"] > 0
        code, out, _ = shown("write", str(export), "--budget", "1")
        assert code == 0
        assert re.search(r"calls to openai:gpt-4o-mini: \$0\.\d+", out)
        asked = len(server.asked)
        code, out, _ = shown("write", str(export), "--dry-run")
        assert "Everything is there already" in out
        told = json.loads(shown("write", str(export), "--json")[1])
        assert (len(told["runs"]), told["written"], told["llm_calls"], told["cost_usd"]) == (6, 0, 0, 0.0)
        assert told["site"].endswith("index.html")
        assert len(server.asked) == asked
    (site / "egregora.toml").unlink()
    assert "No model is configured" in shown("write", str(export), "--dry-run")[1]


# -- what is kept


def test_what_was_paid_for_is_not_cleaned_up(storage: StorageManager) -> None:
    """Children of the newest run stay, and those of a failed one after it; those of older ones go."""
    with ScriptedServer(titled) as server:
        write(storage, settings(server, temperature=0.1), 3)
        write(storage, settings(server, temperature=0.2), 3)
        storage = again(storage)
        with pytest.raises(BudgetError):
            write(storage, settings(server, temperature=0.3, max_calls=2), 3)
        plan = plan_gc(storage)
        # The older whole result and its three parts.
        assert sorted(file.why for file in plan.delete) == [
            "a part of a result that there are newer ones of",
            "a part of a result that there are newer ones of",
            "a part of a result that there are newer ones of",
            "there is a newer one",
        ]
        for file in plan.delete:
            file.path.unlink()
        storage = again(storage)
        write(storage, settings(server, temperature=0.3), 3)
        assert len(server.asked) == 9
        storage.close()
