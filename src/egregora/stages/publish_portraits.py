"""Publish with a model: on the page of who wrote enough, a portrait from that person's own messages.

Each portrait is a child run. It is made of the first messages of a person, as many as one step of a scale by half has,
so it is written anew when somebody has written half as much again, not with every message. Who opted out has no
messages here, and so no portrait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from egregora.database.ir_schema import DRAFTS, PAGES
from egregora.database.sql import literal
from egregora.errors import AnswerError
from egregora.pipeline.fingerprint import as_sql
from egregora.pipeline.stage import Stage, StageContext
from egregora.site.model import Portrait
from egregora.stages.privacy import phone_region
from egregora.stages.publish import STAGE as PUBLISH
from egregora.stages.publish import publish
from egregora.stages.writers import portrait
from egregora.stages.writers.phrases import language
from egregora.stages.writers.rendered import Rendering
from egregora.stages.writers.transcript import TRANSCRIBED

__all__ = ["STAGE", "publish_portraits", "step"]

_SAMPLED: Final = 240
"""Messages of a person that a model reads: those with the lowest hash, so that they are of all times."""


def step(count: int, least: int) -> int:
    """The largest step of a scale that begins at `least` and grows by half that is not above `count`."""
    found = least
    while (larger := max(found * 3 // 2, found + 1)) <= count:
        found = larger
    return found


def publish_portraits(table: Any, config: Any, *, run_id: str, context: StageContext) -> Any:
    """Render the site, with portraits.

    Args:
        table: `RANKED` posts, any order.
        config: Reads what `publish` reads, and `portrait.CONFIG_KEYS`.
        context: `inputs["messages"]` is the `ENRICHED` table. Gets one child run for each portrait.

    Returns:
        `PAGES`, one row a file, ordered by path.

    Raises:
        EgregoraError: a portrait could not be written. Those that were are kept.
    """
    people = _messages(context.inputs["messages"], config.publish.portraits, config.parse.timezone)
    missing: list[str] = []

    def job(alias: str, rows: pa.Table) -> Callable[[], pa.Table | None]:
        def written() -> pa.Table | None:
            try:
                return context.child_result(
                    f"portrait of {alias}",
                    portrait.write_portrait,
                    rows,
                    config_keys=portrait.CONFIG_KEYS,
                    output=DRAFTS,
                )
            except AnswerError:
                # Its row says why. A page without a portrait is a page.
                missing.append(alias)
                return None

        return written

    jobs = [job(alias, rows) for alias, rows in people.items()]
    answers = context.run_children(jobs, config.llm.concurrency, unit="portraits")
    portraits: dict[str, Portrait] = {}
    spoken = config.write.language or config.site.language
    words, region = language(config.site.language), phone_region(config)
    for (alias, rows), answer in zip(people.items(), answers, strict=True):
        # There is no row where this is only rehearsed.
        paragraphs = answer.column("paragraphs")[0].as_py() if answer else []
        if paragraphs:
            blocks = Rendering(rows, words, region).blocks(paragraphs)
            body = "\n\n".join(block.markdown for block in blocks)
            portraits[alias] = Portrait(body, spoken, config.llm.model, len(rows))
        elif alias not in missing:
            missing.append(alias)
    if missing:
        context.log(
            f"{len(missing)} of {len(people)} portraits left out: the model gave none that rests on messages", "warning"
        )
    return publish(table, config, run_id=run_id, context=context, portraits=portraits)


def _messages(messages: Any, least: int, timezone: str) -> Mapping[str, pa.Table]:
    """The messages that portraits are made of, by alias."""
    con, query = as_sql(messages)
    spoken = "alias IS NOT NULL AND kind IN ('text', 'media', 'poll') AND length(text) > 0"
    counts = con.execute(
        f"SELECT alias, count(*) FROM ({query}) WHERE {spoken} GROUP BY alias HAVING count(*) >= {least} ORDER BY alias"
    ).fetchall()
    if not counts:
        return {}
    firsts = ", ".join(f"({literal(alias)}, {step(count, least)})" for alias, count in counts)
    rows = con.execute(
        f"""
        WITH told AS (
            SELECT m.*, firsts.many, row_number() OVER (PARTITION BY alias ORDER BY ts, thread_id, seq) AS nth
            FROM ({query}) AS m JOIN (VALUES {firsts}) AS firsts(alias, many) USING (alias) WHERE {spoken}
        ), sampled AS (
            SELECT *, row_number() OVER (PARTITION BY alias ORDER BY md5(event_id)) AS drawn FROM told WHERE nth <= many
        )
        SELECT row_number() OVER (PARTITION BY alias ORDER BY nth) - 1 AS "row", event_id,
            epoch(ts AT TIME ZONE 'UTC' AT TIME ZONE {literal(timezone)})::BIGINT AS wall, alias, kind, text,
            -1::BIGINT AS reply, CASE WHEN len(links) > 0 THEN links END AS links, media,
            CASE WHEN kind = 'poll' THEN attrs END AS poll
        FROM sampled WHERE drawn <= {_SAMPLED} ORDER BY alias, nth
        """
    ).to_arrow_table()
    return {alias: rows.filter(pc.equal(rows.column("alias"), alias)).select(TRANSCRIBED) for alias, _ in counts}


STAGE = Stage(
    name="publish",
    func=publish_portraits,
    output=PAGES,
    config_keys=(*PUBLISH.config_keys, "privacy.default_region", *portrait.CONFIG_KEYS),
    distributions=PUBLISH.distributions,
)
