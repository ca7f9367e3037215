"""Endpoints: where a tenant receives the events that it subscribed to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from answerback.database.operation import Operation, Transaction
from answerback.database.sql import inserting
from answerback.database.statement import Row, Statement
from answerback.kernel.errors import Conflict, NotFound
from answerback.kernel.ids import new_id
from answerback.webhooks.model import ENDPOINT, origin_of
from answerback.webhooks.signing.secrets import forget, make_first, rotate

BEFORE_ALL = "whf"
"""Sorts after every id of an endpoint, in whatever order a database sorts text."""

MAX_ENDPOINTS = 100
"""Of a tenant: the end of one of its jobs inserts a delivery for each that subscribed. Two that are created at the same
moment may exceed it by one."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Times are epoch milliseconds of the wall clock; `event_types` are sorted; `secret` is the one that signs now."""

    id: str
    tenant_id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    created_at: int
    updated_at: int
    secret: str = field(repr=False)


ENDPOINT_DELETED = (
    "(deliveries.endpoint_id IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM webhook_endpoints WHERE webhook_endpoints.id = deliveries.endpoint_id))"
)
"""Of a delivery: there is nothing left to send it to."""

_ENDPOINTS = """
    SELECT id, tenant_id, name, url, created_at, updated_at, (
        SELECT value FROM signing_secrets WHERE owner = webhook_endpoints.id AND expires_at IS NULL
        ORDER BY signing_secrets.id DESC LIMIT 1
    ) AS secret
    FROM webhook_endpoints"""
_OWN = "id = :endpoint_id AND tenant_id = :tenant_id"

COUNT = Statement("SELECT count(*) AS made FROM webhook_endpoints WHERE tenant_id = :tenant_id")
INSERT = Statement(
    inserting("webhook_endpoints", "id", "tenant_id", "name", "url", "origin", "created_at", "updated_at")
)
SUBSCRIBE = Statement(inserting("webhook_subscriptions", "tenant_id", "event_type", "endpoint_id"))
UNSUBSCRIBE = Statement("DELETE FROM webhook_subscriptions WHERE endpoint_id = :endpoint_id")
FIND = Statement(f"{_ENDPOINTS} WHERE {_OWN}")
UPDATE = Statement(
    f"""
    UPDATE webhook_endpoints SET name = :new_name, url = :new_url, origin = :new_origin, updated_at = :wall
    WHERE {_OWN}"""
)
# Two updates of one endpoint follow each other, subscriptions included.
LOCK = Statement(lambda dialect: f"{_ENDPOINTS} WHERE {_OWN} {dialect.locking('FOR UPDATE')}")
_OF_TENANT = f"{_ENDPOINTS} WHERE tenant_id = :tenant_id"
NEWEST = Statement(f"{_OF_TENANT} AND id < :after ORDER BY id DESC LIMIT :limit")
OLDEST = Statement(f"{_OF_TENANT} AND id > :after ORDER BY id LIMIT :limit")
TYPES = Statement("SELECT event_type FROM webhook_subscriptions WHERE endpoint_id = :endpoint_id ORDER BY event_type")
TOUCH = Statement(f"UPDATE webhook_endpoints SET updated_at = :wall WHERE {_OWN}")
DELETE = Statement(f"DELETE FROM webhook_endpoints WHERE {_OWN} RETURNING id")


def create(tx: Transaction, tenant_id: str, name: str, url: str, event_types: Iterable[str]) -> Operation[Endpoint]:
    """Raises Conflict where the tenant has as many as it may."""
    if (yield COUNT(tenant_id=tenant_id))[0].made >= MAX_ENDPOINTS:
        raise Conflict(f"you have {MAX_ENDPOINTS} webhook endpoints, the most there may be; delete one first")
    endpoint_id = new_id(ENDPOINT, tx.wall)
    yield INSERT(
        id=endpoint_id,
        tenant_id=tenant_id,
        name=name,
        url=url,
        origin=origin_of(url),
        created_at=tx.wall,
        updated_at=tx.wall,
    )
    types = yield from _subscribe(tenant_id, endpoint_id, event_types)
    secret = yield from make_first(tx, endpoint_id)
    return Endpoint(endpoint_id, tenant_id, name, url, types, tx.wall, tx.wall, secret)


def get(_: Transaction, tenant_id: str, endpoint_id: str) -> Operation[Endpoint]:
    """Raises NotFound."""
    rows = yield FIND(endpoint_id=endpoint_id, tenant_id=tenant_id)
    return (yield from _endpoint(_only(rows, endpoint_id)))


def list_endpoints(
    _: Transaction, tenant_id: str, after: str | None, limit: int, *, newest_first: bool
) -> Operation[list[Endpoint]]:
    """By the time of creation; `after` is the last id of the page before."""
    listed = []
    page = NEWEST if newest_first else OLDEST
    for row in (yield page(tenant_id=tenant_id, after=after or (BEFORE_ALL if newest_first else ""), limit=limit)):
        listed.append((yield from _endpoint(row)))
    return listed


def change(
    tx: Transaction,
    tenant_id: str,
    endpoint_id: str,
    name: str | None,
    url: str | None,
    event_types: Iterable[str] | None,
) -> Operation[Endpoint]:
    """What is None stays; one that stays as it is keeps its `updated_at`. Deliveries that are owed already still go to
    the old URL. Raises NotFound."""
    row = _only((yield LOCK(endpoint_id=endpoint_id, tenant_id=tenant_id)), endpoint_id)
    found = yield from _endpoint(row)
    wanted = replace(
        found,
        name=found.name if name is None else name,
        url=found.url if url is None else url,
        event_types=found.event_types if event_types is None else tuple(sorted(set(event_types))),
    )
    if wanted == found:
        return found
    yield UPDATE(
        endpoint_id=endpoint_id,
        tenant_id=tenant_id,
        new_name=wanted.name,
        new_url=wanted.url,
        new_origin=origin_of(wanted.url),
        wall=tx.wall,
    )
    if wanted.event_types != found.event_types:
        yield UNSUBSCRIBE(endpoint_id=endpoint_id)
        yield from _subscribe(tenant_id, endpoint_id, wanted.event_types)
    return replace(wanted, updated_at=tx.wall)


def rotate_secret(tx: Transaction, tenant_id: str, endpoint_id: str, *, overlap: bool) -> Operation[Endpoint]:
    """With a new secret; with an `overlap` the old one signs beside it for 24 h. Raises NotFound."""
    _only((yield LOCK(endpoint_id=endpoint_id, tenant_id=tenant_id)), endpoint_id)
    yield from rotate(tx, endpoint_id, overlap=overlap)
    yield TOUCH(endpoint_id=endpoint_id, tenant_id=tenant_id, wall=tx.wall)
    return (yield from get(tx, tenant_id, endpoint_id))


def remove(_: Transaction, tenant_id: str, endpoint_id: str) -> Operation[None]:
    """Deletes it with its subscriptions and secrets. Deliveries still owed to it end dead when they are due. Raises
    NotFound."""
    _only((yield DELETE(endpoint_id=endpoint_id, tenant_id=tenant_id)), endpoint_id)
    yield UNSUBSCRIBE(endpoint_id=endpoint_id)
    yield from forget(endpoint_id)


def _subscribe(tenant_id: str, endpoint_id: str, event_types: Iterable[str]) -> Operation[tuple[str, ...]]:
    types = tuple(sorted(set(event_types)))
    yield SUBSCRIBE.many([{"tenant_id": tenant_id, "event_type": each, "endpoint_id": endpoint_id} for each in types])
    return types


def _endpoint(row: Row) -> Operation[Endpoint]:
    found = yield TYPES(endpoint_id=row.id)
    types = tuple(each.event_type for each in found)
    return Endpoint(row.id, row.tenant_id, row.name, row.url, types, row.created_at, row.updated_at, row.secret)


def _only(rows: Sequence[Row], endpoint_id: str) -> Row:
    if not rows:
        raise NotFound(f"there is no webhook endpoint {endpoint_id!r}")
    return rows[0]
