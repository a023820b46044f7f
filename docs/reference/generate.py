"""Writes the reference from the code. The pages call these functions through cog, and `make check` compares."""

from __future__ import annotations

from typing import Any

import cog


def tables() -> None:
    """Every declared table with its columns."""
    from egregora.database import ir_schema, runs_schema

    flowing = [ir_schema.RAW_MESSAGES, ir_schema.ENRICHED, ir_schema.RANKED, ir_schema.PAGES]
    parts = [ir_schema.FETCHED, ir_schema.DESCRIBED, ir_schema.DRAFTS, ir_schema.VERDICTS]
    for title, specs in (
        ("In the catalog", runs_schema.TABLES),
        ("Flowing through the stages", flowing),
        ("Results of child runs", parts),
    ):
        cog.outl(f"## {title}\n")
        for spec in specs:
            cog.outl(f"### `{spec.name}`\n\n{spec.meaning}\n\n| column | type | meaning |\n|---|---|---|")
            for column in spec.columns:
                cog.outl(
                    f"| `{column.name}` | `{column.type}`{'' if column.nullable else ', not null'} | {column.meaning} |"
                )
            cog.outl("")


def configuration() -> None:
    """Every setting."""
    from pydantic import BaseModel

    from egregora.config import Config, explanations

    for section, info in Config.model_fields.items():
        model: Any = info.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        cog.outl(f"## `[{section}]`\n\n{(model.__doc__ or '').strip()}\n\n| key | default | meaning |\n|---|---|---|")
        explained = explanations(model)
        for name, field in model.model_fields.items():
            default = "" if field.default is None else f"`{field.default!r}`"
            cog.outl(f"| `{name}` | {default} | {explained[name]} |")
        cog.outl("")


def commands() -> None:
    """Every command with its help, as a terminal prints it."""
    import subprocess
    import sys

    from typer.main import get_command

    from egregora.cli import app

    def walk(command: Any, words: list[str]) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "egregora", *words, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "100", "NO_COLOR": "1", "PATH": "", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"},
        )
        heading = "#" * min(2 + len(words), 4)
        cog.outl(f"{heading} `{' '.join(['egregora', *words])}`\n\n```text\n{done.stdout.strip()}\n```\n")
        for name, child in getattr(command, "commands", {}).items():
            walk(child, [*words, name])

    walk(get_command(app), [])


def figures() -> None:
    """Every figure of a profile."""
    from egregora.pipeline.profile import FAMILIES, FIGURES

    compared = {"both": "more or less", "low": "less", "high": "more", "": "–"}
    cog.outl("| figure | unit | meaning | wrong if, compared with earlier runs |\n|---|---|---|---|")
    named = [*FIGURES.items(), *((f"{family}.…", figure) for family, figure in FAMILIES.items())]
    for name, figure in named:
        cog.outl(f"| `{name}` | {figure.unit} | {figure.meaning} | {compared[figure.wrong]} |")
    cog.outl("")


def faults() -> None:
    """What can go wrong, from the cases that the tests do."""
    import sys

    sys.path.insert(0, "tests")
    from mtte.cases import CASES

    cog.outl("| what somebody did | what they type | what they are told | what to type next |\n|---|---|---|---|")
    for case in CASES:
        mended = f", when {case.mended}" if case.mended else ""
        told = " … ".join(case.says)
        cog.outl(f"| {case.did} | `{case.command}` | {told} | `{case.next}`{mended} |")
