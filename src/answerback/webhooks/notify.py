"""Notifying: a job's end inserts its deliveries, to the URL of its request and to each endpoint that subscribed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, cast, exists, func, insert, literal_column, select
from sqlalchemy.types import Text

from answerback.database.operation import Operation, Row, Statement, Transaction
from answerback.database.sql import aliased, as_text, bound, in_state
from answerback.database.tables import deliveries, webhook_endpoints, webhook_subscriptions
from answerback.kernel.ids import new_id
from answerback.kernel.values import quickly_made
from answerback.queue.leases import Offer, bearing, offer_values, offered
from answerback.webhooks.model import DEADLINE_MS, ClaimedDelivery, DeliveryState, Held, destination_of, origin_of
from answerback.webhooks.order import HEAD, is_open


@quickly_made
@dataclass(frozen=True, slots=True)
class EventBody:
    """An event, and the JSON text that the callback URL receives."""

    type: str
    body: bytes


@quickly_made
@dataclass(frozen=True, slots=True)
class Notice:
    """What a job's end notifies. `conversation_id` and `position` are None for a job without a conversation,
    `callback_url` where the request named none."""

    job_id: str
    tenant_id: str
    conversation_id: int | None
    position: int | None
    callback_url: str | None
    traceparent: str | None
    events: tuple[EventBody, ...]


@quickly_made
@dataclass(frozen=True, slots=True)
class Notified:
    """What a notice came to: the delivery that was born claimed, if any, whether others may be due, and those that
    wait behind another."""

    claim: ClaimedDelivery | None
    owes: bool
    held: tuple[Held, ...]


def _bound(name: str) -> Any:
    return bound(deliveries.c[name])


def _state(destination: ColumnElement[Any], *born: tuple[ColumnElement[bool], str]) -> ColumnElement[Any]:
    return case(
        (is_open(_bound("conversation_id"), destination), as_text(DeliveryState.HELD)),
        *((when, as_text(state)) for when, state in born),
        else_=as_text(DeliveryState.PENDING),
    )


_GIVEN = ("job_id", "event_type", "tenant_id", "conversation_id", "position", "traceparent", "body")
_now = bound(deliveries.c.run_at, "now")
_NEW: dict[str, Any] = {
    **{name: _bound(name) for name in _GIVEN},
    "run_at": _now,
    "deadline_at": _bound("deadline_at"),
    "created_at": bound(deliveries.c.created_at, "wall"),
    "attempts": literal_column("'[]'"),
    "attempts_made": literal_column("0"),
}
_UNCLAIMED: dict[str, Any] = {"attempt": literal_column("0"), "lease_epoch": literal_column("0")}


def _subscribed(tenant_id: ColumnElement[str], event_type: ColumnElement[str]) -> ColumnElement[bool]:
    subscribed: Select[Any] = select(literal_column("1")).where(
        webhook_subscriptions.c.tenant_id == tenant_id, webhook_subscriptions.c.event_type == event_type
    )
    return exists(subscribed).label("subscribed")


def _of_the_row(column: str) -> ColumnElement[str]:
    """Of the row that is being inserted, in a subquery: as text, since SQLAlchemy would join the table there."""
    return literal_column(f"deliveries.{column}", Text)


def _born() -> Select[Any]:
    """One with an offer is born claimed if it is not held, and no other at its origin is due or could not be
    reached."""
    ahead = aliased(deliveries, "ahead")
    there = (
        in_state(ahead, DeliveryState.PENDING),
        ahead.c.tenant_id == _bound("tenant_id"),
        ahead.c.origin == _bound("origin"),
    )
    due = exists(select(literal_column("1")).where(*there, ahead.c.run_at <= _now))
    unreached = exists(select(literal_column("1")).where(*there, ahead.c.unreached_at.is_not(None)))
    free = and_(offered(deliveries), ~due, ~unreached)
    return select(_state(_bound("destination"), (free, DeliveryState.SENDING)).label("state"))


NOTIFY_URL = bearing(
    deliveries,
    DeliveryState.SENDING,
    {**_NEW, **{name: _bound(name) for name in ("id", "destination", "url", "origin")}},
    _born().add_columns(_subscribed(bindparam("tenant_id"), bindparam("event_type"))),
    postgresql=_born(),
    returned=(deliveries.c.state, _subscribed(_of_the_row("tenant_id"), _of_the_row("event_type"))),
    key=("conversation_id", "destination"),
)
"""Also returns whether an endpoint subscribed to the event: most tenants have none, and pay for no second statement."""


def _fan_out(delivery_id: ColumnElement[str]) -> Any:
    endpoint = webhook_endpoints.c
    chosen: dict[str, Any] = {
        **_NEW,
        **_UNCLAIMED,
        "id": delivery_id,
        "endpoint_id": endpoint.id,
        "destination": endpoint.id,
        "url": endpoint.url,
        "origin": endpoint.origin,
        "state": _state(endpoint.id),
    }
    subscribed = (
        select(*chosen.values())
        .select_from(webhook_subscriptions)
        .join(webhook_endpoints, endpoint.id == webhook_subscriptions.c.endpoint_id)
        .where(
            webhook_subscriptions.c.tenant_id == _bound("tenant_id"),
            webhook_subscriptions.c.event_type == _bound("event_type"),
        )
    )
    inserted = insert(deliveries).from_select(list(chosen), subscribed)
    return inserted.returning(deliveries.c.state, deliveries.c.id, deliveries.c.destination)


# As `kernel.ids.new_id`: the milliseconds in 12 hex digits, and 20 random ones. A UUID's last 20 have 74 random bits.
_ms = bindparam("wall", type_=deliveries.c.created_at.type)
_uuid = func.replace(cast(func.gen_random_uuid(), Text), "-", "")
NOTIFY_ENDPOINTS = Statement(
    _fan_out(literal_column("'msg_'", Text) + func.printf("%012x", _ms) + func.lower(func.hex(func.randomblob(10)))),
    postgresql=_fan_out(literal_column("'msg_'", Text) + func.lpad(func.to_hex(_ms), 12, "0") + func.right(_uuid, 20)),
)
NOTIFYING = (NOTIFY_URL, NOTIFY_ENDPOINTS, HEAD)
"""The steps of `notify`, for the plan of a batch."""


def notify(tx: Transaction, notice: Notice, offer: Offer | None = None) -> Operation[Notified]:
    """Runs in the transaction that ends the job, under the lock of its conversation. The offer is for one delivery to
    the request's URL."""
    claim, owes = None, False
    waiting: list[tuple[str, str]] = []
    for event in notice.events:
        given: dict[str, Any] = {
            "job_id": notice.job_id,
            "event_type": event.type,
            "tenant_id": notice.tenant_id,
            "conversation_id": notice.conversation_id,
            "position": notice.position,
            "traceparent": notice.traceparent,
            "now": tx.now,
            "wall": tx.wall,
            "deadline_at": tx.now + DEADLINE_MS,
        }
        subscribed = True
        if notice.callback_url is not None:
            row, new = yield from _notify_callback(
                tx, notice.callback_url, event, given, offer if claim is None else None
            )
            claim = claim or (new if row.state == DeliveryState.SENDING else None)
            owes, subscribed = owes or row.state == DeliveryState.PENDING, bool(row.subscribed)
            waiting += [(new.id, new.destination)] if row.state == DeliveryState.HELD else []
        if subscribed:
            body = envelope(new_id("evt_", tx.wall), event.type, tx.wall, event.body)
            fanned_out = yield NOTIFY_ENDPOINTS(**given, body=body)
            owes = owes or any(row.state == DeliveryState.PENDING for row in fanned_out)
            waiting += [(row.id, row.destination) for row in fanned_out if row.state == DeliveryState.HELD]
    return Notified(claim, owes, (yield from _held(notice.conversation_id, waiting)) if waiting else ())


def _held(conversation_id: int | None, waiting: Sequence[tuple[str, str]]) -> Operation[tuple[Held, ...]]:
    """Of deliveries by id and destination."""
    held = []
    for delivery_id, destination in waiting:
        rows = yield HEAD(conversation_id=conversation_id, destination=destination)
        held += [Held(delivery_id, row.job_id) for row in rows]
    return tuple(held)


def _notify_callback(
    tx: Transaction, callback_url: str, event: EventBody, given: Mapping[str, Any], offer: Offer | None
) -> Operation[tuple[Row, ClaimedDelivery]]:
    """The row's state, and the delivery as it is if it was born claimed."""
    delivery = ClaimedDelivery(
        id=new_id("msg_", tx.wall),
        job_id=given["job_id"],
        event_type=event.type,
        endpoint_id=None,
        endpoint_deleted=False,
        destination=destination_of(callback_url),
        tenant_id=given["tenant_id"],
        conversation_id=given["conversation_id"],
        url=callback_url,
        origin=origin_of(callback_url),
        body=event.body,
        epoch=1,
        attempt=1,
        claimed_at=tx.now,
        at=tx.wall,
        due_at=tx.now,
        deadline_at=given["deadline_at"],
        created_at=tx.wall,
        traceparent=given["traceparent"],
    )
    rows = yield NOTIFY_URL(
        **given,
        **offer_values(tx, offer),
        id=delivery.id,
        destination=delivery.destination,
        url=delivery.url,
        origin=delivery.origin,
        body=delivery.body,
    )
    return rows[0], delivery


def envelope(event_id: str, event_type: str, at: int, data: bytes) -> bytes:
    """What an endpoint receives: OpenAI's event object around `data`, the JSON text that the callback URL receives.
    `at` is in epoch milliseconds of the wall clock."""
    head = {"id": event_id, "object": "event", "type": event_type, "created_at": at // 1000}
    return json.dumps(head).encode()[:-1] + b', "data": ' + data + b"}"
