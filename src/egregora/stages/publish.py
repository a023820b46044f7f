"""publish: ranked posts become the files of a static site.

The site holds no event ids: which messages a block `#b<n>` of a post rests on stands in `posts.sources[n]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from egregora.database.ir_schema import PAGES
from egregora.errors import StorageError
from egregora.pipeline.stage import Stage
from egregora.site.markup import Picture, blobs_named
from egregora.site.model import Portrait, Voice, gather
from egregora.site.render import SiteSettings, render_site
from egregora.site.words import words_for

__all__ = ["STAGE", "publish"]

_USED = (
    *("post_id", "title", "standfirst", "body", "tags", "people", "language", "first_ts", "last_ts"),
    *("related", "signals", "rank", "why", "writer"),
)


def publish(
    table: Any, config: Any, *, run_id: str, context: Any, portraits: Mapping[str, Portrait] | None = None
) -> pa.Table:
    """Render the site.

    Args:
        table: `RANKED` posts, any order.
        config: `site`, `publish` and `parse.timezone`.
        run_id: Not used: a page doesn't depend on when it was made.
        context: Keeps the files; `context.inputs["messages"]` is the `ENRICHED` table.
        portraits: What stands on people's pages, by alias.

    Returns:
        `PAGES`, one row a file, ordered by path.

    Raises:
        ConfigError: `site.base_url` can't be used.
        StorageError: a picture's bytes are missing or damaged.
    """
    settings = SiteSettings.checked(
        title=config.site.title,
        description=config.site.description,
        language=config.site.language,
        base_url=config.site.base_url,
        tenant=config.site.tenant,
        best_of=config.publish.best_of,
    )
    messages = context.inputs["messages"]
    rows = table.select(*_USED).to_pyarrow().to_pylist()
    group = gather(
        rows,
        _voices(messages),
        words=words_for(settings.language),
        language=settings.language,
        timezone=config.parse.timezone,
        portraits=portraits or {},
    )
    files: list[tuple[str, str, int, str]] = []
    pictures: dict[str, Picture] = {}
    if config.publish.media:
        named = dict.fromkeys(blob for row in rows for blob in blobs_named(row["body"]))
        sizes = _sizes(messages)
        for blob in named:
            data = context.get_blob(blob)
            # Through put_blob like every other file, which also shows that the bytes are those that the name promises.
            if context.put_blob(data, blob.rpartition(".")[2]) != blob:
                raise StorageError(
                    f"the file {blob[:12]}… in the site's blobs is damaged", hint="run again with --force enrich"
                )
            files.append((f"media/{blob}", blob, len(data), "media"))
            pictures[blob] = Picture(blob, *sizes.get(blob, (None, None)))
    for file in render_site(group, settings, pictures):
        blob = context.put_blob(file.data, file.path.rpartition(".")[2])
        files.append((file.path, blob, len(file.data), file.kind))
        if len(files) % 50 == 0:
            context.progress(len(files), unit="files")
    context.progress(len(files), unit="files")
    files.sort()
    context.profile("pages", sum(kind == "page" for *_, kind in files))
    context.profile("bytes", sum(size for _, _, size, _ in files))
    columns = zip(*files, strict=True)
    return pa.table({name: pa.array(column) for name, column in zip(PAGES.names, columns, strict=True)})


def _voices(messages: Any) -> list[Voice]:
    """How much each alias wrote, and when first and last. Counted where the messages are, not here."""
    written = messages.filter(messages["alias"].notnull() & (messages["kind"] != "deleted"))
    counted = written.group_by("alias").aggregate(
        messages=written.count(), first=written["ts"].min(), last=written["ts"].max()
    )
    return [Voice(**row) for row in counted.order_by("alias").to_pyarrow().to_pylist()]


def _sizes(messages: Any) -> dict[str, tuple[int | None, int | None]]:
    """Width and height of each picture in pixels, by blob id."""
    media = messages["media"]
    sized = messages.filter(media.notnull()).select(blob=media["blob"], width=media["width"], height=media["height"])
    rows = sized.distinct().to_pyarrow().to_pylist()
    return {row["blob"]: (row["width"], row["height"]) for row in rows if row["blob"]}


STAGE = Stage(
    name="publish",
    func=publish,
    output=PAGES,
    config_keys=("site", "publish", "parse.timezone"),
    distributions=("jinja2", "markdown-it-py", "nh3"),
)
