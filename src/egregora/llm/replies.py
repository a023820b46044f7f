"""Questions with their answers on record, in the site: a run can be repeated from them without a network."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from egregora.errors import AnswerError, EgregoraError, StorageError

if TYPE_CHECKING:
    from egregora.llm.request import Request

__all__ = ["Exchange", "Replies"]

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass
class Exchange:
    """What came back of one question.

    Attributes:
        answers: What the model said, as JSON text, one for each time that it was asked; None for what had not the form.
        ended: Why none of it could be used, and what to do about it; None if the last could.
    """

    answers: list[str | None] = field(default_factory=list)
    ended: tuple[str, str] | None = None


class Replies:
    """The folder of exchanges: one file for each question, named by its key. Nobody's name is in it, no key either."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, request: Request, exchange: Exchange) -> None:
        """Put an exchange on record, in the place of an earlier one of the same question.

        Raises:
            StorageError: it can't be written.
        """
        text = json.dumps(
            {"sent": request.sent(), "answers": exchange.answers, "ended": exchange.ended}, ensure_ascii=False, indent=1
        )
        path = self._folder / f"{request.key}.json"
        temporary = path.with_name(f".new-{os.getpid()}-{request.key}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_text(text, encoding="utf-8", errors="replace")
            temporary.chmod(0o600)
            temporary.replace(path)
        except OSError as error:
            raise StorageError(
                f"an answer can't be put on record ({error.strerror})", hint="free some space, or check permissions"
            ) from None

    def answer(self, request: Request, check: Callable[[Answer], None] | None) -> Answer:
        """What the model answered to this question when it was put on record.

        Raises:
            AnswerError: it gave nothing that could be used.
            EgregoraError: the question isn't on record, or can't be read there.
        """
        found = self._read(request)
        for said in found.answers:
            try:
                answer: Any = request.output.model_validate_json(said or "")
                if check is not None:
                    check(answer)
            except (ValidationError, ValueError):
                continue
            return answer  # type: ignore[no-any-return]
        if found.ended is None:
            raise _not_on_record(request, "what is on record for it can't be used any more")
        raise AnswerError(found.ended[0], hint=found.ended[1])

    def _read(self, request: Request) -> Exchange:
        path = self._folder / f"{request.key}.json"
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            ended = held["ended"]
            return Exchange(list(held["answers"]), (str(ended[0]), str(ended[1])) if ended else None)
        except FileNotFoundError:
            raise _not_on_record(request, "its answer is not on record") from None
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            raise _not_on_record(request, f"its record {request.key[:12]}… can't be read") from None


def _not_on_record(request: Request, why: str) -> EgregoraError:
    return EgregoraError(
        f"a question to {request.model} can't be answered without a network: {why}",
        hint='write once with replay = "record" under [llm] in egregora.toml, then with "replay"',
    )
