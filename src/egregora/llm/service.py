"""The connections of one invocation to its models: opened once, used by all threads, on an event loop of their own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelRetry, NativeOutput, RunContext, UnsupportedSettingWarning
from pydantic_ai.exceptions import (
    AgentRunError,
    FallbackExceptionGroup,
    ModelAPIError,
    ModelAuthenticationError,
    UnexpectedModelBehavior,
)
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings

from egregora.errors import AnswerError, EgregoraError, ModelError
from egregora.llm.attempts import Attempted, Traffic
from egregora.llm.limits import Limits
from egregora.llm.providers import form_of, open_model
from egregora.llm.replies import Exchange, Replies
from egregora.llm.words import in_words

if TYPE_CHECKING:
    from egregora.config import LlmConfig
    from egregora.llm.request import Request
    from egregora.pipeline.stage import StageContext

__all__ = ["Service"]

Answer = TypeVar("Answer", bound=BaseModel)
T = TypeVar("T")
Check = Callable[[Any], None]
"""Looks at an answer of the right form; see `egregora.llm.ask`."""

# Settings that a provider doesn't know are left out, which is as it should be: they are wishes.
warnings.filterwarnings("ignore", category=UnsupportedSettingWarning)


class Service:
    """The models of one invocation, and what was asked of them.

    Attributes:
        limits: What was spent, and what may be.
    """

    def __init__(self, settings: LlmConfig, limits: Limits) -> None:
        self._settings = settings
        self.limits = limits
        self._opening = threading.Lock()
        self._models: list[tuple[str, Model, Traffic]] = []
        self._agents: dict[Any, Agent[Check | None, Any]] = {}
        self._refused: EgregoraError | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="models", daemon=True).start()

    @property
    def names(self) -> str:
        """The configured models."""
        return ", ".join((self._settings.model, *self._settings.fallback))

    def answer(
        self,
        request: Request,
        context: StageContext,
        check: Callable[[Answer], None] | None,
        replies: Replies | None,
    ) -> Answer:
        """See `egregora.llm.ask`. With `replies` the exchange is put on record there."""
        exchange = Exchange()
        try:
            answer = self._answer(request, context, check, exchange)
        except AnswerError as error:
            if replies:
                replies.keep(request, Exchange(exchange.answers, (str(error), error.hint)))
            raise
        if replies:
            replies.keep(request, exchange)
        return answer

    def _answer(
        self,
        request: Request,
        context: StageContext,
        check: Callable[[Answer], None] | None,
        exchange: Exchange,
    ) -> Answer:
        models = [
            Attempted(model, name, request, context, traffic, self.limits, exchange)
            for name, model, traffic in self._opened()
        ]
        asked = models[0] if len(models) == 1 else FallbackModel(*models, fallback_on=_may_another_help)
        try:
            form = form_of(request.output, request.model, self._settings.base_url)
            return self._wait_for(_run(self._agent(form), asked, request, check), context)
        except (AgentRunError, FallbackExceptionGroup) as error:
            # Not as its cause: what a service says may hold the key, and a record keeps what causes say.
            raise self._in_words(error, request.model) from None

    def _agent(self, form: Any) -> Agent[Check | None, Any]:
        """Who asks for answers of a form; made once, as it takes longer than asking."""
        key = form.outputs if isinstance(form, NativeOutput) else form
        with self._opening:
            if key not in self._agents:
                agent: Agent[Check | None, Any] = Agent(output_type=form, retries=1)
                agent.output_validator(_checked)
                self._agents[key] = agent
            return self._agents[key]

    def _opened(self) -> list[tuple[str, Model, Traffic]]:
        """The models in the order in which they are asked. What is wrong with one is wrong once for all."""
        with self._opening:
            if self._refused:
                raise self._refused
            if not self._models:
                s = self._settings
                try:
                    self._models = [
                        (name, open_model(name, s.base_url), Traffic(s.concurrency, s.timeout_seconds, s.retries))
                        for name in (s.model, *s.fallback)
                    ]
                except EgregoraError as error:
                    self._refused = error
                    raise
            return self._models

    def _wait_for(self, work: Coroutine[Any, Any, T], context: StageContext) -> T:
        """Wait for what goes on on the loop, but not when everything is to stop."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while True:
            try:
                return future.result(timeout=0.2)
            except concurrent.futures.TimeoutError:
                if future.done():
                    raise
                if context.stopped.is_set():
                    future.cancel()
                    raise KeyboardInterrupt from None

    def _in_words(self, error: BaseException, name: str) -> ModelError:
        text, hint = in_words(error, name)
        found = (AnswerError if isinstance(error, UnexpectedModelBehavior) else ModelError)(text, hint=hint)
        if isinstance(error, ModelAuthenticationError):
            self._refused = found
        return found


def _may_another_help(error: Exception) -> bool:
    """Whether a fallback is asked. A wrong key is to be told, not to be got round."""
    return isinstance(error, ModelAPIError) and not isinstance(error, ModelAuthenticationError)


async def _run(agent: Agent[Check | None, Any], model: Model, request: Request, check: Check | None) -> Answer:
    """One question and its answer; an answer that isn't right goes back once, with what is wrong."""
    # Attempts are ours to make and to count, not the provider's client's.
    settings = ModelSettings(max_tokens=request.max_output_tokens, max_retries=0)
    if request.temperature is not None:
        settings["temperature"] = request.temperature
    pictures = [BinaryContent(data=image, media_type=_media_type(image)) for image in request.images]
    done = await agent.run(
        [request.prompt, *pictures] if pictures else request.prompt,
        model=model,
        model_settings=settings,
        instructions=request.instructions,
        deps=check,
    )
    found: Answer = done.output
    return found


async def _checked(run: RunContext[Check | None], answer: Any) -> Any:
    # Not a plain function: the library would start a thread for it.
    if run.deps is not None:
        try:
            run.deps(answer)
        except ValueError as error:
            raise ModelRetry(str(error)) from None
    return answer


def _media_type(image: bytes) -> str:
    if image.startswith(b"\x89PNG"):
        return "image/png"
    return "image/webp" if image[8:12] == b"WEBP" else "image/jpeg"
