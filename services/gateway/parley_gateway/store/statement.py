"""Statements in SQLAlchemy Core, compiled once and then run by the driver itself.

Compiling, caching and result wrapping cost more than SQLite's work on a row; three transactions a
turn decide the speed of the whole.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Executable
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler


class Statement:
    """A statement with named parameters: those of its `bindparam`s and, when it inserts or
    updates, the columns it sets (all of the table's, when none are named)."""

    def __init__(self, clause: Executable, *columns: str) -> None:
        self.clause = clause
        self._columns = list(columns) or None
        self._compiled: dict[str, tuple[str, dict[str, Any]]] = {}

    def on(self, dialect: Dialect) -> tuple[str, dict[str, Any]]:
        """Return the SQL and the parameters that have a value of their own, such as a limit."""
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(dialect)
        return self._compiled[dialect.name]

    def _compile(self, dialect: Dialect) -> tuple[str, dict[str, Any]]:
        compiled = self.clause.compile(dialect=dialect, column_keys=self._columns)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        fixed = {name: bind.value for bind, name in compiled.bind_names.items()}
        return str(compiled), {name: value for name, value in fixed.items() if value is not None}
