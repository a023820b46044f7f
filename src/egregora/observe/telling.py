"""What differs between two runs, in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from egregora.observe.changes import Changes, CodeChange, InputChange, RowChanges, SettingChange
from egregora.observe.runs import Row

__all__ = [
    "NOUNS",
    "code_said",
    "noun_of",
    "number",
    "rows_said",
    "setting_said",
    "value_said",
    "why_changed",
]

NOUNS = {
    "parse": "message",
    "privacy": "message",
    "enrich": "message",
    "write": "post",
    "rank": "post",
    "publish": "file",
}
"""What a row of each of our own stages is."""


def noun_of(stage: str) -> str:
    """What a row of a stage's result is called."""
    return NOUNS.get(stage, "row")


def number(count: int, noun: str) -> str:
    """A count with its noun: `1 message`, `1,234 messages`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def value_said(text: str | None) -> str:
    """A setting's value, given as JSON, for people; a secret is only said to be one."""
    if text is None:
        return "not there"
    value = json.loads(text)
    return "not set" if value is None or value == "" else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if value and all(isinstance(item, dict) and "$secret" in item for item in value):
            return number(len(value), "secret")
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, dict) and len(value) == 1:
        ((kind, inner),) = value.items()
        if kind == "$secret":
            return "a secret"
        if kind.startswith("$"):
            return str(inner)
    return json.dumps(value, ensure_ascii=False)


def setting_said(change: SettingChange) -> str:
    """`write.window: 7d (the default) → 3d`."""
    if change.key == "site_key":
        return "the site's key is another one"
    old, new = value_said(change.old), value_said(change.new)
    if old == new:
        # Secrets that differ look the same.
        return f"{change.key}: {old}, and another one than before"
    if change.default is not None:
        old += " (the default)" if change.old == change.default else ""
        new += " (the default)" if change.new == change.default else ""
    return f"{change.key}: {old} → {new}"


_KINDS = {"module": "module", "file": "data file", "source": "function"}


def code_said(changes: Iterable[CodeChange]) -> list[str]:
    """What changed in a stage's code, by kinds: `module shop.helpers changed`, `the package duckdb: 1.5.6 → 1.5.7`.

    What is bound to the function, and which function it is, is told only where that is all: names come and go with
    modules.
    """
    changes = list(changes)
    grouped: dict[tuple[str, str], list[str]] = {}
    packages, others = [], []
    for change in changes:
        if change.kind in _KINDS:
            name = "__main__ (the program itself)" if change.name == "__main__" else change.name
            grouped.setdefault((_KINDS[change.kind], change.how), []).append(name)
        elif change.kind == "distribution":
            packages.append(f"the package {change.name}: {change.old or 'not used'} → {change.new or 'not used'}")
        elif change.kind == "machinery":
            packages.append("Egregora's own machinery computes otherwise than before")
        elif change.kind == "function" and change.old and change.new and not change.name:
            others.append(f"another function: {change.old} → {change.new}")
        elif change.kind == "value":
            others.append(f"what is bound to the function as {change.name} {change.how}")
    found = []
    for (kind, how), names in grouped.items():
        more = f" and {len(names) - 4} more" if len(names) > 5 else ""
        listed = ", ".join(names[: 4 if more else 5]) + more
        found.append(f"{kind} {listed} {how}" if len(names) == 1 else f"{number(len(names), kind)} {how}: {listed}")
    return [*found, *packages] or others[:3]


def rows_said(rows: RowChanges, noun: str) -> str:
    """`1 message added`, `3 posts removed and 2 changed (title 2)`, `the same 947 messages`."""
    counts = [(rows.added, "added"), (rows.removed, "removed"), (rows.changed, "changed")]
    columns = "; ".join(
        f"{what} {', '.join(names)}"
        for what, names in (
            ("columns that came:", rows.columns_added),
            ("columns that went:", rows.columns_removed),
            ("columns of another type:", rows.columns_retyped),
        )
        if names
    )
    if not any(count for count, _ in counts):
        same = f"the same {number(rows.new_rows, noun)}"
        return f"{same}, but {columns}" if columns else same
    if rows.removed == rows.old_rows and rows.added == rows.new_rows and rows.old_rows and rows.new_rows:
        said = (
            f"none of the {number(rows.new_rows, noun)} is as before"
            if rows.new_rows == rows.old_rows
            else f"{number(rows.new_rows, noun)} instead of {rows.old_rows:,}, none as before"
        )
    else:
        told = [(count, what) for count, what in counts if count]
        said = _and(
            [f"{number(count, noun) if not i else f'{count:,}'} {what}" for i, (count, what) in enumerate(told)]
        )
        if rows.changed and rows.columns:
            said += f" (in {', '.join(list(rows.columns)[:4])})"
    return f"{said}; {columns}" if columns else said


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def why_changed(changes: Changes, prefixes: Mapping[str, str]) -> list[str]:
    """Why a run is another one than the one before: what changed first, then what came of it; a line for each thing.

    Args:
        changes: Between the two.
        prefixes: Beginnings of run ids, as they can be typed.
    """
    own = changes.new["run_id"]

    def by(row: Row) -> str:
        return f"{row['stage']} (run {prefixes.get(row['run_id'], row['run_id'][:8])})"

    said = [*_settings_said(changes, by)]
    for begun in changes.beginnings:
        there = begun.new["run_id"] != own
        if begun.kind == "code":
            said.append(f"the code of {by(begun.new)} changed{_told(code_said(begun.code))}")
        elif begun.kind == "outside":
            what = "the export is another one" if begun.new["stage"] in NOUNS else "what it read from outside changed"
            if there:
                read = "another export" if begun.new["stage"] in NOUNS else "something else from outside"
                what = f"{by(begun.new)} read {read}"
            rows = begun.rows and not begun.rows.same and rows_said(begun.rows, noun_of(begun.new["stage"]))
            said.append(f"{what}: {rows}" if rows else what)
        elif begun.kind == "unknown":
            said.append(f"{by(begun.new)} gave another result; what went into it could not be identified")
        else:
            said.append(f"{by(begun.new)} gave another result from the same input, settings and code")
    if "code" in changes.parts:
        said.append(f"its code changed{_told(code_said(changes.code))}")
    if "config" in changes.parts and not changes.settings:
        said.append("its settings changed")
    inputs = [one for one in map(_input_said, changes.inputs) if one]
    if inputs:
        said.append(f"{'so its' if said else 'its'} input changed: {'; '.join(inputs)}")
    elif "input" in changes.parts and not changes.inputs:
        said.append("its input changed")
    return said


def _settings_said(changes: Changes, by: Callable[[Row], str]) -> Iterator[str]:
    """Each setting that changed, once, with who read it first."""
    told: set[str] = set()
    readers = [(begun.settings, by(begun.new)) for begun in changes.beginnings if begun.settings]
    for settings, reader in [*readers, (changes.settings, "")]:
        for change in settings:
            if change.key not in told:
                told.add(change.key)
                yield f"a setting changed: {setting_said(change)}{f', read by {reader}' if reader else ''}"


def _told(lines: list[str]) -> str:
    return f": {'; '.join(lines)}" if lines else ""


def _input_said(part: InputChange) -> str:
    """What differs in a part of the input; empty for an export, which is told as a beginning."""
    if part.new is None:
        return "" if part.new_hash else f"the input {part.name} is not there any more"
    stage = part.new["stage"]
    if part.old is None:
        return f"it reads the result of {stage} now"
    if part.rows is None or part.rows.same:
        old, new = part.old["rows_out"], part.new["rows_out"]
        if part.rows is None and old is not None and new is not None and old != new:
            return f"{number(new, noun_of(stage))} instead of {old:,} from {stage}"
        return f"another result of {stage}"
    return f"{rows_said(part.rows, noun_of(stage))} (from {stage})"
