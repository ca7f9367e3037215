"""The distinct values of a column: with one probe of an index for each, however many rows there are."""


def distinct(table: str, column: str, where: str, most: int | None = None) -> str:
    """A query for those of a text column, in the rows that `where` selects, in order; of many, one more than `most`."""

    def first_after(value: str) -> str:
        matching = f"{where} AND {table}.{column} > {value}"
        return f"(SELECT {table}.{column} FROM {table} WHERE {matching} ORDER BY {table}.{column} LIMIT 1)"

    few = "" if most is None else f" AND steps.place <= {most}"
    # A literal text comes before all values, and says to PostgreSQL that the index serves.
    return f"""
    WITH RECURSIVE steps({column}, place) AS (
        SELECT {first_after("''")}, 1
        UNION ALL
        SELECT {first_after(f"steps.{column}")}, steps.place + 1 FROM steps WHERE steps.{column} IS NOT NULL{few}
    )
    SELECT steps.{column} FROM steps WHERE steps.{column} IS NOT NULL"""
