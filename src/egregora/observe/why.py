"""From a page, a post or a sentence back to its messages, and to the runs, the model and the export behind them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from egregora.database.sql import literal
from egregora.errors import RunLookupError, StorageError
from egregora.observe.lineage import ancestors
from egregora.observe.profiles import maker_of
from egregora.observe.runs import Row, find_run, run_prefixes, runs_by_ids, select_runs
from egregora.pipeline.fingerprint import canonical_config, dotted_settings

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from egregora.database.storage import StorageManager

__all__ = ["Asked", "Block", "Message", "Origins", "PostLine", "Why", "why"]

POST_STAGES = ("rank", "write")
"""Stages whose results are posts, the latest first."""
LISTED = 200
"""Posts of a tag or a person that are given."""


@dataclass(frozen=True)
class Message:
    """A message that something rests on; its time is that of the chat's timezone."""

    event_id: str
    ts: datetime
    alias: str | None
    kind: str
    text: str


@dataclass(frozen=True)
class Block:
    """A block of a post, numbered from 1 as in `#b1`: its text without Markdown, and the ids of its messages."""

    number: int
    text: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class PostLine:
    """A post in a list."""

    post_id: str
    title: str


@dataclass(frozen=True)
class Asked:
    """What a model was asked, summed over attempts."""

    model: str
    calls: int
    failed: int
    tokens: int | None
    cost_usd: float | None
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Origins:
    """The runs behind posts.

    Attributes:
        posts: The run whose result was read.
        writer: The write run that executed.
        children: Those of its children that wrote the window, executed ones.
        asked: The models that were asked for it.
        settings: What the writer read, by dotted key, where it isn't the default.
        upstream: Runs from parse to the writer, as they executed, oldest first.
        readers: Runs that made pages of the posts, newest first.
        prefixes: Beginnings of all their ids, as they can be typed.
    """

    posts: Row
    writer: Row
    children: list[Row]
    asked: list[Asked]
    settings: dict[str, str]
    upstream: list[Row]
    readers: list[Row]
    prefixes: dict[str, str]


@dataclass(frozen=True)
class Why:
    """Where something on the site comes from.

    Attributes:
        kind: `post`, `person`, `tag`, `file`, `message` or `page`.
        title: What it is called.
        path: Its page below the site's folder, if it has one.
        zone: In which the times of messages are.
        post: Its row without the body; of a post only.
        block: The block that was meant; None for the whole post.
        blocks: The post's blocks.
        messages: What the block rests on; of a whole post nothing; of a file or a sentence those that hold it.
        posts: Other posts that it is in; of a person, tag or page, the posts that it rests on, newest first.
        total: How many posts there are of these.
        window_messages: Messages in the post's window; None if that isn't known.
        origins: The runs behind it.
        next: The command to type next.
    """

    kind: str
    title: str
    path: str | None
    zone: str
    origins: Origins
    next: str
    post: dict[str, Any] | None = None
    block: Block | None = None
    blocks: list[Block] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    posts: list[PostLine] = field(default_factory=list)
    total: int = 0
    window_messages: int | None = None


def why(storage: StorageManager, wanted: str, *, run: str | None = None) -> Why:
    """Find where something on the site comes from.

    Args:
        storage: The site's records.
        wanted: The path or the address of a page, with or without `#b3`; a post's id or title; a message's id or its
            beginning; or a sentence.
        run: A run whose posts are meant, see `find_run`; None: the newest.

    Raises:
        RunLookupError: nothing on the site is meant by that, or there is no such run.
        StorageError: the records, or the rows of the posts, can't be read.
    """
    with storage.reading() as con:
        posts_run = _posts_run(con, run)
        chain = _chain(con, posts_run)
    posts, messages = _checkpoint(storage, posts_run), _checkpoint(storage, chain["enrich"])
    import duckdb

    with duckdb.connect(config={"threads": 2}) as tables:
        tables.execute(f"CREATE VIEW posts AS FROM read_parquet({literal(posts)}, hive_partitioning = false)")
        tables.execute(f"CREATE VIEW messages AS FROM read_parquet({literal(messages)}, hive_partitioning = false)")
        found = _Search(tables, wanted).find()
        window = found.get("post", {}).get("window")
        with storage.reading() as con:
            origins, zone = _origins(con, posts_run, chain, window)
        return _answer(tables, found, origins, zone)


# -- which runs -------------------------------------------------------------------------------------------------------


def _posts_run(con: duckdb.DuckDBPyConnection, run: str | None) -> Row:
    """The run whose result holds the posts."""
    if run is None:
        for stage in POST_STAGES:
            rows = select_runs(
                con,
                f"FROM runs WHERE stage = {literal(stage)} AND status = 'completed' AND parent_run_id IS NULL "
                "AND source IN ('executed', 'checkpoint') ORDER BY started_at DESC LIMIT 1",
            )
            if rows:
                return rows[0]
        if con.execute("FROM runs SELECT 1 LIMIT 1").fetchone():
            # A pipeline of somebody's own, or the writing failed.
            raise RunLookupError("no posts yet", hint="how a run came out is told by: egregora runs explain last")
        raise RunLookupError("no posts yet", hint="write some with: egregora write EXPORT")
    row = find_run(con, run)
    if row["parent_run_id"] is not None:
        row = runs_by_ids(con, [row["parent_run_id"]])[0]
    found = next((one for one in _up(con, row) if one["stage"] in POST_STAGES), None)
    if found is None or found["status"] != "completed":
        raise RunLookupError(
            f"the run {row['run_id'][:8]} ({row['stage']}, {row['status']}) has no posts",
            hint="give a completed run of write, rank or publish; see them with: egregora runs tail",
        )
    return found


def _up(con: duckdb.DuckDBPyConnection, row: Row) -> list[Row]:
    """A run and all that went into it, newest first."""
    runs = ancestors(con, [row["run_id"]]).runs.values()
    return [
        row,
        *sorted((r for r in runs if r["run_id"] != row["run_id"]), key=lambda r: r["started_at"], reverse=True),
    ]


def _chain(con: duckdb.DuckDBPyConnection, posts_run: Row) -> dict[str, Row]:
    """The runs that the posts came from, by stage, the nearest of each."""
    chain: dict[str, Row] = {}
    for row in _up(con, posts_run):
        chain.setdefault(row["stage"], row)
    for stage in ("write", "enrich"):
        if stage not in chain:
            raise RunLookupError(
                f"the {stage} run that these posts came from is no longer on record",
                hint="make the site anew with: egregora write EXPORT",
            )
    return chain


def _checkpoint(storage: StorageManager, row: Row) -> Path:
    from egregora.pipeline.checkpoint import checkpoint_path

    path = checkpoint_path(storage, row["stage"], row["input_fingerprint"])
    if not path.exists():
        raise StorageError(
            f"what {row['stage']} made is no longer kept (run {row['run_id'][:8]})",
            hint="make it anew with: egregora write EXPORT",
        )
    return path


def _executed(con: duckdb.DuckDBPyConnection, row: Row) -> Row:
    """The run that made a run's result."""
    run_id, _ = maker_of(con, row)
    return row if run_id == row["run_id"] else runs_by_ids(con, [run_id])[0]


def _origins(
    con: duckdb.DuckDBPyConnection, posts_run: Row, chain: dict[str, Row], window: str | None
) -> tuple[Origins, str]:
    """The runs behind the posts, or behind those of a window; and the timezone of the chat."""
    writer = _executed(con, chain["write"])
    children: list[Row] = []
    if window is not None:
        label = f"(label = {literal(window)} OR starts_with(label, {literal(window + ' part ')}))"
        mine = select_runs(
            con,
            f"FROM runs WHERE parent_run_id = {literal(writer['run_id'])}::UUID AND {label} ORDER BY started_at",
        )
        children = [_executed(con, child) for child in mine]
    config = con.execute(f"FROM configs SELECT config WHERE config_hash = {literal(writer['config_hash'])}").fetchone()
    settings = dotted_settings(json.loads(config[0])) if config else {}
    made = {stage: _executed(con, row) for stage, row in chain.items()}
    upstream = [made[stage] for stage in ("parse", "privacy", "enrich", "write") if stage in made]
    readers = select_runs(
        con,
        "FROM runs WHERE run_id IN (FROM lineage SELECT child_run_id WHERE parent_run_id = "
        f"{literal(posts_run['run_id'])}::UUID) ORDER BY started_at DESC LIMIT 3",
    )
    origins = Origins(
        posts=posts_run,
        writer=writer,
        children=children,
        asked=_asked(con, children or [writer]),
        settings=_not_default(settings),
        upstream=upstream,
        readers=readers,
        prefixes=run_prefixes(con, [posts_run, writer, *children, *upstream, *readers]),
    )
    return origins, str(settings.get("parse.timezone") or "UTC")


def _asked(con: duckdb.DuckDBPyConnection, runs: list[Row]) -> list[Asked]:
    """The calls of these runs and of what is below them, by model."""
    listed = ", ".join(f"{literal(row['run_id'])}::UUID" for row in runs)
    rows = con.execute(
        "SELECT model, count(*), count(error), sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))::BIGINT, "
        "CASE WHEN count(*) = count(cost_usd) THEN sum(cost_usd) END, list(DISTINCT prompt_hash ORDER BY prompt_hash) "
        f"FROM llm_calls WHERE run_id IN ({listed}) OR run_id IN "
        f"(FROM runs SELECT run_id WHERE parent_run_id IN ({listed})) GROUP BY model ORDER BY 2 DESC"
    ).fetchall()
    return [
        Asked(model, calls, failed, tokens, cost, tuple(prompts))
        for model, calls, failed, tokens, cost, prompts in rows
    ]


def _not_default(settings: dict[str, Any]) -> dict[str, str]:
    """The settings that somebody chose, as JSON."""
    from egregora.config import Config

    usual = dotted_settings(json.loads(canonical_config(Config())))
    return {
        key: json.dumps(value, ensure_ascii=False) for key, value in settings.items() if usual.get(key, value) != value
    }


# -- what is meant ----------------------------------------------------------------------------------------------------

_FRAGMENT = re.compile(r"(?P<rest>.*?)#b?(?P<block>\d{1,6})")
_LETTERS = "[^\\p{L}\\p{N}]+"


class _Search:
    """What somebody means by a word, among posts and messages.

    Each way of finding gives `kind` and `title`, and what else is known: `path`, `post` (a row), `block` (a number),
    `posts` (ids), `where` (a condition on messages).
    """

    def __init__(self, tables: duckdb.DuckDBPyConnection, wanted: str) -> None:
        self._tables = tables
        self._wanted = wanted.strip()
        word = self._wanted
        if re.match(r"(?:https?|file)://", word):
            parts = urlsplit(word)
            word = unquote(parts.path) + (f"#{parts.fragment}" if parts.fragment else "")
        matched = _FRAGMENT.fullmatch(word)
        self._word = matched["rest"] if matched else word.partition("#")[0] if "/" in word else word
        self._block = int(matched["block"]) if matched else None

    def find(self) -> dict[str, Any]:
        """The first way that finds something.

        Raises:
            RunLookupError: none does.
        """
        for way in (self._page, self._post, self._message, self._sentence):
            found = way()
            if found:
                return found
        raise self._nothing()

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        found = self._tables.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _all(self, sql: str) -> list[Any]:
        return [row[0] for row in self._tables.execute(sql).fetchall()]

    def _page(self) -> dict[str, Any] | None:
        """A page or a file of the site, by its path from anywhere."""
        from egregora.site.text import file_names

        path = PurePosixPath(self._word.replace("\\", "/"))
        folder, name = path.parent.name, path.stem
        if folder == "media" and path.suffix:
            blob = f"{literal(path.name)}"
            return {
                "kind": "file",
                "title": path.name,
                "path": f"media/{path.name}",
                "where": f"media.blob = {blob} OR media.thumbnail = {blob}",
                "posts": self._all(f"FROM posts SELECT post_id WHERE contains(body, {literal(path.name)})"),
            }
        if path.suffix != ".html":
            return None
        if folder not in ("people", "tags") or name == "index":
            posts = {name: post_id for post_id, name in file_names(self._all("FROM posts SELECT post_id")).items()}
            if name in posts:
                return self._of_post(posts[name], self._block)
            if folder == "posts":
                raise self._nothing()
            return {"kind": "page", "title": path.name, "path": path.name, "posts": None}
        column = "people" if folder == "people" else "tags"
        labels = self._all(f"FROM posts SELECT DISTINCT unnest({column})")
        if folder == "people":
            labels += self._all("FROM messages SELECT DISTINCT alias WHERE alias IS NOT NULL")
        meant = [label for label, its in file_names(labels).items() if its == name]
        if not meant:
            raise self._nothing()
        listed = ", ".join(map(literal, meant))
        return {
            "kind": "person" if folder == "people" else "tag",
            "title": meant[0],
            "path": f"{folder}/{path.name}",
            "posts": self._all(f"FROM posts SELECT post_id WHERE list_has_any({column}, [{listed}])"),
            "where": f"alias IN ({listed})" if folder == "people" else None,
        }

    def _post(self) -> dict[str, Any] | None:
        """A post by its id, title or window."""
        word = literal(self._word.casefold())
        ids = self._all(
            f'FROM posts SELECT post_id WHERE post_id = {word} OR lower(title) = {word} OR "window" = {word} '
            f"ORDER BY post_id = {word} DESC, first_ts DESC LIMIT 1"
        )
        return self._of_post(ids[0], self._block) if ids else None

    def _of_post(self, post_id: str, block: int | None) -> dict[str, Any]:
        (post,) = self._rows(f"FROM posts WHERE post_id = {literal(post_id)} LIMIT 1")
        if block is not None and not 1 <= block <= len(post["sources"]):
            raise RunLookupError(
                f"the post {post_id} has no block {block}; its blocks are #b1 to #b{len(post['sources'])}",
                hint=f"see them with: egregora runs why {post_id}",
            )
        return {"kind": "post", "title": post["title"], "post": post, "block": block}

    def _message(self) -> dict[str, Any] | None:
        """A message by its id."""
        if not re.fullmatch(r"[0-9a-f]{8,32}", self._word):
            return None
        ids = self._all(f"FROM messages SELECT event_id WHERE starts_with(event_id, {literal(self._word)}) LIMIT 2")
        if len(ids) != 1:
            return None
        return self._of_messages(ids, f"message {ids[0][:8]}")

    def _of_messages(self, ids: list[str], title: str) -> dict[str, Any]:
        listed = ", ".join(map(literal, ids))
        return {
            "kind": "message",
            "title": title,
            "where": f"event_id IN ({listed})",
            "posts": self._all(
                f"FROM posts SELECT post_id WHERE list_has_any(flatten(sources), [{listed}]) ORDER BY first_ts DESC"
            ),
        }

    def _sentence(self) -> dict[str, Any] | None:
        """A sentence of a post; else one of a message. Case, accents, marks and signs don't matter."""
        folded = self._tables.execute(f"SELECT trim({_folded(literal(self._wanted))})").fetchone()
        sentence = folded[0] if folded else ""
        if len(sentence) < 3:
            return None
        part = literal(f" {sentence} ")
        post = _folded("concat(title, ' / ', standfirst, ' / ', body)")
        ids = self._all(f"FROM posts SELECT post_id WHERE contains({post}, {part}) ORDER BY first_ts DESC")
        if ids:
            found = self._of_post(ids[0], None)
            pieces = found["post"]["body"].split("\n\n")
            listed = ", ".join(map(literal, pieces))
            places = self._all(
                f"SELECT i FROM (SELECT unnest(range(1, {len(pieces) + 1})) AS i, unnest([{listed}]) AS piece) "
                f"WHERE contains({_folded('piece')}, {part}) ORDER BY i"
            )
            places.sort(key=lambda place: not found["post"]["sources"][place - 1])
            return {**found, "block": places[0] if places else None, "posts": ids[1:]}
        messages = self._all(
            f"FROM messages SELECT event_id WHERE contains({_folded('text')}, {part}) ORDER BY ts LIMIT 20"
        )
        return self._of_messages(messages, "a sentence of the chat") if messages else None

    def _nothing(self) -> RunLookupError:
        name = literal(PurePosixPath(self._word.replace("\\", "/")).stem.casefold())
        near = self._rows(
            "FROM posts SELECT post_id, title ORDER BY greatest("
            f"jaro_winkler_similarity(lower(title), {name}), jaro_winkler_similarity(post_id, {name}), "
            f"jaro_winkler_similarity(substr(post_id, 12), {name})) DESC, first_ts DESC LIMIT 3"
        )
        if not near:
            return RunLookupError("there are no posts", hint="see what was written with: egregora runs explain write")
        titles = ", ".join(f"{post['post_id']} ({post['title']})" for post in near)
        said = self._wanted if len(self._wanted) <= 60 else f"{self._wanted[:59]}…"
        return RunLookupError(
            f"nothing on the site is, or says, '{said}'",
            hint=f"the nearest posts: {titles}; look at one with: egregora runs why {near[0]['post_id']}",
            candidates=tuple(post["post_id"] for post in near),
        )


def _folded(sql: str) -> str:
    """Letters and digits of a text, without case and accents, with a space between them, before and behind."""
    plain = f"regexp_replace({sql}, '\\[([^\\]]*)\\]\\([^)]*\\)', '\\1', 'g')"
    return f"concat(' ', trim(regexp_replace(strip_accents(lower({plain})), {literal(_LETTERS)}, ' ', 'g')), ' ')"


# -- the answer -------------------------------------------------------------------------------------------------------


def _answer(tables: duckdb.DuckDBPyConnection, found: dict[str, Any], origins: Origins, zone: str) -> Why:
    post, number = found.get("post"), found.get("block")
    blocks = _blocks(post) if post else []
    block = blocks[number - 1] if number else None
    where = found.get("where")
    if block:
        where = f"event_id IN ({', '.join(map(literal, block.sources))})" if block.sources else None
    listed, total = _listed(tables, found["posts"]) if "posts" in found else ([], 0)
    return Why(
        kind=found["kind"],
        title=found["title"],
        path=_path(tables, post) if post else found.get("path"),
        zone=zone,
        origins=origins,
        next=_next(found, origins, listed),
        post={name: value for name, value in post.items() if name != "body"} if post else None,
        block=block,
        blocks=blocks,
        messages=_messages(tables, where, zone) if where else [],
        posts=listed,
        total=total,
        window_messages=origins.children[0]["rows_in"] if len(origins.children) == 1 else None,
    )


def _listed(tables: duckdb.DuckDBPyConnection, ids: list[str] | None) -> tuple[list[PostLine], int]:
    """Posts by their ids (None: all), newest first, and how many there are."""
    which = "" if ids is None else f"WHERE post_id IN ({', '.join(map(literal, ids)) or 'NULL'})"
    rows = tables.execute(f"FROM posts SELECT post_id, title {which} ORDER BY first_ts DESC, post_id").fetchall()
    return [PostLine(*row) for row in rows[:LISTED]], len(rows)


def _path(tables: duckdb.DuckDBPyConnection, post: dict[str, Any]) -> str:
    from egregora.site.text import file_names

    ids = [row[0] for row in tables.execute("FROM posts SELECT post_id").fetchall()]
    return f"posts/{file_names(ids)[post['post_id']]}.html"


_MARKDOWN = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|\\([^\w\s])|(?m:^(?:>|#{1,6}) ?)|\*\*|\\$")


def _blocks(post: dict[str, Any]) -> list[Block]:
    texts = [_MARKDOWN.sub(lambda m: m[1] or m[2] or "", text) for text in post["body"].split("\n\n")]
    return [
        Block(number, " ".join(text.split()), tuple(sources))
        for number, (text, sources) in enumerate(zip(texts, post["sources"], strict=False), 1)
    ]


def _messages(tables: duckdb.DuckDBPyConnection, where: str, zone: str) -> list[Message]:
    rows = tables.execute(
        f"FROM messages SELECT event_id, ts, alias, kind, text WHERE {where} ORDER BY ts, thread_id, seq LIMIT {LISTED}"
    ).fetchall()
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        local = ZoneInfo("UTC")
    return [
        Message(event_id, ts.replace(tzinfo=UTC).astimezone(local), alias, kind, text)
        for event_id, ts, alias, kind, text in rows
    ]


def _next(found: dict[str, Any], origins: Origins, listed: list[PostLine]) -> str:
    """What one would want to know then."""
    post = found.get("post")
    if post and found.get("block") is None:
        return f"egregora runs why {post['post_id']}#b{_first_that_rests(post)}"
    if post:
        run = origins.children[0] if origins.children else origins.writer
        return f"egregora runs explain {origins.prefixes[run['run_id']]}"
    if listed:
        return f"egregora runs why {listed[0].post_id}"
    return f"egregora runs explain {origins.prefixes[origins.writer['run_id']]}"


def _first_that_rests(post: dict[str, Any]) -> int:
    return next((number for number, sources in enumerate(post["sources"], 1) if sources), 1)
