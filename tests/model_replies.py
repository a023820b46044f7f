"""What a scripted model says to Egregora's questions: posts, portraits, verdicts and descriptions."""

from __future__ import annotations

import re
from typing import Any

from egregora.testing_llm import Asked

LINE = re.compile(r"^(m\d+) (\d\d:\d\d) (.+?)(?: \(to m\d+\))?: (.*)$", re.MULTILINE)


def messages(asked: Asked) -> list[tuple[str, str, str]]:
    """The messages in a prompt that somebody wrote in words: short id, alias, text."""
    lines = asked.prompt.partition("<messages>")[2]
    return [
        (short, who, text)
        for short, _, who, text in LINE.findall(lines)
        if who != "(notice)" and not text.startswith("[")
    ]


def kind(asked: Asked) -> str:
    """What is asked for: `posts`, `portrait`, `verdict` or `description`."""
    fields = set((asked.schema or {})["properties"])
    known = {"posts": "posts", "paragraphs": "portrait", "better": "verdict", "description": "description"}
    return next(name for field, name in known.items() if field in fields)


def paragraph(text: str, *shorts: str, quotes: Any = (), heading: str = "") -> dict[str, Any]:
    """A paragraph of an answer; `quotes` are pairs of an id and words."""
    shown = [{"message": short, "words": words} for short, words in quotes]
    return {"heading": heading, "text": text, "messages": list(shorts), "quotes": shown}


def post(*paragraphs: dict[str, Any], title: str = "A title", standfirst: str = "", tags: Any = ()) -> dict[str, Any]:
    """A post of an answer."""
    return {"title": title, "standfirst": standfirst, "tags": list(tags), "paragraphs": list(paragraphs)}


def well(asked: Asked) -> Any:
    """A faithful answer to whatever is asked: a post quotes its window's first message and cites the second."""
    said = messages(asked)
    match kind(asked):
        case "posts":
            (first, who, text), (second, other, _) = said[0], said[-1]
            told = paragraph(
                f"It began with {who}, and {other} had the last word.", first, second, quotes=[(first, text)]
            )
            return {"posts": [post(told, title=f"How {text[:40]}", standfirst=f"Of {who}.", tags=["story"])]}
        case "portrait":
            (first, who, text), *_ = said
            return {"paragraphs": [paragraph(f"{who} says what there is to say.", first, quotes=[(first, text)])]}
        case "verdict":
            return {"reason": "It has a goat in it.", "better": "first"}
        case _:
            return {"description": "A thing that somebody made."}
