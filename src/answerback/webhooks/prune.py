"""Deleting the deliveries of jobs that are pruned."""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, bindparam, delete, exists, literal_column, select

from answerback.database.operation import Statement
from answerback.database.tables import deliveries

PRUNE = Statement(
    delete(deliveries).where(
        deliveries.c.job_id == bindparam("of"),
        literal_column("deliveries.state IN ('delivered', 'dead')", Boolean),
    ),
    by=("of",),
)


def unsettled(job_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a delivery of the job is neither delivered nor dead; until none is, the job is not pruned."""
    return exists(
        select(literal_column("1")).where(
            deliveries.c.job_id == job_id,
            literal_column("deliveries.state NOT IN ('delivered', 'dead')", Boolean),
        )
    )
