"""What is looked at of a tenant's deliveries, to say how their receivers answer.

How one answers, its newest attempt says that one of these rows remembers: of each sort, the one that was claimed last;
of those being sent, the one whose last attempt ended last.
"""

import json
from collections.abc import Iterable, Sequence

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation
from answerback.database.predicates import LISTED
from answerback.database.sql import columns_of
from answerback.database.statement import Row, Rows, Statement
from answerback.webhooks.endpoints.operations import ENDPOINT_DELETED
from answerback.webhooks.model import OriginKey

COUNTED = 100_000
"""How many deliveries that wait for an attempt are counted."""
NEWEST = 1_000
"""How many of each other sort are looked at: the newest."""
ENDS = 8
"""How many of an origin's pending deliveries are looked at: of those due first, due last, and not reached the
oldest."""


_LOOKED_AT = ("id", "tenant_id", "origin", "url", "state", "claimed_at")

WAITING = Statement(
    f"""
    SELECT waiting.origin, count(*) AS rows, min(waiting.run_at) AS run_at FROM (
        SELECT origin, run_at FROM deliveries WHERE state = 'pending' AND tenant_id = :tenant_id
        ORDER BY tenant_id, origin, run_at LIMIT {COUNTED}
    ) AS waiting
    GROUP BY waiting.origin"""
)


def _newest(where: str, by: str = "id", also: str = "") -> Statement:
    """The newest by a column that is never empty, as the index that serves says."""
    return Statement(
        lambda dialect: (
            f"""
        SELECT {", ".join(_LOOKED_AT)}{also} FROM deliveries
        WHERE {where} AND {by} > '' AND {dialect.equals("tenant_id")}
        ORDER BY tenant_id DESC, {by} DESC LIMIT {NEWEST}"""
        )
    )


# Those to the callback URLs of requests, whose index has them by job.
HELD = _newest(f"state = 'held' AND {LISTED}", by="job_id")
DELIVERED = _newest(f"state = 'delivered' AND {LISTED}", by="job_id")
DEAD = _newest("state = 'dead'", also=f", length(body) = 0 OR {ENDPOINT_DELETED} AS unsendable")
TO_ENDPOINTS = _newest("endpoint_id IS NOT NULL AND state <> 'sending'")


def _sending(dialect: Dialect) -> str:
    last_ended = dialect.either(
        "json_extract(attempts, '$[#-1].finished_at')", "CAST(attempts -> -1 ->> 'finished_at' AS bigint)"
    )
    # In the place of their `claimed_at`, which is that of the attempt under way.
    return f"""
    SELECT {", ".join(_LOOKED_AT[:-1])}, {last_ended} AS claimed_at FROM deliveries
    WHERE state = 'sending' AND tenant_id = :tenant_id
    ORDER BY lease_expires_at DESC LIMIT {NEWEST}"""


SENDING = Statement(_sending)


def _end(order: str, where: str = "true") -> Statement:
    """Of each origin of `keys`, a JSON array of arrays of a tenant and an origin, the first pending ones in this
    order."""

    def near(tenant_id: str, origin: str, columns: str) -> str:
        return f"""
            SELECT {columns} FROM deliveries AS near
            WHERE near.state = 'pending' AND near.tenant_id = {tenant_id} AND near.origin = {origin} AND {where}
            ORDER BY near.{order} LIMIT {ENDS}"""

    of_key = "json_extract(origins.value, '$[0]')", "json_extract(origins.value, '$[1]')"
    columns = columns_of("near", (*_LOOKED_AT, "run_at", "created_at"))
    sqlite = f"""
    SELECT {columns_of("deliveries", _LOOKED_AT)}
    FROM json_each(:keys) AS origins JOIN deliveries ON deliveries.rowid IN ({near(*of_key, "near.rowid")})
    ORDER BY deliveries.{order}"""
    postgresql = f"""
    SELECT {columns_of("ends", _LOOKED_AT)}
    FROM jsonb_array_elements(CAST(:keys AS jsonb)) AS origins(value)
    JOIN LATERAL ({near("origins.value ->> 0", "origins.value ->> 1", columns)}) AS ends ON true
    ORDER BY ends.{order}"""
    return Statement(lambda dialect: dialect.either(sqlite, postgresql))


DUE_FIRST = _end("run_at")
DUE_LAST = _end("run_at DESC")
UNREACHED_FIRST = _end("created_at", "near.unreached_at IS NOT NULL")
"""Those that are tried before their turn."""
SHOWN = Statement(
    lambda dialect: (
        f"SELECT id, tenant_id, origin, url, attempts, delivered_at FROM deliveries WHERE {dialect.among('id')}"
    )
)
ENDS_OF_PENDING = (UNREACHED_FIRST, DUE_FIRST, DUE_LAST)


def key_of(row: Row) -> OriginKey:
    return OriginKey(row.tenant_id, row.origin)


def ends(keys: Sequence[OriginKey], which: Sequence[Statement] = ENDS_OF_PENDING) -> Operation[list[Rows]]:
    """Of the pending deliveries of each origin, in order."""
    found = []
    for end in which if keys else ():
        found.append((yield end(keys=json.dumps(keys))))
    return found


def newest_of_each(newest: Iterable[Rows], of_pending: Iterable[Rows]) -> set[str]:
    """The ids of those that say how each origin answers."""
    ids: set[str] = set()
    for rows in of_pending:
        # The first of an origin, whose attempts may go back furthest.
        ids |= set({key_of(row): row.id for row in reversed(rows)}.values())
    for rows in (*newest, *of_pending):
        # Of several rows of an origin the last stays.
        ids |= set({key_of(row): row.id for row in sorted(rows, key=claimed)}.values())
    return ids


def claimed(row: Row) -> tuple[int, str]:
    return (row.claimed_at or 0, row.id)


def with_attempts(ids: Iterable[str]) -> Operation[Rows]:
    return (yield SHOWN(ids=json.dumps(sorted(ids))))
