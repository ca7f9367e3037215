"""Jobs of all tenants together, for operators.

Ids sort by when jobs were accepted, so that the newest come along the primary key. No index has states or kinds of all
tenants: those are looked up in the rows, as all that `sift` looks at.
"""

import json
from collections.abc import Sequence

from sqlalchemy import bindparam, select

from answerback.database.operation import Operation, Statement
from answerback.database.sql import among
from answerback.database.tables import conversations, deliveries, jobs
from answerback.jobs.model import EVERY_TENANT, JobFilter

NEWEST = Statement(
    select(jobs.c.id).where(jobs.c.id < bindparam("before")).order_by(jobs.c.id.desc()).limit(bindparam("limit"))
)
_listed = among(jobs.c.id)
_facts = select(jobs.c.id, jobs.c.state, jobs.c.kind, conversations.c.key).outerjoin_from(
    jobs, conversations, jobs.c.conversation_id == conversations.c.id
)
FACTS = Statement(_facts.where(_listed.sqlite), postgresql=_facts.where(_listed.postgresql))
_owing = among(deliveries.c.job_id)
_owed = select(deliveries.c.job_id).where(
    deliveries.c.endpoint_id.is_(None), deliveries.c.state == bindparam("in_state")
)
OWING = Statement(_owed.where(_owing.sqlite), postgresql=_owed.where(_owing.postgresql))


def looks_into_rows(wanted: JobFilter) -> bool:
    """Whether it asks for what an index has of one tenant only."""
    if wanted.tenant_id != EVERY_TENANT:
        return False
    return any(each is not None for each in (wanted.state, wanted.kind, wanted.session_id, wanted.delivery))


def newest(before: str, limit: int) -> Operation[list[str]]:
    return [row.id for row in (yield NEWEST(before=before, limit=limit))]


def suiting(wanted: JobFilter, ids: Sequence[str]) -> Operation[set[str]]:
    """Those of the ids whose rows have the wanted state, kind, session and state of the own delivery."""
    listed = json.dumps(list(ids))
    kept = {
        row.id
        for row in (yield FACTS(ids=listed))
        if wanted.state in (None, row.state)
        and wanted.kind in (None, row.kind)
        and wanted.session_id in (None, row.key)
    }
    if wanted.delivery is not None and kept:
        kept &= {row.job_id for row in (yield OWING(ids=listed, in_state=wanted.delivery))}
    return kept
