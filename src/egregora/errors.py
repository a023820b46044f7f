"""The one error tree: what a user can act on, each with the next thing to type or change.

A class exists only where some caller catches it. A bug stays a `TypeError` or an `AssertionError` and crashes.
"""

from __future__ import annotations

import re

__all__ = [
    "AnswerError",
    "BudgetError",
    "CatalogBusyError",
    "ConfigError",
    "EgregoraError",
    "ExportError",
    "ModelError",
    "PrivacyError",
    "RunLookupError",
    "SchemaError",
    "StorageError",
    "commands_in",
]


class EgregoraError(Exception):
    """Something the user can act on. `hint` is the next thing to type or change.

    The message never holds text of a chat: before the privacy stage nobody's name is known, so what goes wrong there
    is told by line number and kind.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(EgregoraError):
    """A setting is unknown or has a value that can't be used."""


class ExportError(EgregoraError):
    """An export can't be read: missing, damaged, protected, hostile, or no chat."""


class ModelError(EgregoraError):
    """A model gave no answer: it can't be reached, refuses the key, is overloaded, or took too long."""


class AnswerError(ModelError):
    """A model answered, but not with anything that can be used: nonsense, a refusal, half of it."""


class BudgetError(EgregoraError):
    """The next call to a model could pass the limit that was set on calls or cost, so it was not made."""


class PrivacyError(EgregoraError):
    """Something that leaves the machine did not go through the privacy stage, or would still give somebody away."""


class RunLookupError(EgregoraError):
    """A run id is unknown or ambiguous. `candidates` are the nearest, or the matching, run ids."""

    def __init__(self, message: str, *, hint: str = "", candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.candidates = candidates


class SchemaError(EgregoraError):
    """A table lacks a column, or holds a type that a checkpoint can't keep."""


class StorageError(EgregoraError):
    """The site folder, its catalog or a checkpoint can't be read or written."""


class CatalogBusyError(StorageError):
    """Somebody else holds the catalog just now. Whoever only wants to record a run goes on without it."""


class BlobError(StorageError):
    """A file that an earlier run kept is missing or damaged: the stages that make such files have to run again."""


_COMMAND = re.compile(r"egregora(?: (?:'[^']*'|[A-Za-z0-9_./=~\-]+))+")


def commands_in(text: str) -> list[str]:
    """The commands that a hint tells to type."""
    return [found.rstrip(".") for found in _COMMAND.findall(text)]
