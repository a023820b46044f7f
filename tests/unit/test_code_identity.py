"""Code identity: a change anywhere in what a stage is made of is seen, and nothing else is."""

from __future__ import annotations

import functools
import io
import itertools
import json
import operator
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from egregora.pipeline.code import MACHINERY, UnknownCodeError, code_identity, get_git_commit

DIGEST = """
import sys
from egregora.pipeline.code import code_identity, UnknownCodeError
from {module} import {name} as stage
try:
    print(code_identity(stage)[0])
except UnknownCodeError as error:
    print("unknown", error)
"""
FILES = {
    "work/__init__.py": "",
    "work/stage.py": (
        "import os\n{imports}\nLIMIT = 5\n\ndef stage(table, config, *, run_id):\n    return table.head(LIMIT)\n"
    ),
    "work/other.py": "def other(table, config, *, run_id):\n    return table\n",
    "work/part/__init__.py": "",
    "work/part/deep.py": "from .. import sibling\nX = 1\n",
    "work/sibling.py": "Y = 1\n",
    "work/words/list.txt": "one two",
    "work/template.html": "<p>",
    "extra/__init__.py": "",
    "extra/mod.py": "from . import more\nZ = 1\n",
    "extra/more.py": "M = 1\n",
    "space/inside/mod.py": "S = 1\n",
    "alone.py": "A = 1\n",
    "statistics.py": "MEAN = 1\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., str]:
    """`project(imports, edits, name)`: the digest of a stage in a project of its own, with some of its files edited."""

    def digest(
        imports: str = "", edits: dict[str, str] | None = None, *, name: str = "stage", module: str = "work.stage"
    ) -> str:
        for file, text in {**FILES, **(edits or {})}.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("{imports}", textwrap.dedent(imports)), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-B", "-c", DIGEST.format(module=module, name=name)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return digest


@pytest.mark.parametrize(
    ("imports", "file", "text"),
    [
        ("", "work/stage.py", FILES["work/stage.py"].replace("LIMIT = 5", "LIMIT = 6")),
        ("", "work/stage.py", FILES["work/stage.py"].replace("head(LIMIT)", "head(LIMIT + 1)")),
        ("", "work/__init__.py", "V = 2\n"),
        ("", "work/template.html", "<b>"),
        ("", "work/words/list.txt", "one three"),
        ("", "work/words/added.txt", ""),
        ("from . import sibling", "work/sibling.py", "Y = 2\n"),
        ("from .sibling import Y", "work/sibling.py", "Y = 2\n"),
        ("import work.sibling", "work/sibling.py", "Y = 2\n"),
        ("import work.sibling as s", "work/sibling.py", "Y = 2\n"),
        ("from work import sibling", "work/sibling.py", "Y = 2\n"),
        ("from work.part import deep", "work/sibling.py", "Y = 2\n"),
        ("from work.part.deep import X", "work/part/__init__.py", "P = 1\n"),
        ("import extra.mod", "extra/mod.py", "Z = 2\n"),
        ("import extra.mod", "extra/more.py", "M = 2\n"),
        ("import extra.mod", "extra/__init__.py", "E = 2\n"),
        ("from extra import mod as m", "extra/more.py", "M = 2\n"),
        ("import alone", "alone.py", "A = 2\n"),
        ("def lazy():\n    from alone import A\n    return A", "alone.py", "A = 2\n"),
        ("class K:\n    def m(self):\n        import extra.mod", "extra/more.py", "M = 2\n"),
        ("try:\n    import alone\nexcept ImportError:\n    alone = None", "alone.py", "A = 2\n"),
        ("import importlib\nm = importlib.import_module('extra.mod')", "extra/more.py", "M = 2\n"),
        ("import importlib\nm = importlib.import_module('.sibling', __package__)", "work/sibling.py", "Y = 2\n"),
        ("import importlib\nm = importlib.import_module(name='alone')", "alone.py", "A = 2\n"),
        ("m = __import__('alone')", "alone.py", "A = 2\n"),
        ("import space.inside.mod", "space/inside/mod.py", "S = 2\n"),
        ("from space.inside import mod", "space/inside/mod.py", "S = 2\n"),
        ("def lazy():\n    from space.inside.mod import S", "space/inside/mod.py", "S = 2\n"),
        ("def lazy():\n    import statistics", "statistics.py", "MEAN = 2\n"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import alone",
            "alone.py",
            "A = 2\n",
        ),
    ],
)
def test_a_change_in_what_a_stage_reaches_counts(project: Any, imports: str, file: str, text: str) -> None:
    """Its module, its package's data, and every first-party module that it imports, however it does."""
    before = project(imports)
    assert before == project(imports)
    after = project(imports, {file: text})
    assert "unknown" not in before + after
    assert before != after


@pytest.mark.parametrize(
    ("imports", "file", "text"),
    [
        ("", "work/stage.py", "# a comment\n" + FILES["work/stage.py"]),
        (
            "",
            "work/stage.py",
            '"""A docstring."""\n\n\n' + FILES["work/stage.py"].replace("    return", '    "doc"\n    return'),
        ),
        ("", "work/stage.py", FILES["work/stage.py"].replace("LIMIT = 5", "LIMIT=0x5")),
        ("", "work/other.py", "raise SystemExit\n"),
        ("", "work/sibling.py", "Y = 2\n"),
        ("", "alone.py", "A = 2\n"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import alone", "alone.py", "A = 2\n"),
        ("import typing\nif typing.TYPE_CHECKING:\n    from . import sibling", "work/sibling.py", "Y = 2\n"),
        ("import extra", "extra/mod.py", "Z = 2\n"),
        ("", "work/part/data.txt", "of a package that is not reached"),
        ("", "work/.hidden", "x"),
    ],
)
def test_a_change_elsewhere_does_not_count(project: Any, imports: str, file: str, text: str) -> None:
    """Comments, docstrings, layout, what only a type checker reads, and modules that aren't reached."""
    before = project(imports)
    assert "unknown" not in before
    assert before == project(imports, {file: text})


def test_editing_one_stage_does_not_invalidate_another(project: Any) -> None:
    """Stages in modules of their own are of their own."""
    first, second = project(), project(name="other", module="work.other")
    edits = {"work/other.py": FILES["work/other.py"] + "X = 1\n"}
    assert first == project("", edits)
    assert second != project("", edits, name="other", module="work.other")


PAIRS = [
    ("stages[0]", "stages[1]"),
    ("lambdas[0]", "lambdas[1]"),
    ("chosen(True)", "chosen(False)"),
    ("make(1)", "make(2)"),
    ("make([1])", "make((1,))"),
    ("make({'a': 1})", "make({'a': 2})"),
    ("make({1: 'a'})", "make({'1': 'a'})"),
    ("make(stages[0])", "make(stages[1])"),
    ("make(', '.join)", "make('; '.join)"),
    ("make(str.upper)", "make(str.lower)"),
    ("make(len)", "make(sum)"),
    ("make({1, 2})", "make({1, 3})"),
    ("make(b'1')", "make('1')"),
    ("make(True)", "make(1)"),
    ("make(0.0)", "make(-0.0)"),
    ("make(None)", "make('None')"),
    ("make(Word('a'))", "make(Word('b'))"),
    ("make(Word('a'))", "make('a')"),
    ("make(Tone.HIGH)", "make(Tone.LOW)"),
    ("make(Slotted(1))", "make(Slotted(2))"),
    ("make(Plain(1))", "make(Plain(2))"),
    ("make(Data(1))", "make(Data(2))"),
    ("make(Plain(Plain(1)))", "make(Plain(Plain(2)))"),
    ("make(local_class(1))", "make(local_class(2))"),
    ("make(local_class(1)())", "make(local_class(2)())"),
    ("make((stages[0], stages[1], stages[0]))", "make((stages[0], stages[1], stages[1]))"),
    ("make([P, Q, P])", "make([P, Q, Q])"),
    ("make(SecretStr('a'))", "make(SecretStr('b'))"),
    ("Plain(1).method", "Plain(2).method"),
    ("Plain(1)", "Plain(2)"),
    ("partial(stages[0], limit=1)", "partial(stages[0], limit=2)"),
    ("partial(stages[0], 1)", "partial(stages[0], 2)"),
    ("partial(stages[0], 1)", "partial(stages[1], 1)"),
    ("defaulted(1)", "defaulted(2)"),
    ("keyword_defaulted(1)", "keyword_defaulted(2)"),
    ("cached(stages[0])", "cached(stages[1])"),
    ("decorated(1)(stages[0])", "decorated(2)(stages[0])"),
    ("decorated(1)(stages[0])", "decorated(1)(stages[1])"),
    ("decorated(1)(stages[0])", "stages[0]"),
    ("Plain.static", "Plain.by_class"),
]


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """For each expression of `PAIRS` its digest, taken twice in a process of its own."""
    folder = tmp_path_factory.mktemp("bound")
    (folder / "bound.py").write_text(textwrap.dedent(BOUND))
    expressions = sorted({expression for pair in PAIRS for expression in pair})
    script = (
        "import json, sys\nfrom bound import *\nfrom egregora.pipeline.code import code_identity\n"
        "print(json.dumps({e: [code_identity(eval(e))[0] for _ in range(2)] for e in json.loads(sys.argv[1])}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(expressions)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


BOUND = """
import enum, functools
from dataclasses import dataclass
from functools import partial
from pydantic import SecretStr
def first(t, c, *, run_id, limit=0): return t
def second(t, c, *, run_id, limit=0): return t
stages = [first, second]
lambdas = [lambda t, c, run_id: t, lambda t, c, run_id: t.head()]
def chosen(flag):
    if flag:
        def stage(t): return 1
    else:
        def stage(t): return 2
    return stage
def make(value):
    def stage(t, c, *, run_id): return value
    return stage
def defaulted(value):
    def stage(t, limit=value): return limit
    return stage
def keyword_defaulted(value):
    def stage(t, *, limit=value): return limit
    return stage
def cached(func): return functools.lru_cache(func)
def decorated(times):
    def decorate(func):
        @functools.wraps(func)
        def wrapper(*a, **k): return [func(*a, **k)] * times
        return wrapper
    return decorate
class Word(str): pass
class Tone(enum.Enum):
    HIGH = 1
    LOW = 2
class Slotted:
    __slots__ = ("a",)
    def __init__(self, a): self.a = a
class Plain:
    def __init__(self, a): self.a = a
    def __call__(self, t, c, *, run_id): return self.a
    def method(self, t, c, *, run_id): return self.a
    @staticmethod
    def static(t, c, *, run_id): return t
    @classmethod
    def by_class(cls, t, c, *, run_id): return t
@dataclass
class Data:
    a: int
P, Q = Plain(1), Plain(1)
def local_class(value):
    class Local:
        a = value
    return Local
"""


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_is_bound_to_a_function_counts(bound: dict[str, list[str]], one: str, other: str) -> None:
    """Closures, defaults, arguments, instances, and which function of a module it is."""
    (first, again), (second, _) = bound[one], bound[other]
    assert first == again
    assert first != second


@dataclass
class Client:
    password: Any


def stage(table: Any, config: Any, *, run_id: str, client: Any = None) -> Any:
    return table


def test_secrets_that_are_bound_are_not_among_the_parts_that_are_kept(storage: Any, ask: Any) -> None:
    """A password in a partial, and a name in a closure, are told apart, and stand nowhere."""
    import pyarrow as pa

    from egregora.pipeline.runner import run_stage_with_tracking

    for secret in ("Zorro-1", "Zorro-2", "Zorro-2"):
        func = functools.partial(stage, client=Client(SecretStr(secret)))
        run_stage_with_tracking("a", func, pa.table({"a": [1]}), {}, storage)
        run_stage_with_tracking("b", functools.partial(stage, client=secret), pa.table({"a": [1]}), {}, storage)
    assert ask(storage, "SELECT reason FROM runs WHERE stage = 'a' ORDER BY started_at") == [
        "first run",
        "code changed",
        "unchanged",
    ]
    assert ask(storage, "SELECT reason FROM runs WHERE stage = 'b' ORDER BY started_at") == [
        "first run",
        "code changed",
        "unchanged",
    ]
    storage.close()
    for path in storage.directory.rglob("*"):
        assert not path.is_file() or b"Zorro" not in path.read_bytes()


@pytest.mark.parametrize(
    "value",
    [
        object(),
        itertools.count(),
        operator.itemgetter(1),
        io.StringIO(),
        (x for x in ()),
        {object(): 1},
        Path("x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_stable_identity_is_unknown(value: Any) -> None:
    """Rather run once too often than take one thing for another."""
    with pytest.raises(UnknownCodeError):
        code_identity(functools.partial(stage, client=value))


def test_things_that_refer_to_themselves_end() -> None:
    """An instance that holds itself is looked at once."""
    client = Client(None)
    client.password = [client]
    assert code_identity(functools.partial(stage, client=client))[0]


def test_an_unset_closure_and_something_that_is_no_function_are_unknown() -> None:
    """Both are told as such."""

    def make() -> Any:
        def inner(table: Any) -> Any:
            return later

        if inner is None:
            later = 1
        return inner

    with pytest.raises(UnknownCodeError, match="no value yet"):
        code_identity(make())
    with pytest.raises(UnknownCodeError, match="not callable"):
        code_identity(3)  # type: ignore[arg-type]


def test_versions_of_named_distributions_count() -> None:
    """The version stands among the parts; what isn't installed is unknown."""
    _, parts = code_identity(stage, ("duckdb",))
    assert "distribution duckdb" in parts
    assert parts["machinery"] == MACHINERY
    assert code_identity(stage)[0] != code_identity(stage, ("duckdb",))[0]
    with pytest.raises(UnknownCodeError, match="not installed"):
        code_identity(stage, ("no-such-thing",))


def test_egregoras_machinery_is_left_out(python: Any) -> None:
    """It stands in as one tag, so that an upgrade of it doesn't make everything again; its stages' helpers do count."""
    done = python(
        """
        import json
        from egregora.pipeline.code import code_identity
        from egregora.stages.publish import STAGE
        print(json.dumps(sorted(code_identity(STAGE.func)[1])))
        """
    )
    assert "egregora-machinery" not in done.stdout
    assert "module egregora.stages.publish" in done.stdout
    assert "module egregora.site.render" in done.stdout
    assert "file egregora.site/" in done.stdout
    for part in (
        "egregora.pipeline",
        "egregora.database",
        "egregora.config",
        "egregora.errors",
        "egregora.cli",
        '"module egregora"',
    ):
        assert part not in done.stdout
    for stage_name in ("write", "enrich", "privacy", "parse", "rank"):
        assert f'"module egregora.stages.{stage_name}"' not in done.stdout


def test_a_module_edited_after_its_import_is_unknown(python: Any, tmp_path: Path) -> None:
    """The code that runs is then not the code on the disk; a comment does no harm; a new process is fine again."""
    for bytecode in ("", "1"):
        for edit, expected in (("return 2", "unknown"), ("return 1 # same", "fine"), ("return 1\nX = 5", "unknown")):
            (tmp_path / "helper.py").write_text("def help(): return 1\n")
            (tmp_path / "edited.py").write_text("import helper\ndef stage(t): return helper.help()\n")
            done = python(
                f"""
                import os, sys, time
                from pathlib import Path
                from egregora.pipeline.code import code_identity, UnknownCodeError
                import edited
                when = sys.argv[1]
                if when == "later":
                    code_identity(edited.stage)
                Path("helper.py").write_text("def help(): " + {edit!r} + "\\n")
                os.utime("helper.py", (time.time() + 5, time.time() + 5))
                try:
                    code_identity(edited.stage)
                    print("fine")
                except UnknownCodeError as error:
                    assert "edited" in str(error), error
                    print("unknown")
                """,
                "later",
                PYTHONDONTWRITEBYTECODE=bytecode,
            )
            assert expected == done.stdout.strip()


@pytest.mark.parametrize("bytecode", ["", "1"])
@pytest.mark.parametrize("edit", ["return 2", "return LIMIT + 1"])
def test_a_module_edited_before_it_was_first_looked_at_is_unknown(
    python: Any, tmp_path: Path, bytecode: str, edit: str
) -> None:
    """Even if nobody looked in time: its bytecode, or its functions, tell."""
    (tmp_path / "edited.py").write_text("LIMIT = 5\ndef stage(t): return 1\n")
    done = python(
        f"""
        import os, time
        from pathlib import Path
        from egregora.pipeline.code import code_identity, UnknownCodeError
        import edited
        Path("edited.py").write_text("LIMIT = 5\\ndef stage(t): " + {edit!r} + "\\n")
        os.utime("edited.py", (time.time() + 5, time.time() + 5))
        try:
            code_identity(edited.stage)
        except UnknownCodeError as error:
            print("unknown")
        """,
        PYTHONDONTWRITEBYTECODE=bytecode,
    )
    assert done.stdout.strip() == "unknown"


@pytest.mark.parametrize("how", [["script.py"], ["-m", "package.script"]])
def test_a_script_is_digested_with_its_helpers(tmp_path: Path, how: list[str]) -> None:
    """A function in `__main__` changes when another one in the script does, or a module that it imports."""
    script = """
        {imports}
        from egregora.pipeline.code import code_identity
        def helper(): return 1
        def stage(t): return helper()
        print(code_identity(stage)[0])
        """
    package = tmp_path / "package" if how[0] == "-m" else tmp_path
    package.mkdir(exist_ok=True)
    imports = "from . import near" if how[0] == "-m" else "import near"

    def digest() -> str:
        done = subprocess.run(
            [sys.executable, "-B", *how], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    text = textwrap.dedent(script).replace("{imports}", imports)
    (package / "near.py").write_text("N = 1\n")
    (package / "script.py").write_text(text)
    found = [digest(), digest()]
    (package / "script.py").write_text(text.replace("return 1", "return 2"))
    found.append(digest())
    (package / "near.py").write_text("N = 2\n")
    found.append(digest())
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_function_from_a_notebook_is_digested_by_its_own_source(python: Any) -> None:
    """Its cell, the globals it uses, and what it imports; one whose source nobody has is unknown."""
    done = python(
        """
        import linecache
        from pathlib import Path
        from egregora.pipeline.code import code_identity, UnknownCodeError
        def cell(number, text):
            name = f"<cell {number}>"
            linecache.cache[name] = (len(text), None, text.splitlines(True), name)
            space.clear()
            space.update(__name__="notebook")
            exec(compile(text, name, "exec"), space)
            return code_identity(space["stage"])[0]
        space = {}
        Path("near.py").write_text("N = 1")
        base = "K = 1\\nimport near\\nclass C:\\n    def m(self): return help()\\ndef help(): return 1\\n"
        base += "def stage(t):\\n    from near import N\\n    return help() + K + near.N + C().m()\\n"
        found = [
            cell(1, base),
            cell(2, base),
            cell(3, base.replace("K = 1", "K = 2")),
            cell(4, base.replace("help(): return 1", "help(): return 2")),
            cell(5, base.replace("return help() + K", "return help() - K")),
            cell(6, base.replace("def m(self): return help()", "def m(self): return 3")),
        ]
        assert found[0] == found[1], "the cell's number doesn't count"
        assert len(set(found)) == 5, found
        exec("def stage(t): return 1", space)
        try:
            code_identity(space["stage"])
        except UnknownCodeError as error:
            print("unknown:", error)
        exec("def stage(t): return 1")
        try:
            code_identity(stage)
        except UnknownCodeError as error:
            print("unknown:", error)
        """
    )
    assert done.stdout.count("unknown: the source of stage can't be found") == 2


def test_a_function_made_by_exec_in_a_module_is_not_taken_for_the_modules(python: Any, tmp_path: Path) -> None:
    """The module's file doesn't hold its code."""
    (tmp_path / "made.py").write_text("import sys\nexec('def stage(t): return ' + sys.argv[1])\n")
    done = python(
        """
        from egregora.pipeline.code import code_identity, UnknownCodeError
        import made
        try:
            code_identity(made.stage)
        except UnknownCodeError:
            print("unknown")
        """,
        "1",
    )
    assert done.stdout.strip() == "unknown"


def test_a_module_that_is_no_python_is_unknown(project: Any) -> None:
    """A helper that can't be parsed, though nobody has imported it yet."""
    lazy = "def lazy():\n    import alone"
    assert project(lazy, {"alone.py": "def ("}).startswith("unknown the module alone on the disk is not valid Python")


def test_git_tells_commit_and_dirt(tmp_path: Path) -> None:
    """The commit, `+dirty` where tracked files have changed, `unknown` outside a repository."""

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *words]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    assert get_git_commit(tmp_path) == "unknown"
    assert get_git_commit(tmp_path / "nowhere") == "unknown"
    get_git_commit.cache_clear()
    git("init", "-q")
    (tmp_path / "f").write_text("1")
    git("add", "f")
    git("commit", "-qm", "x")
    head = git("rev-parse", "HEAD")
    assert head == get_git_commit(tmp_path)
    get_git_commit.cache_clear()
    (tmp_path / "f").write_text("2")
    assert f"{head}+dirty" == get_git_commit(tmp_path)
    get_git_commit.cache_clear()
