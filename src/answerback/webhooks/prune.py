"""Deleting the deliveries of jobs that are pruned."""

from answerback.database.sql import PROBED
from answerback.database.statement import Statement

PRUNE = Statement("DELETE FROM deliveries WHERE job_id = :of AND state IN ('delivered', 'dead')", by=("of",))


def unsettled(job_id: str) -> str:
    """Whether a delivery of the job is neither delivered nor dead; until none is, the job is not pruned."""
    return f"""EXISTS (
        SELECT 1 FROM deliveries WHERE deliveries.job_id = {job_id} AND deliveries.state NOT IN ('delivered', 'dead')
        {PROBED}
    )"""
