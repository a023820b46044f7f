"""Enrich with what lies behind a link or in a picture: each is looked at once ever, in a child run of its own.

Pages are fetched, which needs no model. With one, it says in a sentence what a page is about or what a picture shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from egregora.database.ir_schema import DESCRIBED, ENRICHED, FETCHED
from egregora.errors import AnswerError
from egregora.pipeline.stage import Stage, StageContext
from egregora.stages.enrich import STAGE as ENRICH
from egregora.stages.enrich import enrich
from egregora.stages.enrich_fetch import FetchError, fetch
from egregora.stages.privacy import phone_region
from egregora.stages.privacy_names import Entity, NameIndex, clean

if TYPE_CHECKING:
    import ibis

__all__ = ["CONFIG_KEYS", "STAGE", "Describe", "enrich_described", "fetch_page"]

Describe = Callable[..., pa.Table]
"""A child of this stage: describes the page in a row of `FETCHED`, or the picture in a row with its `blob`."""

CONFIG_KEYS: Final = (*ENRICH.config_keys, "privacy.also_redact", "privacy.default_region", "parse.timezone")

_LONGEST: Final = 200
"""Characters of a description."""
_LONGEST_TITLE: Final = 120


def enrich_described(
    table: ibis.Table,
    config: Any,
    *,
    run_id: str,
    context: StageContext,
    describe_page: Describe | None = None,
    describe_picture: Describe | None = None,
    asked: Sequence[str] = (),
) -> pa.Table:
    """Find what `enrich` finds, fetch the pages that links lead to, and describe pages and pictures.

    Args:
        table: `MESSAGES` rows, any order.
        config: Reads what `enrich` reads, and `CONFIG_KEYS`.
        context: As for `enrich`. Gets a child for each page and each picture, and one for each description.
        describe_page, describe_picture: What describes them; without it a page's own description stands.
        asked: Dotted keys of the configuration that these read.

    Returns:
        `ENRICHED` rows, ordered by `thread_id` and `seq`.

    Raises:
        EgregoraError: a model gave no answer. What was described is kept.
    """
    rows = enrich(table, config, run_id=run_id, context=context).read_all()
    links, media = rows.column("links").combine_chunks(), rows.column("media").combine_chunks()
    work = _Work(context, config, asked)
    urls = pc.unique(links.flatten().field("url")).to_pylist() if config.enrich.fetch_links else []
    pages = work.pages(urls, describe_page) if urls else {}
    pictures: dict[str, str] = {}
    if describe_picture and config.enrich.describe_images:
        shown = pc.unique(media.field("thumbnail").drop_null()).to_pylist()
        pictures = work.pictures(shown, describe_picture)
    rows = _put(rows, "links", _linked(links, pages))
    return _put(rows, "media", _shown(media, pictures))


class _Work:
    """Does things once each, some at a time, and counts what came to nothing."""

    def __init__(self, context: StageContext, config: Any, asked: Sequence[str]) -> None:
        self._context = context
        self._config = config
        self._asked = tuple(asked)
        words = [word.get_secret_value() for word in config.privacy.also_redact]
        # What is out there was never redacted: it gets what the privacy stage does with texts of nobody it knows.
        self._index = NameIndex([Entity((word,), "[redacted]", "word") for word in words], phone_region(config))

    def pages(self, urls: Sequence[str], describe: Describe | None) -> dict[str, tuple[str, str]]:
        """Title and description of pages that could be fetched, by address; each may be empty."""
        context = self._context

        def job(url: str) -> Callable[[], pa.Table | None]:
            def fetched() -> pa.Table | None:
                label = f"page {_short(url)}"
                try:
                    row = pa.Table.from_pylist([{"url": url}])
                    page = context.child_result(label, fetch_page, row, config_keys=(), output=FETCHED)
                except FetchError:
                    return None
                return page if page.column("problem")[0].as_py() is None else None

            return fetched

        found = context.run_children([job(url) for url in urls], self._concurrency, unit="pages")
        pages = {url: page for url, page in zip(urls, found, strict=True) if page is not None}
        if len(pages) < len(urls):
            context.log(f"{len(urls) - len(pages)} of {len(urls)} links lead to no page that can be fetched", "warning")
        said = {url: page.column("description")[0].as_py() for url, page in pages.items()}
        if describe:
            of_page = {f"page {_short(url)} described": page for url, page in pages.items()}
            said = dict(zip(pages, self._described(of_page, describe), strict=True))
        return {
            url: (
                self._safe(page.column("title")[0].as_py(), _LONGEST_TITLE),
                self._safe(said[url] or page.column("description")[0].as_py(), _LONGEST),
            )
            for url, page in pages.items()
        }

    def pictures(self, blobs: Sequence[str], describe: Describe) -> dict[str, str]:
        """Descriptions of pictures, by the blob of the thumbnail that a model is shown."""
        tables = {f"picture {blob[:8]}": pa.Table.from_pylist([{"blob": blob}]) for blob in blobs}
        said = self._described(tables, describe)
        return {blob: self._safe(text, _LONGEST) for blob, text in zip(blobs, said, strict=True) if text}

    def _described(self, tables: Mapping[str, pa.Table], describe: Describe) -> list[str | None]:
        """What a model says of each; None where it says nothing that can be used."""

        def job(label: str, table: pa.Table) -> Callable[[], str | None]:
            def described() -> str | None:
                try:
                    made = self._context.child_result(label, describe, table, config_keys=self._asked, output=DESCRIBED)
                except AnswerError:
                    # Its row says why. What isn't described is shown as it would be without a model.
                    return None
                # There is no row where this is only rehearsed.
                said: str | None = made.column("description")[0].as_py() if made else None
                return said

            return described

        return self._context.run_children(
            [job(label, table) for label, table in tables.items()], self._concurrency, unit="descriptions"
        )

    @property
    def _concurrency(self) -> int:
        return int(self._config.llm.concurrency) if self._asked else _AT_ONCE

    def _safe(self, text: str, longest: int) -> str:
        line = " ".join(self._index.redact(clean(text), lambda kind: None).split())
        return line if len(line) <= longest else line[:longest].rpartition(" ")[0] + "…"


_ORDINARY: Final = 3000
"""Characters of text that a page has, about."""
_AT_ONCE: Final = 8
"""Pages that are fetched at a time."""


def fetch_page(table: pa.Table, config: Any, *, run_id: str, context: StageContext) -> pa.Table:
    """Fetch one page.

    Args:
        table: One row with its `url`.

    Returns:
        One row of `FETCHED`. What can never be fetched is a result too; what may be there next time raises.

    Raises:
        FetchError: it can't be had now.
    """
    url = table.column("url")[0].as_py()
    if context.rehearsed:
        # A page that isn't fetched yet is expected to have something to describe.
        page = {"title": "", "description": "", "text": " " * _ORDINARY, "problem": None}
        return pa.Table.from_pylist([page], schema=FETCHED.arrow())
    row: dict[str, Any] = {"title": "", "description": "", "text": "", "problem": None}
    try:
        row |= fetch(context.privacy_pass(), context, url)._asdict()
    except FetchError as error:
        if not error.lasting:
            raise
        context.log(f"not fetched: {error}", "warning")
        row["problem"] = str(error)
    return pa.Table.from_pylist([row], schema=FETCHED.arrow())


def _short(url: str) -> str:
    """A name for a link that says where it leads, but not what in it."""
    return f"{url.split('/')[2][:40]} {hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _linked(links: pa.Array, pages: Mapping[str, tuple[str, str]]) -> pa.Array:
    """The links with what is known of their pages."""
    if not pages:
        return links
    flat = links.flatten().to_pylist()
    for link in flat:
        title, description = pages.get(link["url"], ("", ""))
        link["title"] = title or link["title"]
        link["description"] = description or None
    return pa.ListArray.from_arrays(links.offsets, pa.array(flat, links.type.value_type), type=links.type)


def _shown(media: pa.Array, pictures: Mapping[str, str]) -> pa.Array:
    if not pictures:
        return media
    rows = media.to_pylist()
    for row in rows:
        if row and row["thumbnail"]:
            row["description"] = pictures.get(row["thumbnail"])
    return pa.array(rows, media.type)


def _put(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(place), values)


STAGE = Stage(
    name="enrich",
    func=enrich_described,
    output=ENRICHED,
    config_keys=CONFIG_KEYS,
    distributions=ENRICH.distributions,
)
