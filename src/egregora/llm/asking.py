"""Asking: what must be true before anything is sent, and what came of it in plain words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

from egregora.errors import AnswerError, ConfigError, PrivacyError
from egregora.llm.limits import Limits
from egregora.llm.replies import Replies
from egregora.llm.request import Request
from egregora.pipeline.stage import PrivacyPass, StageContext

if TYPE_CHECKING:
    from pydantic import BaseModel

    from egregora.llm.service import Service

__all__ = ["ask"]

Answer = TypeVar("Answer", bound="BaseModel")

USUAL_SHARE = 0.25
"""How much of the longest answer an answer is expected to take."""

_opening = threading.Lock()


def ask(
    permit: PrivacyPass,
    context: StageContext,
    *,
    purpose: str,
    instructions: str,
    prompt: str,
    output: type[Answer],
    images: Sequence[bytes] = (),
    check: Callable[[Answer], None] | None = None,
) -> Answer:
    """Ask the configured model one question.

    It may be called from many threads at once. Each attempt is recorded with the run of `context`.

    Args:
        permit: The pass of that run: proof that what is sent went through the privacy stage.
        context: The run that asks, mostly a child; its configuration says which model.
        purpose: What it is for, in a few words without text of the chat: `write a window`.
        instructions: What the model is to do.
        prompt: What it is to do it with.
        output: The form of the answer. Put a `max_length` on every string and list.
        images: Pictures that go along: bytes of JPEG, PNG or WebP files, cleaned of their metadata.
        check: Looks at an answer of the right form, and raises `ValueError` with what is wrong in words for the model.

    Returns:
        The answer, in the form asked for, and past the check. One that isn't goes back to the model once.

    Raises:
        PrivacyError: the pass isn't this run's, or it has none.
        AnswerError: the answer can't be used: twice not in the form asked for or past the check, cut off, refused.
        BudgetError: the call could pass a limit that was set, so it wasn't made.
        ModelError: the model can't be reached, refuses the key, is busy for too long, or takes too long.
        ConfigError: there is no such model, or its package isn't installed.
    """
    # Not only that there is a pass: it must be the one that this very run is entitled to.
    if permit is None or permit != context.privacy_pass():
        raise PrivacyError(
            "this is not the pass of the run that wants to send something", hint="pass on context.privacy_pass()"
        )
    settings = context.config.llm
    if not settings.model:
        raise ConfigError("no model is configured", hint="name one: model under [llm] in egregora.toml")
    request = Request(
        settings.model,
        instructions,
        prompt,
        tuple(images),
        output,
        settings.temperature,
        settings.max_output_tokens,
    )
    if context.rehearsed:
        _rehearse(request, context, purpose)
    replies = Replies(context.directory / "replies") if settings.replay != "off" else None
    if replies and settings.replay == "replay":
        return replies.answer(request, check)
    return _service(context).answer(request, context, check, replies)


def _rehearse(request: Request, context: StageContext, purpose: str) -> NoReturn:
    """Count what a call would come to, and make none.

    Raises:
        AnswerError: always, so that whoever asked does what they do without an answer.
    """
    from egregora.llm.prices import price

    expected = max(1, int(request.max_output_tokens * USUAL_SHARE))
    context.count_call(
        model=request.model,
        prompt_hash=request.key,
        input_tokens=request.input_tokens,
        output_tokens=expected,
        cost_usd=price(request.model, input_tokens=request.input_tokens, output_tokens=expected),
        latency_ms=0.0,
    )
    raise AnswerError(f"not sent: {purpose}", hint="write without --dry-run")


def _service(context: StageContext) -> Service:
    """The connections of this invocation, made when they are first needed: what they need takes seconds to import."""
    with _opening:
        found: Service | None = context.session.get("llm")
        if found is None:
            from egregora.llm.service import Service

            settings = context.config.llm
            found = context.session["llm"] = Service(settings, Limits(settings.budget_usd, settings.max_calls))
        return found
