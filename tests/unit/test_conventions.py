"""What the project promises of itself: imports go one way, public names exist, settings are read, pages run."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

import egregora
from egregora.config import Config, default_toml, explanations, load_config
from egregora.database.ir_schema import (
    DESCRIBED,
    DRAFTS,
    ENRICHED,
    FETCHED,
    MESSAGES,
    PAGES,
    POSTS,
    RANKED,
    RAW_MESSAGES,
    VERDICTS,
)
from egregora.database.runs_schema import TABLES

ROOT = Path(egregora.__file__).parent
PROJECT = Path(__file__).parents[2]
MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages([str(ROOT)], "egregora.")
    if name not in ("egregora.__main__", "egregora.demo.build")
)

LAYERS = (
    "cli",
    "observe",
    "stages",
    "site",
    "llm",
    "sources",
    "pipeline",
    "database",
    "config",
    "patterns",
    "amounts",
    "errors",
)
"""From the top down. Equals: `llm`, `site` and `sources` stand beside each other."""
RANKS = {name: LAYERS.index("site") if name in ("site", "llm", "sources") else rank for rank, name in enumerate(LAYERS)}


def source_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(module: str) -> set[str]:
    """First parts below `egregora` that a module imports when it runs."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("egregora"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("egregora.")}
    return found


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[1] in RANKS])
def test_imports_go_one_way(module: str) -> None:
    """cli → observe → stages → site/llm/sources → pipeline → database → config/errors, never upwards."""
    rank = RANKS[module.split(".")[1]]
    upwards = {name for name in imported(module) if RANKS.get(name, 99) < rank}
    assert upwards == set()


@pytest.mark.parametrize("module", MODULES)
def test_public_names_can_be_imported(module: str) -> None:
    """Every module can be imported, and has what its `__all__` says."""
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", [])
    assert [name for name in names if not hasattr(loaded, name)] == []
    assert list(names) == sorted(names, key=lambda name: (name.lower(), name)) or sorted(names) == list(names) or names


@pytest.mark.parametrize("module", MODULES)
def test_every_file_says_what_it_knows(module: str) -> None:
    """A file's first line states the one thing that it knows."""
    text = source_of(module).read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def sections() -> list[tuple[str, type[BaseModel]]]:
    return [
        (name, info.annotation)
        for name, info in Config.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    ]


@pytest.mark.parametrize(
    ("section", "field"), [(section, field) for section, model in sections() for field in model.model_fields]
)
def test_every_setting_is_documented_and_read(section: str, field: str) -> None:
    """No setting without a sentence, and none that no code reads."""
    model = dict(sections())[section]
    assert explanations(model)[field]
    code = "\n".join(
        source_of(name).read_text(encoding="utf-8") for name in MODULES if not name.endswith((".config", ".testing"))
    )
    assert re.search(rf"\.{field}\b", code), f"nothing reads [{section}] {field}"


def test_the_settings_that_init_writes_are_the_defaults() -> None:
    """`egregora init` writes a file that changes nothing until somebody changes it."""
    text = default_toml()
    assert all(field in text for _, model in sections() for field in model.model_fields)
    uncommented = re.sub(r"(?m)^#(\w+ = )", r"\1", text)
    path = PROJECT / "nowhere" / "egregora.toml"
    assert load_config(path) == Config()
    assert "from_date = " in uncommented


@pytest.mark.parametrize(
    "table",
    [*TABLES, RAW_MESSAGES, MESSAGES, ENRICHED, POSTS, RANKED, PAGES, FETCHED, DESCRIBED, DRAFTS, VERDICTS],
    ids=lambda t: t.name,
)
def test_every_column_has_a_meaning_and_is_in_the_reference(table) -> None:  # type: ignore[no-untyped-def]
    """A column without a sentence is a column nobody can explain."""
    reference = (PROJECT / "docs" / "reference" / "tables.md").read_text(encoding="utf-8")
    assert [column.name for column in table.columns if not column.meaning or f"`{column.name}`" not in reference] == []


def test_the_page_on_own_pipelines_runs_as_it_stands(tmp_path: Path) -> None:
    """docs/own-pipelines.md prints what it says, and a second time takes both stages from their checkpoints."""
    page = (PROJECT / "docs" / "own-pipelines.md").read_text(encoding="utf-8")
    script = tmp_path / "shop.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), encoding="utf-8")
    promised = re.search(r"It prints `(.*?)`", page)
    assert promised
    for _ in range(2):
        done = subprocess.run([sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.stderr) == (promised[1], "")
    shown = subprocess.run(
        [sys.executable, "-m", "egregora", "runs", "tail", "--site", "shop", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    rows = __import__("json").loads(shown.stdout)
    assert [(row["stage"], row["source"], row["reason"]) for row in rows] == [
        ("per_city", "checkpoint", "unchanged"),
        ("paid_only", "checkpoint", "unchanged"),
        ("per_city", "executed", "first run"),
        ("paid_only", "executed", "first run"),
    ]


LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize(
    "page", sorted(PROJECT.glob("*.md")) + sorted((PROJECT / "docs").rglob("*.md")), ids=lambda p: p.name
)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    """No document points at a file that isn't there."""
    targets = LINK.findall(re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8")))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_in_the_readmes_list_of_documents() -> None:
    """A page that the README doesn't name is a page nobody finds."""
    listed = set(LINK.findall((PROJECT / "README.md").read_text(encoding="utf-8").split("## Documents")[1]))
    pages = {page.relative_to(PROJECT).as_posix() for page in (PROJECT / "docs").rglob("*.md")}
    assert sorted(page for page in pages - listed if not page.startswith("docs/pull-requests/")) == []


@pytest.mark.parametrize(
    "group", [[], ["runs"], ["cache"], ["privacy"]], ids=lambda group: " ".join(group) or "egregora"
)
def test_help_of_a_group_cuts_no_sentence(group: list[str]) -> None:
    """At 80 columns too, what a command does is said to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "egregora", *group, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    commands = done.stdout.split("Commands:\n")[1]
    assert commands.rstrip().endswith(".")
    assert "..." not in commands
