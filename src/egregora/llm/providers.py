"""From a model's name to something that can be asked; what is missing for it is told with the line to type."""

from __future__ import annotations

import os
import re
from typing import Any

from pydantic import BaseModel
from pydantic_ai import NativeOutput
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider

from egregora.errors import ConfigError, ModelError

__all__ = ["form_of", "key_variable", "open_model"]

EXTRAS = ("anthropic", "bedrock", "cohere", "google", "groq", "huggingface", "mistral", "openai", "openrouter", "xai")
"""Extras of our package, of the same names as pydantic-ai's."""
_LOCAL_OLLAMA = "http://localhost:11434/v1"
_OPENAI = ("openai", "openai-chat")
_FORM = "Answer with one JSON object of this form, and with nothing else:\n\n{schema}"


def open_model(name: str, base_url: str) -> Model:
    """A model by its name.

    Args:
        name: `provider:model`; with `base_url` the model's name alone is enough.
        base_url: Address of a server that speaks OpenAI's protocol; it counts for models of `openai` and `ollama`.

    Raises:
        ConfigError: there is no such provider, or its package isn't installed.
        ModelError: there is no key for it.
    """
    provider, colon, model = name.partition(":")
    if not colon and base_url:
        provider, model = "openai", name
    try:
        if base_url and provider in _OPENAI:
            # Not the newer protocol of OpenAI's own service, which other servers don't speak.
            return infer_model(f"openai-chat:{model}", lambda _: _openai(base_url))
        if provider == "ollama":
            return infer_model(name, lambda _: _ollama(base_url))
        return infer_model(name, infer_provider)
    except ImportError:
        extra = _extra(provider)
        raise ConfigError(
            f"the model {name} needs a package that is not installed", hint=f"pip install 'pydantic-ai-slim[{extra}]'"
        ) from None
    except UserError as error:
        variable = re.search(r"`([A-Z][A-Z0-9_]*(?:KEY|TOKEN|URL))`", str(error))
        if variable:
            raise ModelError(
                f"there is no key for {provider}", hint=f"set the environment variable {variable[1]}"
            ) from None
        first = str(error).splitlines()[0]
        raise ConfigError(first[:1].lower() + first[1:], hint="correct model under [llm] in egregora.toml") from None


def form_of(output: type[BaseModel], name: str, base_url: str) -> Any:
    """How a model is asked for an answer of a form: by the provider's usual way, or, of a server on somebody's own
    machine, by a JSON schema that it holds the model to. Small models know nothing of tools, which is the usual way."""
    provider, colon, _ = name.partition(":")
    own = provider == "ollama" or (base_url and (provider in _OPENAI or not colon))
    return NativeOutput(output, template=_FORM) if own else output


def _openai(base_url: str) -> Provider[Any]:
    from pydantic_ai.providers.openai import OpenAIProvider

    # Servers on one's own machine mostly want no key, but the client insists on one.
    return OpenAIProvider(base_url=base_url, api_key=os.environ.get("OPENAI_API_KEY") or "none")


def _ollama(base_url: str) -> Provider[Any]:
    from pydantic_ai.providers.ollama import OllamaProvider

    return OllamaProvider(base_url=base_url or os.environ.get("OLLAMA_BASE_URL") or _LOCAL_OLLAMA)


def _extra(provider: str) -> str:
    """The extra of our package that brings a provider's."""
    if provider in EXTRAS:
        return provider
    return "google" if provider.startswith("google") else "openai"


def key_variable(name: str) -> str:
    """The environment variable that a model's key stands in."""
    provider = name.partition(":")[0] if ":" in name else "openai"
    known = {"google": "GOOGLE_API_KEY", "openai-chat": "OPENAI_API_KEY", "openai-responses": "OPENAI_API_KEY"}
    return known.get(provider, f"{provider.upper().replace('-', '_')}_API_KEY")
