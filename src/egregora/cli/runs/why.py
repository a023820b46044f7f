"""`egregora runs why`: from a page, a post or a sentence back to its messages and the runs behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from egregora.amounts import span
from egregora.cli import render
from egregora.cli.quick import QuickCommand
from egregora.cli.render import Line, count
from egregora.cli.runs.words import complete_run
from egregora.cli.site import SiteOption, open_site

if TYPE_CHECKING:
    from egregora.observe.runs import Row
    from egregora.observe.why import Asked, Message, Why

__all__ = ["register", "why"]

FEW = 8
"""Blocks, messages and posts that are shown unless all are asked for."""


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command(
        cls=QuickCommand,
        epilog="egregora runs why site/posts/2024-03-04-the-plan.html\negregora runs why '2024-03-04-the-plan#b3'\n"
        'egregora runs why "who has the fourth key"\negregora runs why site/people/night-heron.html --all',
    )(why)


def why(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT",
            help="A page's path or address, with #b3 for its third block; a post's id or title; a message's id; or a "
            "sentence.",
        ),
    ],
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", autocompletion=complete_run, help="Posts of this run instead of the newest."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every block, message and post.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: all of it, and the rows of the runs.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Say where something on the site comes from.

    From a page, a post or a sentence back to the messages it rests on (names protected), its window, the run that
    wrote it, the model, prompt, settings and cost if one did, and the runs before that up to the export.
    """
    from egregora.observe.why import why as found

    answer = found(open_site(site), " ".join(what), run=run)
    if as_json:
        typer.echo(render.as_json({**_plain(answer), "next": _typed(answer.next, site)}))
        return
    render.echo(_lines(answer, site, render.width_to_fit(), None if everything else FEW))


EVENT = 8
"""Digits of a message's id that are shown; `why` takes them."""
LABELS = 11
"""Columns that the headings take."""


def _lines(found: Why, site: str | None, width: int | None, few: int | None) -> list[Line]:
    lines = [*_head(found, width), []]
    if found.block:
        lines += [*_indented([(found.block.text, "italic")], 2, width), []]
    elif found.post:
        lines += _blocks(found, width, few)
    if found.kind not in ("post", "message", "file"):
        lines += [*_posts(found, width, few), *_rests(found, width, few)]
    else:
        lines += [*_rests(found, width, few), *_posts(found, width, few)]
    for heading, said in _made(found):
        lines += _beside(heading, [(said, "")], width)
    command: Line = [("Next".ljust(LABELS), "dim"), (_typed(found.next, site), "bold")]
    return [*lines, command]


def _head(found: Why, width: int | None) -> list[Line]:
    name = {"person": "Page of ", "tag": "Tag ", "file": "File ", "page": "Page "}.get(found.kind, "")
    of = f", block {found.block.number} of {len(found.blocks)}" if found.block else ""
    lines = render.fold([(f"{name}{found.title}{of}", "bold")], width)
    if found.path and found.path != found.title:
        lines += render.fold([(f"{found.path}{f'#b{found.block.number}' if found.block else ''}", "cyan")], width)
    return lines


def _blocks(found: Why, width: int | None, few: int | None) -> list[Line]:
    """A post's blocks, a line each, with how many messages it rests on."""
    shown = [block for block in found.blocks if block.sources][:few]
    cells: list[list[Line]] = [
        [
            [(f"  #b{block.number}", "cyan")],
            [(f"{len(block.sources)} message{'' if len(block.sources) == 1 else 's'}", "dim")],
            [(block.text, "")],
        ]
        for block in shown
    ]
    left = sum(bool(block.sources) for block in found.blocks) - len(shown)
    lines = [render.cut(line, width) if width else line for line in render.align(cells, right=(1,))] if cells else []
    return [*lines, *([[(f"  … {count(left)} more: --all", "dim")]] if left else []), []]


def _rests(found: Why, width: int | None, few: int | None) -> list[Line]:
    messages, total = found.messages[:few], len(found.messages)
    if not total:
        empty = found.block is not None
        return _beside("Rests on", [("no message: the writer's own words", "dim")], width) if empty else []
    verb = {"person": "Wrote", "file": "Sent in", "message": "Is"}.get(found.kind, "Rests on")
    what = f"{count(total)} message{'' if total == 1 else 's'}"
    lines = _beside(verb, [(what, ""), (f"  (times in {found.zone})", "dim")], width)
    for message in messages:
        line = _message(message)
        # What somebody wrote elsewhere is only an example of it.
        one = found.kind == "person" and width is not None
        lines += [render.cut([(" " * LABELS, ""), *line], width or 0)] if one else _indented(line, LABELS, width)
    if total > len(messages):
        lines.append([(" " * LABELS, ""), (f"… {count(total - len(messages))} more: --all", "dim")])
    return lines


def _message(message: Message) -> Line:
    text = " ".join(message.text.split()) or f"({message.kind})"
    return [
        (message.ts.strftime("%Y-%m-%d %H:%M"), "dim"),
        (f"  {message.alias or 'notice'}: ", "bold"),
        (text if len(text) <= 400 else f"{text[:399]}…", ""),
        (f"  {message.event_id[:EVENT]}", "dim"),
    ]


def _posts(found: Why, width: int | None, few: int | None) -> list[Line]:
    if not found.total:
        if found.kind == "post":
            return []
        return _beside("Posts", [("none rests on it", "dim")], width) if found.kind in ("message", "file") else []
    also = "Also in" if found.kind == "post" else "Posts"
    lines = _beside(also, [(f"{count(found.total)}", "")], width)
    for post in found.posts[:few]:
        lines += _indented([(post.post_id, "cyan"), (f"  {post.title}", "")], LABELS, width)
    left = found.total - len(found.posts[:few])
    return [*lines, *([[(" " * LABELS, ""), (f"… {count(left)} more: --all", "dim")]] if left else [])]


def _made(found: Why) -> list[tuple[str, str]]:
    """Window, writer, model, settings and runs, as far as they say something."""
    origins = found.origins
    said: list[tuple[str, str]] = []
    if found.post:
        of = "" if found.window_messages is None else f", {count(found.window_messages)} messages"
        said.append(("Window", f"{found.post['window']}{of}"))
    ago = span(render.elapsed(origins.writer["started_at"]))
    children = ", ".join(origins.prefixes[child["run_id"]] for child in origins.children)
    by = f"by run {origins.prefixes[origins.writer['run_id']]} (write), {ago} ago"
    said.append(("Written", f"{by}; its window by {children}" if children else by))
    if origins.asked:
        said += [("Model" if not number else "", _asked(one)) for number, one in enumerate(origins.asked)]
    elif found.post:
        said.append(("Model", f"none: its sentences are those of the chat (writer {found.post['writer']})"))
    chosen = "; ".join(f"{key} = {value}" for key, value in origins.settings.items())
    said.append(("Settings", chosen or "as they are by default"))
    said.append(("Made from", " → ".join(["export", *(_run(row, origins.prefixes) for row in origins.upstream)])))
    if origins.readers:
        said.append(("Read by", ", ".join(_run(row, origins.prefixes) for row in origins.readers)))
    return said


def _run(row: Row, prefixes: dict[str, str]) -> str:
    return f"{row['stage']} {prefixes[row['run_id']]}"


def _asked(one: Asked) -> str:
    failed = f" ({count(one.failed)} failed)" if one.failed else ""
    cost = "cost unknown" if one.cost_usd is None else f"${one.cost_usd:,.4f}"
    prompts = ", ".join(prompt.removeprefix("sha256:")[:8] for prompt in one.prompts[:3])
    calls = f"{count(one.calls)} call{'' if one.calls == 1 else 's'}{failed}"
    return f"{one.model}: {calls}, {count(one.tokens)} tokens, {cost}; prompt {prompts}"


def _beside(heading: str, line: Line, width: int | None) -> list[Line]:
    """A line beside its heading; what doesn't fit goes on below itself."""
    first, *rest = render.fold(line, None if width is None else max(20, width - LABELS))
    return [[(heading.ljust(LABELS), "dim"), *first], *([(" " * LABELS, ""), *piece] for piece in rest)]


def _indented(line: Line, by: int, width: int | None) -> list[Line]:
    return [[(" " * by, ""), *piece] for piece in render.fold(line, None if width is None else max(20, width - by))]


def _typed(command: str, site: str | None) -> str:
    """A command for the site that was named."""
    import shlex

    return command if site is None else f"{command} --site {shlex.quote(site)}"


def _plain(value: Any) -> Any:
    """The answer as dictionaries and lists."""
    from dataclasses import asdict

    return asdict(value)
