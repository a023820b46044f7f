"""What went wrong with a model, in plain words, and what to do about it. Never a key, never text of an answer."""

from __future__ import annotations

import os
import re

from pydantic_ai import exceptions as ai

from egregora.llm.providers import key_variable

__all__ = ["in_words"]

_LONGEST = 200
_SHORTEST_KEY = 4


def in_words(error: BaseException, name: str) -> tuple[str, str]:
    """What went wrong, and what to do about it; the latter may be empty.

    Args:
        error: What pydantic-ai raised.
        name: The model, as configured.
    """
    if isinstance(error, ai.FallbackExceptionGroup):
        said = [in_words(one, getattr(one, "model_name", name)) for one in error.exceptions]
        return "; ".join(text for text, _ in said), next((hint for _, hint in said if hint), "")
    if isinstance(error, ai.ContentFilterError):
        return f"{name} refused: its provider's content filter stopped the answer", "try another model"
    if isinstance(error, ai.OutputTokenLimitExceeded):
        return f"the answer of {name} was cut off", "raise max_output_tokens under [llm] in egregora.toml"
    if isinstance(error, ai.UnexpectedModelBehavior):
        return f"{name} gave no answer in the form asked for, twice", "try again, or another model"
    if isinstance(error, ai.ModelAPIError):
        return _of_service(error, name)
    return f"{name} failed: {type(error).__qualname__}", "try again"


def _of_service(error: ai.ModelAPIError, name: str) -> tuple[str, str]:
    status = getattr(error, "status_code", None)
    code = f" ({status})" if status else ""
    if isinstance(error, ai.ModelAuthenticationError):
        # What services say here may hold the key.
        return f"the key for {name} was refused{code}", f"set the environment variable {key_variable(name)}"
    if isinstance(error, ai.ModelQuotaExceededError):
        return f"the account of {name} has no credit left{code}", "look at your account with the provider"
    if isinstance(error, ai.ModelRateLimitError):
        return f"{name} is asked too often{code}", "lower concurrency under [llm] in egregora.toml, or try again later"
    if isinstance(error, ai.ModelUnavailableError):
        return f"{name} is busy or down{code}", "try again later"
    if isinstance(error, ai.ModelServerError):
        return f"the service of {name} failed{code}", "try again later"
    if isinstance(error, ai.ModelContextWindowExceededError):
        return f"the question is too long for {name}{code}", "lower context_tokens under [llm] in egregora.toml"
    if isinstance(error, ai.ModelNotFoundError):
        return f"the service knows no model {name}{code}", "correct model or base_url under [llm] in egregora.toml"
    if isinstance(error, ai.ModelConnectionError):
        return f"{name} can't be reached", "check the network, and base_url under [llm] in egregora.toml"
    if isinstance(error, ai.ModelHTTPError):
        return f"{name} refused the question{code}{_said(error)}", "check [llm] in egregora.toml"
    # Our own words, which come with what to do.
    return f"{name}: {error.message}", getattr(error, "hint", "")


def _said(error: ai.ModelHTTPError) -> str:
    """What the service said about it, shortened, without anything that looks like a key."""
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, str) or not message.strip():
        return ""
    plain = " ".join(message.split())
    for variable, value in os.environ.items():
        # A key of any length and form; services mostly quote it whole.
        if variable.endswith(("KEY", "TOKEN")) and len(value) >= _SHORTEST_KEY:
            plain = plain.replace(value, "[…]")
    plain = re.sub(r"[A-Za-z0-9_\-*.]{20,}", "[…]", plain)
    return f": {plain[:_LONGEST]}"
