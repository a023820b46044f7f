"""The `runs` table and its siblings, declared once: DDL, Ibis schema, `runs show`, JSON and the reference derive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egregora.database.columns import Column, TableSpec

if TYPE_CHECKING:
    import duckdb
    import ibis.expr.schema as sch

    RUNS_TABLE_SCHEMA: sch.Schema

__all__ = [
    "CODES",
    "CONFIGS",
    "DATASETS",
    "JOURNALS",
    "LAYOUT",
    "LINEAGE",
    "LLM_CALLS",
    "NO_REPLAY",
    "PROFILES",
    "RUNS",
    "RUNS_TABLE_DDL",
    "RUNS_TABLE_SCHEMA",
    "RUN_LOGS",
    "SCHEMA_VERSION",
    "TABLES",
    "create_runs_table",
    "create_tables",
]

SCHEMA_VERSION = 2
"""Version of the catalog's tables. Raise it with a step in `storage.MIGRATIONS` that leads there."""

LAYOUT = "layout"
"""What stands as the stage of a row that tells why pages were not laid out, which is no stage."""

NO_REPLAY = "source IS DISTINCT FROM 'replay'"
"""The condition that a run is none that only repeats another one, and that nobody takes for a run of its stage."""

RUNS = TableSpec(
    "runs",
    "One row for each run of a stage, and for each child of one.",
    (
        Column("run_id", "UUID", "identity of the run", False, "Run"),
        Column("stage", "VARCHAR", "name of the stage; `layout` where pages could not be laid out", False, "Stage"),
        Column("status", "VARCHAR", "`running`, `completed` or `failed`", False, "Status"),
        Column("error", "VARCHAR", "what went wrong, redacted; NULL unless failed", heading="Error"),
        Column(
            "input_fingerprint",
            "VARCHAR",
            "`sha256:` of stage, input, configuration and code; `unknown:<time>` when a part could not "
            "be hashed, `replay:<run>` for a replay: nothing is ever taken for these",
            False,
            "Fingerprint",
        ),
        Column(
            "code_ref",
            "VARCHAR",
            "git commit of the stage's code, `+dirty` if changed, `unknown` without git",
            heading="Git commit",
        ),
        Column(
            "config_hash",
            "VARCHAR",
            "hash of the configuration that the stage reads; its text is in `configs`",
            heading="Config hash",
        ),
        Column("started_at", "TIMESTAMP", "when it started, UTC", False, "Started"),
        Column("finished_at", "TIMESTAMP", "when it ended, UTC; NULL while it runs", heading="Finished"),
        Column("rows_in", "BIGINT", "rows of the input table; for files, how many", heading="Rows in"),
        Column("rows_out", "BIGINT", "rows of the result", heading="Rows out"),
        Column("duration_seconds", "DOUBLE", "seconds by the monotonic clock", heading="Duration"),
        Column("llm_calls", "BIGINT", "attempts at model calls, failed ones too", heading="Model calls"),
        Column("tokens", "BIGINT", "tokens in and out of them", heading="Tokens"),
        Column("trace_id", "VARCHAR", "W3C trace id, one per invocation", heading="Trace"),
        Column(
            "source",
            "VARCHAR",
            "`executed`, `checkpoint` for a hit, or `replay` for a run that only repeats another one",
            heading="Source",
        ),
        Column(
            "reason",
            "VARCHAR",
            "why it executed (`first run`, `input changed`, `config changed`, `code changed`, `forced`, "
            "`checkpoint missing`, `checkpoint corrupt`, `unknown: …`; `retry of <run>`, `replay of <run>`) or did "
            "not (`unchanged`, `unchanged since <run>`)",
            heading="Reason",
        ),
        Column("input_hash", "VARCHAR", "hash of the input, all parts", heading="Input hash"),
        Column("input_parts", "VARCHAR", "JSON: hash of each part of the input by name", heading="Input parts"),
        Column("code_hash", "VARCHAR", "hash of the code; its modules are in `codes`", heading="Code hash"),
        Column("output_hash", "VARCHAR", "content address of the result", heading="Output hash"),
        Column("checkpoint_bytes", "BIGINT", "size of the checkpoint file, bytes", heading="Checkpoint size"),
        Column(
            "checkpoint_mtime_ns", "BIGINT", "its time of change, nanoseconds since 1970", heading="Checkpoint time"
        ),
        Column("checkpoint_sha256", "VARCHAR", "hash of its bytes", heading="Checkpoint hash"),
        Column("invocation_id", "UUID", "one per `egregora write`, shared by its runs", heading="Invocation"),
        Column("parent_run_id", "UUID", "run that this one is a child of", heading="Parent"),
        Column("label", "VARCHAR", "what a child worked on, e.g. its window", heading="Label"),
        Column("error_type", "VARCHAR", "class of the error, or `interrupted`", heading="Error type"),
        Column("hint", "VARCHAR", "what to type or change next, of an error that knows it", heading="Hint"),
        Column("traceback", "VARCHAR", "frames of the error, redacted, without source lines", heading="Traceback"),
        Column(
            "cost_usd", "DOUBLE", "cost of the model calls in US dollars; NULL where a price is unknown", heading="Cost"
        ),
        Column(
            "marks",
            "VARCHAR",
            "what looks wrong about a completed run: JSON list of objects with `name` (the figure), `text` (a "
            "sentence), `value`, `usual` (median of the runs before) and `since` (run); NULL if nothing does; of a hit "
            "those of the run that made its checkpoint",
            heading="Looks wrong",
        ),
        Column("progress_done", "BIGINT", "how far it has come, in `progress_unit`", heading="Done"),
        Column("progress_total", "BIGINT", "how far it has to go, where known", heading="Of"),
        Column("progress_unit", "VARCHAR", "what progress counts, e.g. `messages`", heading="Unit"),
        Column("owner", "VARCHAR", "machine (hashed), process and start time of the writer", heading="Owner"),
        Column("tenant_id", "VARCHAR", "the site", heading="Tenant"),
        Column(
            "given",
            "VARCHAR",
            "settings that were given on the command line: JSON object of dotted key to `given` and `file` (what "
            "`egregora.toml` said then); NULL if none were",
            heading="Given",
        ),
    ),
    ("run_id",),
)

LINEAGE = TableSpec(
    "lineage",
    "Which run's output was whose input.",
    (
        Column("child_run_id", "UUID", "the run that read", False),
        Column("parent_run_id", "UUID", "the run whose output it read", False),
    ),
    ("child_run_id", "parent_run_id"),
)

CONFIGS = TableSpec(
    "configs",
    "The configuration that a stage read, in the form that was hashed.",
    (
        Column("config_hash", "VARCHAR", "as in `runs`", False),
        Column("config", "VARCHAR", "canonical JSON; secrets and names are replaced by a keyed id", False),
    ),
    ("config_hash",),
)

CODES = TableSpec(
    "codes",
    "The modules that made up a stage's code.",
    (
        Column("code_hash", "VARCHAR", "as in `runs`", False),
        Column(
            "modules", "VARCHAR", "JSON: hash of each module, data file, distribution and bound value by name", False
        ),
    ),
    ("code_hash",),
)

RUN_LOGS = TableSpec(
    "run_logs",
    "What stages logged.",
    (
        Column("run_id", "UUID", "the run", False),
        Column("ts", "TIMESTAMP", "when, UTC", False),
        Column("level", "VARCHAR", "`info` or `warning`", False),
        Column("message", "VARCHAR", "the line, redacted", False),
    ),
)

LLM_CALLS = TableSpec(
    "llm_calls",
    "Each attempt at a model call.",
    (
        Column("run_id", "UUID", "the run", False),
        Column("ts", "TIMESTAMP", "when, UTC", False),
        Column("model", "VARCHAR", "the model's name", False),
        Column("prompt_hash", "VARCHAR", "hash of what was sent", False),
        Column("input_tokens", "BIGINT", "tokens sent"),
        Column("output_tokens", "BIGINT", "tokens received"),
        Column("cost_usd", "DOUBLE", "US dollars; NULL where the price is unknown"),
        Column("latency_ms", "DOUBLE", "milliseconds"),
        Column("error", "VARCHAR", "why it failed, redacted; NULL if it didn't"),
    ),
)

PROFILES = TableSpec(
    "profiles",
    "Figures of what a run made, to tell a result that is out of line.",
    (
        Column("run_id", "UUID", "the run", False),
        Column("name", "VARCHAR", "what is measured, e.g. `people`, `nulls.reply_to`, `kind.system`", False),
        Column("value", "DOUBLE", "the figure; times are seconds since 1970, shares are between 0 and 1", False),
    ),
    ("run_id", "name"),
)

JOURNALS = TableSpec(
    "journals",
    "How far each process's journal has been taken into this catalog.",
    (
        Column("owner", "VARCHAR", "as in `runs`", False),
        Column("taken", "BIGINT", "bytes of the journal that are in the catalog", False),
        Column("unreadable", "BIGINT", "lines that could not be read", False),
    ),
    ("owner",),
)

DATASETS = TableSpec(
    "datasets",
    "Which result each data table of the catalog holds.",
    (
        Column("name", "VARCHAR", "`messages` or `posts`", False),
        Column("output_hash", "VARCHAR", "content address of what it holds", False),
    ),
    ("name",),
)

TABLES = (RUNS, LINEAGE, CONFIGS, CODES, RUN_LOGS, LLM_CALLS, PROFILES, JOURNALS, DATASETS)

RUNS_TABLE_DDL = RUNS.ddl()


def create_runs_table(con: duckdb.DuckDBPyConnection) -> None:
    """Create `runs` where it doesn't exist yet."""
    con.execute(RUNS_TABLE_DDL)


def create_tables(con: duckdb.DuckDBPyConnection, catalog: str = "") -> None:
    """Create every table of the catalog, in the attached database `catalog` if given, with its `schema_version`."""
    prefix = f"{catalog}." if catalog else ""
    for table in TABLES:
        con.execute(table.ddl(prefix + table.name))
    con.execute(f"CREATE TABLE IF NOT EXISTS {prefix}schema_version (version INTEGER NOT NULL)")
    con.execute(
        f"INSERT INTO {prefix}schema_version SELECT ? WHERE NOT EXISTS (FROM {prefix}schema_version)", [SCHEMA_VERSION]
    )


def __getattr__(name: str) -> Any:
    # Lazy, because importing ibis costs more than a whole `runs tail`.
    if name == "RUNS_TABLE_SCHEMA":
        return RUNS.ibis()
    raise AttributeError(name)
