"""Jobs of all tenants together, for operators.

Ids sort by when jobs were accepted, so that the newest come along the primary key. No index has states, kinds or
conversations of all tenants. Where tenants are few, a list that asks for one of those merges the lists of each; where
they are many, or it asks for more, it looks into the rows, as for all that `sift` looks at.
"""

import json
from collections.abc import Sequence

from answerback.database.distinct import distinct
from answerback.database.operation import Operation
from answerback.database.statement import Statement
from answerback.jobs.model import JobFilter
from answerback.kernel.errors import InvalidField
from answerback.kernel.ids import EVERY_TENANT

MOST_TENANTS = 100
"""Each costs a list some probes of an index."""


# Every kind is a text that is not empty; to PostgreSQL that says that the index serves.
TENANTS = Statement(distinct("jobs", "tenant_id", "jobs.kind > ''", most=MOST_TENANTS))
"""Those that have jobs."""
NEWEST = Statement("SELECT id FROM jobs WHERE id < :before ORDER BY id DESC LIMIT :limit")
FACTS = Statement(
    lambda dialect: (
        f"""
    SELECT jobs.id, jobs.state, jobs.kind, conversations.key
    FROM jobs LEFT JOIN conversations ON conversations.id = jobs.conversation_id
    WHERE {dialect.among("jobs.id")}"""
    )
)
OWING = Statement(
    lambda dialect: (
        f"""
    SELECT job_id FROM deliveries WHERE endpoint_id IS NULL AND state = :in_state AND {dialect.among("job_id")}"""
    )
)


def looks_into_rows(wanted: JobFilter) -> bool:
    """Whether it asks for what an index has of one tenant only."""
    if wanted.tenant_id != EVERY_TENANT:
        return False
    return any(each is not None for each in (wanted.state, wanted.kind, wanted.session_id, wanted.delivery))


def tenants_of(wanted: JobFilter) -> Operation[list[str]]:
    """Those whose lists, merged, are the list that is asked for; none where that looks into the rows."""
    if wanted.delivery is not None and any((wanted.state, wanted.kind, wanted.session_id)):
        return []
    found = [row.tenant_id for row in (yield TENANTS())]
    return found if len(found) <= MOST_TENANTS else []


def all_tenants() -> Operation[list[str]]:
    found = [row.tenant_id for row in (yield TENANTS())]
    if len(found) > MOST_TENANTS:
        raise InvalidField("tenant", f"tenant: must be the id of one, since more than {MOST_TENANTS} have jobs")
    return found


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
