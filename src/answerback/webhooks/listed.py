"""The deliveries of many jobs, for lists of jobs: each job's own, to the callback URL of its request."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, literal_column, select

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.range_scan import merged, newest
from answerback.database.sql import among, in_state
from answerback.database.tables import deliveries
from answerback.webhooks.model import DeliveryRecord, DeliveryState
from answerback.webhooks.rows import RECORD_COLUMNS, delivery_records

_own_of_tenant = (deliveries.c.tenant_id == bindparam("tenant_id"), deliveries.c.endpoint_id.is_(None))

_listed = among(deliveries.c.job_id)
_not_sending: Any = literal_column(f"deliveries.state <> '{DeliveryState.SENDING}'")
_own_listed = (deliveries.c.endpoint_id.is_(None), _not_sending)
JOBS_BY_DELIVERY = newest(deliveries, ("tenant_id", "state"), "job_id", *_own_listed, compared="job_id")
AMONG_JOBS = Statement(
    select(deliveries.c.job_id).where(
        *_own_of_tenant, _not_sending, deliveries.c.state == bindparam("in_state"), _listed
    )
)
JOBS_SENDING = Statement(
    select(deliveries.c.job_id).where(
        *_own_of_tenant,
        in_state(deliveries, DeliveryState.SENDING),
        deliveries.c.lease_expires_at > literal_column("0"),
    )
)
"""All of them: no index has them by job, and those of all tenants are no more than the workers' slots."""

_columns = [column for column in RECORD_COLUMNS if column is not deliveries.c.attempts]
OWN = Statement(
    select(*_columns, literal_column("'[]'").label("attempts")).where(deliveries.c.endpoint_id.is_(None), _listed)
)


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
