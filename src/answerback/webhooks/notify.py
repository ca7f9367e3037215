"""Notifying: a job's end inserts its deliveries, to the URL of its request and to each endpoint that subscribed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Row, Statement
from answerback.kernel.ids import new_id
from answerback.kernel.values import quickly_made
from answerback.queue.leases import OFFERED, Offer, bearing, offer_values
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


_NEW = {
    "job_id": ":job_id",
    "event_type": ":event_type",
    "tenant_id": ":tenant_id",
    "conversation_id": ":conversation_id",
    "position": ":position",
    "traceparent": ":traceparent",
    "body": ":body",
    "run_at": ":now",
    "deadline_at": ":deadline_at",
    "created_at": ":wall",
    "attempts": "'[]'",
    "attempts_made": "0",
}


def _state(destination: str, born: str = "") -> str:
    return f"""CASE
        WHEN {is_open(":conversation_id", destination)} THEN 'held'
        {born}
        ELSE 'pending'
    END"""


def _is_subscribed(tenant_id: str, event_type: str) -> str:
    return f"""EXISTS (
        SELECT 1 FROM webhook_subscriptions AS subscription
        WHERE subscription.tenant_id = {tenant_id} AND subscription.event_type = {event_type}
    )"""


def _born() -> str:
    """One with an offer is born claimed if it is not held, and no other at its origin is due or could not be
    reached."""
    there = "ahead.state = 'pending' AND ahead.tenant_id = :tenant_id AND ahead.origin = :origin"
    return f"""WHEN {OFFERED}
            AND NOT EXISTS (SELECT 1 FROM deliveries AS ahead WHERE {there} AND ahead.run_at <= :now)
            AND NOT EXISTS (SELECT 1 FROM deliveries AS ahead WHERE {there} AND ahead.unreached_at IS NOT NULL)
            THEN 'sending'"""


NOTIFY_URL = bearing(
    "deliveries",
    DeliveryState.SENDING,
    "job_id text, event_type text, tenant_id text, conversation_id bigint, position bigint, traceparent text, "
    "body bytea, now bigint, deadline_at bigint, id text, destination text, url text, origin text",
    {**_NEW, "id": ":id", "destination": ":destination", "url": ":url", "origin": ":origin"},
    lambda _: {"state": _state(":destination", _born())},
    on_sqlite={"subscribed": _is_subscribed(":tenant_id", ":event_type")},
    returning=f"deliveries.state, {_is_subscribed('deliveries.tenant_id', 'deliveries.event_type')} AS subscribed",
    key=("conversation_id", "destination"),
)
"""Also returns whether an endpoint subscribed to the event: most tenants have none, and pay for no second statement."""


def _fan_out(dialect: Dialect) -> str:
    # As `kernel.ids.new_id`: the milliseconds in 12 hex digits, and 20 random ones. A UUID's last 20 have 74 random
    # bits.
    new_id = dialect.either(
        "printf('%012x', :wall) || lower(hex(randomblob(10)))",
        "lpad(to_hex(CAST(:wall AS bigint)), 12, '0') || right(replace(CAST(gen_random_uuid() AS text), '-', ''), 20)",
    )
    chosen = {
        **_NEW,
        "attempt": "0",
        "lease_epoch": "0",
        "id": f"'msg_' || {new_id}",
        "endpoint_id": "endpoint.id",
        "destination": "endpoint.id",
        "url": "endpoint.url",
        "origin": "endpoint.origin",
        "state": _state("endpoint.id"),
    }
    return f"""
    INSERT INTO deliveries ({", ".join(chosen)})
    SELECT {", ".join(chosen.values())}
    FROM webhook_subscriptions AS subscription
    JOIN webhook_endpoints AS endpoint ON endpoint.id = subscription.endpoint_id
    WHERE subscription.tenant_id = :tenant_id AND subscription.event_type = :event_type
    RETURNING state, id, destination"""


NOTIFY_ENDPOINTS = Statement(_fan_out)
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
