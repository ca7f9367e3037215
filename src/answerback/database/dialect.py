"""What the two databases write differently."""

from enum import Enum


class Dialect(Enum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"

    def either(self, sqlite: str, postgresql: str) -> str:
        return sqlite if self is Dialect.SQLITE else postgresql

    def larger(self, one: str, other: str) -> str:
        return self.either(f"max({one}, {other})", f"greatest({one}, {other})")

    def locking(self, clause: str) -> str:
        """A clause such as FOR UPDATE. SQLite has one writer at a time, and no such clause."""
        return self.either("", clause)

    def is_one_of(self, column: str, ids: str) -> str:
        """Whether a subquery, which may lock rows, finds the column. For PostgreSQL it is an array: made once, and
        short to the planner. A plain subquery may run again and lock other rows, or look so long that the planner reads
        the whole table."""
        return self.either(f"{column} IN ({ids})", f"{column} = ANY(ARRAY({ids}))")

    def equals(self, column: str) -> str:
        """Whether the text column equals the parameter of its name, for a query in the order of an index that begins
        with it. Of an equal column PostgreSQL would know that it orders nothing, and might read an index of the other
        columns, past all other values. Of an array it does not know that it has one element."""
        return self.either(f"{column} = :{column}", f"{column} = ANY(ARRAY[CAST(:{column} AS text)])")

    def among(self, column: str) -> str:
        """Whether the text column is one of the parameter `ids`, a JSON array of texts."""
        return self.either(
            f"{column} IN (SELECT value FROM json_each(:ids))",
            f"{column} = ANY(ARRAY(SELECT jsonb_array_elements_text(CAST(:ids AS jsonb))))",
        )
