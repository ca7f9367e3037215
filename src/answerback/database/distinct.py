"""The distinct values of a column: with one probe of an index for each, however many rows there are."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Select, literal_column, select

from answerback.database.sql import at_most


def distinct(column: Column[Any], *where: ColumnElement[bool], most: int | None = None) -> Select[Any]:
    """Those of a text column, in the rows that `where` selects, in order; of many, one more than `most`."""

    def first_after(value: Any) -> Any:
        found = select(column).where(*where, column > value)
        return found.order_by(column).limit(at_most(1)).scalar_subquery()

    # A literal text comes before all values, and says to PostgreSQL that the index serves.
    first = select(first_after(literal_column("''")).label(column.name), literal_column("1").label("place"))
    values = first.cte("steps", recursive=True)
    value, place = values.c[column.name], values.c.place
    others = select(first_after(value), place + literal_column("1")).where(value.is_not(None))
    values = values.union_all(others if most is None else others.where(place <= at_most(most)))
    return select(values.c[column.name]).where(values.c[column.name].is_not(None))
