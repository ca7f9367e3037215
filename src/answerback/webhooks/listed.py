"""The deliveries of many jobs, for lists of jobs: each job's own, to the callback URL of its request."""

import json
from collections.abc import Sequence

from answerback.database.operation import Operation, Transaction
from answerback.database.predicates import LISTED
from answerback.database.range_scan import merged, newest
from answerback.database.statement import Statement
from answerback.webhooks.model import DeliveryRecord, DeliveryState
from answerback.webhooks.rows import SHORT_COLUMNS, delivery_records

_JOBS_OF_TENANT = "SELECT job_id FROM deliveries WHERE tenant_id = :tenant_id"
JOBS_BY_DELIVERY = newest("deliveries", ("tenant_id", "state"), "job_id", LISTED, compared="job_id")
AMONG_JOBS = Statement(
    lambda dialect: f"{_JOBS_OF_TENANT} AND {LISTED} AND state = :in_state AND {dialect.among('job_id')}"
)
JOBS_SENDING = Statement(f"{_JOBS_OF_TENANT} AND endpoint_id IS NULL AND state = 'sending' AND lease_expires_at > 0")
"""All of them: no index has them by job, and those of all tenants are no more than the workers' slots."""

_OWN = f"SELECT {SHORT_COLUMNS}, '[]' AS attempts FROM deliveries WHERE endpoint_id IS NULL"
OWN = Statement(lambda dialect: f"{_OWN} AND {dialect.among('job_id')}")


def jobs_by_delivery(tenant_ids: Sequence[str], state: DeliveryState, before: str, limit: int) -> Operation[list[str]]:
    """Ids of the tenants' jobs whose own delivery is in the state, the newest below `before` first."""
    if state is DeliveryState.SENDING:
        sending = yield JOBS_SENDING.each([{"tenant_id": each} for each in tenant_ids])
        return sorted((row.job_id for _, row in sending if row.job_id < before), reverse=True)[:limit]
    keys = [{"tenant_id": each, "state": state} for each in tenant_ids]
    return (yield from merged(JOBS_BY_DELIVERY, keys, before, limit))


def with_delivery(tenant_id: str, state: DeliveryState, job_ids: Sequence[str]) -> Operation[list[str]]:
    """Those of these jobs whose own delivery is in the state."""
    if state is DeliveryState.SENDING:
        kept = {row.job_id for row in (yield JOBS_SENDING(tenant_id=tenant_id))}
    else:
        found = yield AMONG_JOBS(tenant_id=tenant_id, in_state=state, ids=json.dumps(list(job_ids)))
        kept = {row.job_id for row in found}
    return [each for each in job_ids if each in kept]


def own_deliveries(tx: Transaction, job_ids: Sequence[str]) -> Operation[list[DeliveryRecord]]:
    """Of these jobs, without their attempts."""
    rows = yield OWN(ids=json.dumps(list(job_ids)))
    return (yield from delivery_records(tx, rows))
