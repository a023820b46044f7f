"""How a table is declared: once, as columns with type, meaning and heading. All else derives from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.schema as sch
    import pyarrow as pa

__all__ = ["Column", "TableSpec"]


@dataclass(frozen=True)
class Column:
    """One column of a declared table.

    Attributes:
        name: As stored.
        type: DuckDB's type, e.g. `VARCHAR`, `BIGINT`, `STRUCT(url VARCHAR)[]`.
        meaning: One line, with the unit where there is one.
        nullable: Whether NULL may stand in it.
        heading: What the terminal prints above it or beside it.
    """

    name: str
    type: str
    meaning: str
    nullable: bool = True
    heading: str = ""


@dataclass(frozen=True)
class TableSpec:
    """A declared table: name, meaning, columns, primary key."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in their order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called `name`.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def ddl(self, name: str | None = None) -> str:
        """`CREATE TABLE IF NOT EXISTS …` for DuckDB, under another `name` if given."""
        lines = [f'    "{c.name}" {c.type}{"" if c.nullable else " NOT NULL"}' for c in self.columns]
        if self.primary_key:
            lines.append(f"    PRIMARY KEY ({', '.join(self.primary_key)})")
        return f"CREATE TABLE IF NOT EXISTS {name or self.name} (\n" + ",\n".join(lines) + "\n)"

    def ibis(self) -> sch.Schema:
        """The table as an Ibis schema."""
        import ibis
        from ibis.backends.sql.datatypes import DuckDBType

        return ibis.schema({c.name: DuckDBType.from_string(c.type, nullable=c.nullable) for c in self.columns})

    def arrow(self) -> pa.Schema:
        """The table as an Arrow schema."""
        import pyarrow as pa

        plain = {
            "VARCHAR": pa.string(),
            "BIGINT": pa.int64(),
            "DOUBLE": pa.float64(),
            "BOOLEAN": pa.bool_(),
            "TIMESTAMP": pa.timestamp("us"),
        }
        if all(column.type in plain for column in self.columns):
            return pa.schema([pa.field(c.name, plain[c.type], nullable=c.nullable) for c in self.columns])
        # Only nested types are worth ibis: it takes longer to import than a short export to parse.
        return self.ibis().to_pyarrow()
