"""What a stage is: a name, a pure function from tables to a table, what it reads, and what it may ask for.

A stage function is called as `func(input_table, config, run_id=run_id)`, and with `context=` too if it has a parameter
of that name. It returns an `ibis.Table`, a `pyarrow.Table` or a `pyarrow.RecordBatchReader` (which is streamed, so its
rows need never be in memory together). It knows nothing of runs, fingerprints or checkpoints.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egregora.errors import BlobError, PrivacyError

if TYPE_CHECKING:
    from egregora.database.columns import TableSpec

__all__ = ["Files", "PrivacyPass", "Stage", "StageContext"]


@dataclass(frozen=True)
class Files:
    """Files or folders as a stage's input; their identity is their bytes, never their names."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class PrivacyPass:
    """Proof that what a function is about to send went through the privacy stage.

    Only the runner issues one, from a completed privacy run, executed or hit.
    """

    run_id: str
    tenant_id: str


@dataclass(frozen=True)
class Stage:
    """A stage as data.

    Attributes:
        name: As it stands in `runs`.
        func: The function; see the module's docstring.
        output: The declared table that the result is cast to; None: it is kept as it is.
        config_keys: Dotted keys of the configuration that the function may read; it sees no others.
        distributions: Installed packages whose versions count as code.
    """

    name: str
    func: Callable[..., Any]
    output: TableSpec | None
    config_keys: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()


@dataclass
class StageContext:
    """What a stage may ask of whoever runs it. This one records nothing: it is for calling a stage by hand.

    Attributes:
        directory: The folder that holds `blobs/`.
        tenant_id: The site.
        inputs: Further inputs by name, tables or `Files`.
        rows_out: Rows that a child made; set it inside `with context.child(…)`.
    """

    directory: Path
    tenant_id: str = "default"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    rows_out: int | None = None
    blobs: dict[str, int] = field(default_factory=dict)

    def log(self, message: str, level: str = "info") -> None:
        """Record a line (`info` or `warning`). Before the privacy stage it must hold no text of the chat."""

    def profile(self, name: str, value: float) -> None:
        """Record a figure of the result; a later one of that name replaces it. The name holds no text of the chat.

        What figures mean, and which are compared with the runs before, is declared in `pipeline/profile.py`.
        """

    def mark(self, name: str, text: str, value: float) -> None:
        """Say that the result looks wrong although nothing failed, once for each figure.

        Args:
            name: The figure.
            text: One sentence with the figure in it. It holds no text of the chat.
            value: The figure.
        """

    def progress(self, done: int, total: int | None = None, unit: str = "messages") -> None:
        """Say how far the work is. Cheap enough to be called for every thousand messages or every window."""

    def count_call(
        self,
        *,
        model: str,
        prompt_hash: str,
        input_tokens: int | None,
        output_tokens: int | None,
        cost_usd: float | None,
        latency_ms: float,
        error: str | None = None,
    ) -> None:
        """Record one attempt at a model call, failed ones too. `cost_usd` is None where the price is unknown."""

    @contextmanager
    def child(self, label: str, rows_in: int | None = None) -> Iterator[StageContext]:
        """A run of its own below this one, for one window or pair. `label` names it; it holds no text of the chat."""
        yield StageContext(self.directory, self.tenant_id, blobs=self.blobs)

    def privacy_pass(self) -> PrivacyPass:
        """The pass that every function that sends something takes.

        Raises:
            PrivacyError: no input of this stage descends from a completed privacy run.
        """
        raise PrivacyError(
            "this stage's input did not go through the privacy stage",
            hint="run it on the privacy stage's output, through run_stage_with_tracking",
        )

    def put_blob(self, data: bytes, extension: str) -> str:
        """Keep bytes under their hash and return the blob id, `<sha256>.<extension>`. The same bytes are kept once."""
        blob = f"{hashlib.sha256(data).hexdigest()}.{extension}"
        path = self.blob_path(blob)
        if not (path.exists() and path.stat().st_size == len(data)):
            temporary = path.with_name(f".new-{os.getpid()}-{threading.get_ident()}")
            try:
                temporary.write_bytes(data)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(data)
            temporary.replace(path)
        self.blobs[blob] = len(data)
        return blob

    def blob_path(self, blob: str) -> Path:
        """Where a blob's bytes lie."""
        return self.directory / "blobs" / blob

    def get_blob(self, blob: str) -> bytes:
        """A blob's bytes.

        Raises:
            BlobError: it is not there.
        """
        try:
            return self.blob_path(blob).read_bytes()
        except FileNotFoundError as error:
            raise BlobError(
                f"the file {blob[:12]}… is missing from the site's blobs", hint="run again with --force enrich"
            ) from error
