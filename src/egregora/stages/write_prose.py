"""Write with a model: each window, or each part of one that is too long, is a child run that is paid for once.

What a window's child depends on is the window and, of a few earlier windows that it takes up, what can be told of them
without a model. Where a model's posts aren't taken, and where a window has too little in it, all is as without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from egregora.database.ir_schema import DRAFTS, POSTS
from egregora.errors import ConfigError
from egregora.llm import estimated_tokens
from egregora.pipeline.stage import Stage, StageContext
from egregora.stages.privacy import phone_region
from egregora.stages.write import Source, Written, linked_posts, tell_posts, utc
from egregora.stages.writers import extractive, prose
from egregora.stages.writers.draft import Draft, Window
from egregora.stages.writers.earlier import digest, taken_up
from egregora.stages.writers.markdown import plain
from egregora.stages.writers.phrases import language
from egregora.stages.writers.rendered import Rendering
from egregora.stages.writers.transcript import TRANSCRIBED, Transcript
from egregora.stages.writers.words import Background

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["STAGE", "write_prose"]

_BESIDE: Final = 4000
"""Tokens kept free for the form of the answer and for what is told of earlier windows."""
_LEAST_ROOM: Final = 1000
_MIDDLE: Final = (0.25, 0.75)
"""Where a window that is too long is cut: at the longest silence between these shares of its length."""


def write_prose(table: ir.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Write the posts of a site with a model.

    Args:
        table: `ENRICHED` rows, any order.
        config: Reads what `write` reads, and `prose.CONFIG_KEYS`.
        context: Gets one child run for each window, or part of one, labelled with it.

    Returns:
        `POSTS` rows, by time.

    Raises:
        ConfigError: the model's context is too small for anything.
        ExportError: no message lies between `write.from_date` and `write.to_date`.
        EgregoraError: a window could not be written. Those that were are kept.
    """
    source = Source(table, config)
    known = source.background()
    windows = [window for window, _, _ in source.windows()]
    # A copy of each is read: what a window makes of its columns is let go with it.
    drafts = [_offline(replace(window), known, config, context) for window in windows]
    told = [i for i, draft in enumerate(drafts) if draft and windows[i].label not in config.write.without_model]
    pieces = [(i, part, label) for i in told for part, label in _parts(windows[i], _room(config))]
    people = pc.unique(source.rows.column("alias")).drop_null().to_pylist()
    earlier = taken_up(windows, source.vocabulary, source.languages, people)
    digests: dict[int, dict[str, Any]] = {}
    for other in sorted({other for i, _, _ in pieces for other in earlier[i]}):
        found = digest(replace(windows[other]), source.languages, config)
        digests[other] = {"day": found.day, "title": found.title, "standfirst": found.standfirst, "said": found.said}

    def job(i: int, part: Window, label: str) -> Callable[[], pa.Table]:
        before = pa.Table.from_pylist([digests[other] for other in earlier[i]], schema=prose.EARLIER)
        return lambda: context.child_result(
            label,
            prose.write_window,
            _as_told(part),
            config_keys=prose.CONFIG_KEYS,
            inputs={"earlier": before},
            output=DRAFTS,
        )

    answers = context.run_children([job(*piece) for piece in pieces], config.llm.concurrency, unit="windows")
    written: list[Written] = []
    by_window: dict[int, list[tuple[Window, str, pa.Table]]] = {}
    for (i, part, label), answer in zip(pieces, answers, strict=True):
        by_window.setdefault(i, []).append((part, label, answer))
    for i, (window, draft) in enumerate(zip(windows, drafts, strict=True)):
        if draft is None:
            continue
        if i not in by_window:
            written.append(_dated(window, window, draft))
        for part, label, answer in by_window.get(i, ()):
            posts = _drafts(part, label, answer.to_pylist(), draft, known, config, context)
            written.extend(_dated(window, part, post) for post in posts)
    context.profile("not_taken", sum(any(answer["problem"].to_pylist()[:1]) for answer in answers))
    context.log(f"{len(written)} posts from {len(windows)} windows with messages")
    posts = linked_posts(written, language(config.site.language))
    tell_posts(posts, len(windows), len(source.rows), context)
    return posts


def _offline(window: Window, known: Background, config: Any, context: StageContext) -> Draft | None:
    """The extractive post of a window; of one that has none, or shall have no other, there is a child that says so."""
    draft = extractive.write_post(window, known, config, StageContext(context.directory))
    if draft is None or window.label in config.write.without_model:
        with context.child(window.label, rows_in=len(window.ids)) as child:
            extractive.write_post(window, known, config, child)
            child.rows_out = 0 if draft is None else 1
    return draft


# -- what a child gets -------------------------------------------------------------------------------------------------


def _as_told(window: Window) -> pa.Table:
    """A window's messages as the input of its child: nothing in it depends on other windows."""
    rows = window.rows.append_column("row", pa.array(np.arange(len(window.rows))))
    return rows.append_column("reply", pa.array(window.parents)).select(TRANSCRIBED)


def _room(config: Any) -> int:
    """Tokens that a window's messages may have."""
    asked = estimated_tokens(config.prompts["write"]) + estimated_tokens(config.llm.instructions)
    # An estimate may be a third too low.
    room = (config.llm.context_tokens - config.llm.max_output_tokens - asked - _BESIDE) * 3 // 4
    if room < _LEAST_ROOM:
        raise ConfigError(
            f"llm.context_tokens = {config.llm.context_tokens} leaves no room for messages beside answers of "
            f"{config.llm.max_output_tokens} tokens and {asked} of instructions",
            hint="set it to what the model can take in, or llm.max_output_tokens lower",
        )
    return int(room)


def _parts(window: Window, room: int) -> Iterator[tuple[Window, str]]:
    """The window with its label; or, if it is too long, its parts, cut at long silences, with theirs."""
    lines = Transcript.of(_as_told(window)).messages
    costs = np.zeros(len(window.rows) + 1, np.int64)
    for short, message in lines.items():
        costs[int(short[1:])] = estimated_tokens(message.line)
    sums = costs.cumsum()
    ranges = list(_cut(window.seconds, sums, 0, len(window.rows), room))
    if len(ranges) == 1:
        yield window, window.label
        return
    for number, (start, end) in enumerate(ranges, 1):
        yield window.part(np.arange(start, end)), f"{window.label} part {number} of {len(ranges)}"


def _cut(seconds: Any, sums: Any, start: int, end: int, room: int) -> Iterator[tuple[int, int]]:
    """A range of rows, cut at its longest silences until each piece fits."""
    total = sums[end] - sums[start]
    if total <= room or end - start < 2:
        yield start, end
        return
    low, high = (int(np.searchsorted(sums, sums[start] + share * total)) for share in _MIDDLE)
    low, high = max(low, start + 1), min(max(high, low + 1), end - 1)
    silences = seconds[low : high + 1] - seconds[low - 1 : high]
    at = low + int(np.argmax(silences))
    yield from _cut(seconds, sums, start, at, room)
    yield from _cut(seconds, sums, at, end, room)


# -- what becomes of its answer ----------------------------------------------------------------------------------------


def _dated(window: Window, part: Window, draft: Draft) -> Written:
    """A draft with the times of the messages that it uses."""
    used = {event for block in draft.blocks for event in block.sources}
    seconds = part.rows.column("utc")
    if used:
        seconds = seconds.filter(pc.is_in(part.rows.column("event_id"), pa.array(sorted(used))))
    times = pc.min_max(seconds).as_py()
    return Written(window.label, window.first_day, draft, utc(times["min"]), utc(times["max"]))


def _drafts(
    part: Window,
    label: str,
    rows: list[dict[str, Any]],
    whole: Draft,
    known: Background,
    config: Any,
    context: StageContext,
) -> Iterator[Draft]:
    """The drafts that an answer comes to: the model's posts, or the extractive one where none of them was taken."""
    refused = bool(rows) and rows[0]["problem"]
    if refused:
        context.log(
            f"{label}: written without the model, whose posts rested on nothing: {rows[0]['problem']}", "warning"
        )
    if refused or (context.rehearsed and not rows):
        # Rehearsed, a window that isn't written yet stands in for itself, so that later stages know how much there is.
        instead = extractive.write_post(replace(part), known, config, StageContext(context.directory))
        yield from [instead] if instead else []
        return
    rendering = Rendering(_as_told(part), language(config.site.language), phone_region(config))
    for row in rows:
        yield _draft(row, rendering, whole, config)


def _draft(row: Mapping[str, Any], rendering: Rendering, whole: Draft, config: Any) -> Draft:
    """One post. What it is about and what happened around it is taken from the window's extractive draft."""
    paragraphs = row["paragraphs"]
    told = " ".join([row["title"], row["standfirst"], *row["tags"], *(p["text"] for p in paragraphs)]).casefold()
    terms = {term: weight for term, weight in whole.terms.items() if term in told}
    events = {event for paragraph in paragraphs for event in paragraph["sources"]}
    counts = Counter(plain(rendering.messages[event].alias or "") for event in sorted(events))
    counts.pop("", None)
    return Draft(
        titles=(rendering.line(row["title"]),),
        standfirst=rendering.line(row["standfirst"]),
        blocks=tuple(rendering.blocks(paragraphs)),
        tags=tuple(filter(None, map(rendering.line, row["tags"]))),
        people=tuple(sorted(counts, key=lambda alias: (-counts[alias], alias))),
        language=config.write.language or config.site.language,
        signals=whole.signals,
        writer=config.llm.model,
        terms=terms,
        spelling={term: whole.spelling[term] for term in terms},
    )


STAGE = Stage(
    name="write",
    func=write_prose,
    output=POSTS,
    config_keys=(
        "write",
        "parse.timezone",
        "privacy.default_region",
        "site.language",
        "llm.context_tokens",
        *(key for key in prose.CONFIG_KEYS if key.startswith(("llm.", "prompts."))),
    ),
    distributions=("stopwordsiso",),
)
