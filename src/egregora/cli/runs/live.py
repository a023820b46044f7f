"""Looking again and again: how often, and how it is drawn on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

from egregora.cli import render
from egregora.cli.render import Line

__all__ = ["LOOK_EVERY_S", "draw"]

LOOK_EVERY_S = 0.5
"""How often commands that follow look."""


def draw(look: Callable[[int, int], tuple[list[Line], bool]]) -> None:
    """Draw what is to be seen over what was drawn before, until there is nothing more to come.

    Args:
        look: Given the width and height of the terminal, what is to be seen, and whether more is to come.
    """
    from rich.live import Live

    console = render.console()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            lines, more = look(console.width, console.height)
            live.update(render.to_text(lines), refresh=True)
            if not more:
                return
            time.sleep(LOOK_EVERY_S)
