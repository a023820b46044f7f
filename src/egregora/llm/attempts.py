"""One model as it is asked: again where that may help, and each attempt on record."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelRateLimitError,
    ModelServerError,
    ModelUnavailableError,
    OutputTokenLimitExceeded,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from egregora.llm.prices import price
from egregora.llm.words import in_words

if TYPE_CHECKING:
    from egregora.llm.limits import Limits
    from egregora.llm.replies import Exchange
    from egregora.llm.request import Request
    from egregora.pipeline.stage import StageContext

__all__ = ["Attempted", "NoAnswerError", "Traffic"]

LONGEST_WAIT_S = 300.0
"""However long a service asks one to wait, no longer than this."""


class NoAnswerError(ModelAPIError):
    """A service said nothing in time, or nothing that is an answer. Like when it fails, another model may be asked."""

    def __init__(self, model_name: str, message: str, hint: str) -> None:
        super().__init__(model_name, message)
        self.hint = hint


class Traffic:
    """What all questions to one model have in common: how many are on the way, and until when it wants quiet."""

    def __init__(self, concurrency: int, timeout_s: float, retries: int) -> None:
        self.timeout_s = timeout_s
        self.retries = retries
        self.quiet_until = 0.0
        self.slots = asyncio.Semaphore(concurrency)


_PASSING = (ModelRateLimitError, ModelUnavailableError, ModelServerError, ModelConnectionError, NoAnswerError)
"""What may be over in a moment."""
_backoff = wait_random_exponential(multiplier=0.5, max=60)


def _wait(state: RetryCallState) -> float:
    """Seconds until the next attempt: as long as the service asks for, else longer each time, with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after", None)
    jittered = _backoff(state)
    return jittered if asked is None else min(asked, LONGEST_WAIT_S) + min(jittered, 1.0)


class Attempted(WrapperModel):
    """A provider's model that is asked several times where that may help, and says what it was asked."""

    def __init__(
        self,
        wrapped: Model,
        name: str,
        request: Request,
        context: StageContext,
        traffic: Traffic,
        limits: Limits,
        exchange: Exchange,
    ) -> None:
        super().__init__(wrapped)
        self._name = name
        self._request = request
        self._context = context
        self._traffic = traffic
        self._limits = limits
        self._exchange = exchange

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(self._traffic.retries + 1),
            wait=_wait,
            retry=retry_if_exception_type(_PASSING),
            reraise=True,
        ):
            with attempt:
                return await self._once(messages, model_settings, model_request_parameters)
        raise AssertionError("unreachable: the last attempt raises")

    async def _once(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> ModelResponse:
        """One attempt, on record whatever comes of it."""
        async with self._traffic.slots:
            while (pause := self._traffic.quiet_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            worst = None
            if self._limits.budget_usd is not None:
                worst = price(
                    self._name,
                    input_tokens=self._request.most_input_tokens,
                    output_tokens=self._request.max_output_tokens,
                )
            await self._limits.reserve(self._name, worst)
            self._context.under_way.set()
            began = time.perf_counter()
            response: ModelResponse | None = None
            error: Exception | None = None
            try:
                response = await self._sent(messages, settings, parameters)
                # What was asked for as `auto` is decided by what the model can do.
                _, decided = self.wrapped.prepare_request(settings, parameters)
                self._exchange.answers.append(_structured(response, decided.output_mode))
                if response.finish_reason == "length":
                    # The library would send half an answer back, and pay for another half.
                    raise OutputTokenLimitExceeded("cut off")
                return response
            except asyncio.CancelledError:
                error = NoAnswerError(self.model_name, "interrupted", "")
                raise
            except Exception as raised:
                error = raised
                raise
            finally:
                cost = self._count(response, began, error)
                await asyncio.shield(self._limits.settle(worst, cost))

    async def _sent(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> ModelResponse:
        traffic = self._traffic
        try:
            async with asyncio.timeout(traffic.timeout_s):
                return await self.wrapped.request(messages, settings, parameters)
        except TimeoutError:
            raise NoAnswerError(
                self.model_name,
                f"no answer within {traffic.timeout_s:g} s",
                "raise timeout_seconds under [llm] in egregora.toml, or try again",
            ) from None
        except ContentFilterError:
            raise
        except UnexpectedModelBehavior:
            raise NoAnswerError(
                self.model_name, "what its service sent is no answer", "check base_url under [llm] in egregora.toml"
            ) from None
        except ModelRateLimitError as error:
            if error.retry_after is not None:
                # For the others as well, who would only be told the same.
                asked = time.monotonic() + min(error.retry_after, LONGEST_WAIT_S)
                traffic.quiet_until = max(traffic.quiet_until, asked)
            raise

    def _count(self, response: ModelResponse | None, began: float, error: Exception | None) -> float | None:
        """Put the attempt on record, and give what it cost."""
        usage = None if response is None or response.usage.unmeasured_requests else response.usage
        if usage is not None:
            cost = price(self._name, usage)
        else:
            # A service that answers with an error, or isn't there, charges nothing. What one that said nothing charges
            # can't be known.
            free = isinstance(error, ModelHTTPError) or getattr(error, "phase", None) in ("pool", "connect")
            cost = 0.0 if free else None
        self._context.count_call(
            model=self._name,
            prompt_hash=self._request.key,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            cost_usd=cost,
            latency_ms=(time.perf_counter() - began) * 1000,
            error=in_words(error, self._name)[0] if error else None,
        )
        return cost


def _structured(response: ModelResponse, mode: str) -> str | None:
    """What an answer says in the form asked for (`tool`, else as its text), as JSON text, if it has that form."""
    if mode == "tool":
        return next((part.args_as_json_str() for part in response.parts if isinstance(part, ToolCallPart)), None)
    return next((part.content for part in response.parts if isinstance(part, TextPart)), None)
