"""Operations without I/O: generators that yield statements and receive rows.

An operation is written once; what drives it decides how statements reach a database and which operations share a
transaction. SQLite's driver is `answerback.storage.group_commit`.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from sqlalchemy.sql import ClauseElement

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = Sequence[Row]


class Statement:
    """A statement defined once in SQLAlchemy and compiled once per dialect. Calling it binds its parameters."""

    __slots__ = ("clause",)

    def __init__(self, clause: ClauseElement) -> None:
        self.clause = clause

    def __call__(self, **parameters: Any) -> "Query":
        return Query(self, parameters)

    def many(self, parameters: Sequence[Mapping[str, Any]]) -> "Query":
        """The statement once per mapping; returns no rows."""
        return Query(self, parameters)


@dataclass(frozen=True, slots=True)
class Query:
    """A statement with its parameters: one mapping, or a sequence of them to be executed in one go."""

    statement: Statement
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]]


Operation: TypeAlias = Generator[Query, Rows, T]


@dataclass(slots=True)
class Transaction:
    """What the operations of one transaction share: its time (epoch milliseconds) and the jobs it opened, net."""

    now: int
    opened: int = 0
