"""What is sent to a model, and its identity."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Request", "estimated_tokens"]

BYTES_A_TOKEN = 4
"""A rough rule for English prose in UTF-8. Other languages have more tokens for a letter, but more bytes as well."""
IMAGE_TOKENS, LARGEST_IMAGE_TOKENS = 1_600, 6_000
"""What a picture counts for: of ordinary size, and at most with any provider."""
FRAME_TOKENS = 1_000
"""More than providers add to a question for its form."""


def estimated_tokens(text: str) -> int:
    """How many tokens a text has, roughly: within a third of the truth for prose."""
    return -(-len(text.encode(errors="replace")) // BYTES_A_TOKEN)


@functools.cache
def _schema(output: type[BaseModel]) -> tuple[dict[str, Any], str]:
    """The JSON schema of a form, and its text."""
    schema = output.model_json_schema()
    return schema, json.dumps(schema)


@dataclass(frozen=True)
class Request:
    """One question to a model.

    Attributes:
        model: Its name as configured, e.g. `openai:gpt-5-mini`.
        instructions: What it is to do.
        prompt: What it is to do it with.
        images: Pictures that go along: the bytes of JPEG, PNG or WebP files.
        output: The form of the answer.
        temperature, max_output_tokens: As configured.
    """

    model: str
    instructions: str
    prompt: str
    images: tuple[bytes, ...]
    output: type[BaseModel]
    temperature: float | None
    max_output_tokens: int

    def sent(self) -> dict[str, Any]:
        """All that makes this question what it is, as JSON-like values; pictures by their hash."""
        return {
            "model": self.model,
            "instructions": self.instructions,
            "prompt": self.prompt,
            "images": [hashlib.sha256(image).hexdigest() for image in self.images],
            "schema": _schema(self.output)[0],
            "temperature": self.temperature,
            "max_output_tokens": self.max_output_tokens,
        }

    @functools.cached_property
    def key(self) -> str:
        """Its identity: 64 hex digits."""
        return hashlib.sha256(
            json.dumps(self.sent(), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        ).hexdigest()

    @property
    def schema_text(self) -> str:
        """The form of the answer as it is sent."""
        return _schema(self.output)[1]

    @property
    def input_tokens(self) -> int:
        """How many tokens it has, roughly."""
        texts = (self.instructions, self.prompt, self.schema_text)
        return sum(map(estimated_tokens, texts)) + IMAGE_TOKENS * len(self.images)

    @property
    def most_input_tokens(self) -> int:
        """How many tokens it can't have more than: a token is at least a byte. An answer that goes back comes along."""
        texts = (self.instructions, self.prompt, self.schema_text)
        size = sum(len(text.encode(errors="replace")) for text in texts) + FRAME_TOKENS
        return size + self.max_output_tokens + LARGEST_IMAGE_TOKENS * len(self.images)
