"""Statements: SQL as text, with parameters by name (`:id`), of which each driver makes what its database takes.

Most texts are the same on both databases. Where an expression differs, a statement is a function of the dialect.
Texts are put together of constants alone: whatever comes from outside is a parameter.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from answerback.database.dialect import Dialect

Row: TypeAlias = Any
"""A named tuple: one field for each column that its statement returns, named like the column or its label."""
Rows: TypeAlias = Sequence[Row]
Parameters: TypeAlias = Mapping[str, Any]

PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Update:
    """An UPDATE of rows that its parameters name. `returning` is PostgreSQL's alone (`Statement`). There the parameters
    are columns of a table expression, so columns of `table` that are named alike must be written with its name."""

    table: str
    values: Mapping[str, str]
    where: str
    returning: str

    def on_sqlite(self) -> str:
        return f"UPDATE {self.table} SET {_assignments(self.values)} WHERE {self.where}"

    def on_postgresql(self, given: str, also: str = "") -> str:
        """`given` is a query that selects the parameters; `also` is returned with the rest."""
        return (
            f"WITH given AS ({given}) UPDATE {self.table} SET {_columns_of('given', _assignments(self.values))} "
            f"FROM given WHERE {_columns_of('given', self.where)} RETURNING {self.returning}{also}"
        )


@dataclass(frozen=True, slots=True)
class Insert:
    """As `Update`. On PostgreSQL `computed`, columns of the table expression `birth`, are expressions of the
    parameters, and all parameters are columns of it, too. `conflict` is what follows the values: there it has no
    parameters."""

    table: str
    values: Mapping[str, str]
    computed: Mapping[str, str] | None = None
    conflict: str = ""
    returning: str = "id"

    def on_sqlite(self) -> str:
        names, values = ", ".join(self.values), ", ".join(self.values.values())
        return f"INSERT INTO {self.table} ({names}) VALUES ({values}) {self.conflict}"

    def on_postgresql(self, given: str) -> str:
        """As that of `Update`."""
        tables, source = f"given AS ({given})", "given"
        if self.computed is not None:
            computed = ", ".join(f"{value} AS {name}" for name, value in self.computed.items())
            tables += f", birth AS MATERIALIZED (SELECT {_columns_of('given', computed)}, given.* FROM given)"
            source = "birth"
        names, values = ", ".join(self.values), _columns_of(source, ", ".join(self.values.values()))
        return (
            f"WITH {tables} INSERT INTO {self.table} ({names}) SELECT {values} FROM {source} {self.conflict} "
            f"RETURNING {self.returning}"
        )


Clause: TypeAlias = str | Update | Insert
Written: TypeAlias = Clause | Callable[[Dialect], Clause]


class Statement:
    """A statement defined once, and made into SQL once per dialect. Calling it binds its parameters.

    `by` names the parameters that identify the rows it locks: a batch locks them in that order, in every transaction,
    so that no two deadlock. `only_locks`: its only effect are locks; its parameters are lists of what to lock, and it
    returns nothing. SQLite, which has one writer at a time, leaves it out.

    `key` names parameters too, those of an `Update` or `Insert`: PostgreSQL runs a batch as one statement if no two of
    it are alike in these, where None is like nothing. So each must change rows of its own, and may not depend on what
    the others change. An INSERT that returns anything then returns the `id` that it was given or, where the database
    makes that, its key. `given` are all the parameters with PostgreSQL's types: `row_id text, epoch bigint`.

    RETURNING, and an INSERT that selects its row, make SQLite build a table each time, which costs as much as the rest
    of a small statement. So what an `Update` or `Insert` returns on PostgreSQL SQLite either selects afterwards, if a
    row was changed (`read_back`), or it selects before (`computed`), and the clause binds the columns by their names.
    With neither, SQLite returns an empty row for each that the clause changed.
    """

    def __init__(
        self,
        written: Written,
        *,
        by: tuple[str, ...] = (),
        key: tuple[str, ...] = (),
        given: str = "",
        only_locks: bool = False,
        computed: str | None = None,
        read_back: str | None = None,
    ) -> None:
        self._written = written
        self.by = by
        self.key = key
        self.given = dict(each.split(maxsplit=1) for each in given.split(", ")) if given else {}
        self.only_locks = only_locks
        self.computed = computed
        self.read_back = read_back

    def clause(self, dialect: Dialect) -> Clause:
        """As the dialect writes it. Made anew at each call: drivers keep what they make of it."""
        return self._written if isinstance(self._written, str | Update | Insert) else self._written(dialect)

    def __call__(self, **parameters: Any) -> "Query":
        return Query(self, parameters)

    def many(self, parameters: Sequence[Parameters]) -> "Query":
        """The statement once per mapping; returns no rows."""
        return Query(self, parameters)

    def each(self, parameters: Sequence[Parameters]) -> "Query":
        """The statement once per mapping; returns `(index of the mapping, row)` for the rows of all."""
        return Query(self, parameters, numbered=True)


class Query(NamedTuple):
    """A statement with its parameters: one mapping, or a sequence of them to be executed in one go."""

    statement: Statement
    parameters: Parameters | Sequence[Parameters]
    numbered: bool = False


def _assignments(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _columns_of(table: str, text: str) -> str:
    """With columns of a table expression in place of parameters."""
    return PARAMETER.sub(rf"{table}.\1", text)
