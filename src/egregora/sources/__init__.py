"""What a source is, and which sources there are.

A source knows how one platform's export becomes message rows. Another installed package adds one by an entry point:

    [project.entry-points."egregora.sources"]
    carrier-pigeon = "pigeon_egregora:SOURCE"

where `SOURCE` is an instance of `Source`. Nothing else is needed: `egregora sources` lists it, `parse.source = "auto"`
asks it, and `parse` merges, numbers and stores what it yields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from egregora.errors import ConfigError, ExportError

if TYPE_CHECKING:
    import pyarrow as pa

    from egregora.config import ParseConfig
    from egregora.sources.archive import Archive

__all__ = ["Reading", "Source", "choose_source", "known_sources"]

ENTRY_POINTS = "egregora.sources"


@dataclass(frozen=True)
class Reading:
    """One export, understood and ready to be read.

    Attributes:
        title: The chat's title as the export gives it, or None.
        decided: What was found out about the format, by name, for people to check. Holds no text of the chat.
        batches: The messages in the export's order, as record batches with the columns `ts` (timestamp[us], UTC),
            `author_raw` (NULL for a notice), `kind`, `text`, `attachment`, `media_type`, `edited` and `attrs` of
            `RAW_MESSAGES`, strings plain or dictionary-encoded. A `{"member": [0, n]}` in `attrs` names the n-th member
            of the archive. Can be gone through once.
        counts: Filled in while `batches` is read: lines by what became of them (`headers`, `continuations`, `before
            the first message`, …). Holds no text of the chat.
        decision: The source's own record of what was decided, for whoever knows the source.
    """

    title: str | None
    decided: dict[str, str]
    batches: Iterator[pa.RecordBatch]
    counts: dict[str, int]
    decision: object = None


@dataclass(frozen=True)
class Source:
    """A platform whose exports can be read.

    Attributes:
        name: What `parse.source` and the `source` column say, e.g. `whatsapp`.
        title: What people call it.
        detect: How likely it is that the opened export is this platform's: 0 (no) to 1 (certainly). Must not raise
            for somebody else's export.
        read: Opens the messages of an export, by `[parse]` of the configuration.
    """

    name: str
    title: str
    detect: Callable[[Archive], float]
    read: Callable[[Archive, ParseConfig], Reading]


def known_sources() -> dict[str, Source]:
    """The installed sources by name, in the order of their names.

    Raises:
        ConfigError: an installed package declares a source that can't be loaded.
    """
    found: dict[str, Source] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            source = entry.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"the source '{entry.name}' is installed but can't be loaded: {error}",
                hint=f"update or uninstall the package that declares '{entry.value}'",
            ) from error
        if not isinstance(source, Source):
            raise ConfigError(
                f"'{entry.value}', declared as the source '{entry.name}', is no egregora.sources.Source",
                hint="update or uninstall the package that declares it",
            )
        found[source.name] = source
    return found


def choose_source(archive: Archive, name: str, sources: Mapping[str, Source] | None = None) -> Source:
    """The source called `name`, or for `auto` the one that knows the export's content.

    Args:
        archive: The opened export.
        name: What `parse.source` says.
        sources: What to choose from. None: the installed sources.

    Raises:
        ConfigError: there is no source of that name.
        ExportError: no source knows the content.
    """
    sources = known_sources() if sources is None else sources
    names = ", ".join(sources) or "none"
    if name != "auto":
        if name not in sources:
            raise ConfigError(f"unknown source '{name}'", hint=f"known sources: auto, {names}")
        return sources[name]
    scores = {known: source.detect(archive) for known, source in sources.items()}
    best = max(scores, key=lambda known: scores[known], default="")
    if not best or scores[best] <= 0:
        raise ExportError(
            "no chat in it: none of the known sources recognises its content",
            hint=f"give the file as the app exported it (known sources: {names})",
        )
    return sources[best]
