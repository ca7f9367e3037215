"""Notifying: a job's end inserts its deliveries, to the URL of its request and to each endpoint that subscribed."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, cast, exists, func, insert, literal_column, select
from sqlalchemy.types import Text

from answerback.database.operation import Operation, Statement, Transaction
from answerback.database.tables import deliveries, webhook_endpoints, webhook_subscriptions
from answerback.kernel.ids import new_id
from answerback.webhooks.model import DEADLINE_MS, DeliveryState, destination_of, origin_of
from answerback.webhooks.order import is_open


@dataclass(frozen=True, slots=True)
class EventBody:
    """An event, and the JSON text that the callback URL receives."""

    type: str
    body: bytes


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


def _bound(name: str) -> Any:
    return bindparam(name, type_=deliveries.c[name].type)


def _state(destination: ColumnElement[Any]) -> ColumnElement[Any]:
    return case(
        (is_open(_bound("conversation_id"), destination), literal_column(f"'{DeliveryState.HELD}'")),
        else_=literal_column(f"'{DeliveryState.PENDING}'"),
    )


_GIVEN = ("job_id", "event_type", "tenant_id", "conversation_id", "position", "traceparent", "body")
_TIMES: dict[str, Any] = {
    "run_at": bindparam("now", type_=deliveries.c.run_at.type),
    "deadline_at": _bound("deadline_at"),
    "created_at": bindparam("wall", type_=deliveries.c.created_at.type),
}
_NEW: dict[str, Any] = {
    **{name: _bound(name) for name in _GIVEN},
    **_TIMES,
    "attempt": literal_column("0"),
    "attempts": literal_column("'[]'"),
    "attempts_made": literal_column("0"),
    "lease_epoch": literal_column("0"),
}

_subscribed = exists(
    select(literal_column("1")).where(
        webhook_subscriptions.c.tenant_id == bindparam("tenant_id"),
        webhook_subscriptions.c.event_type == bindparam("event_type"),
    )
)
NOTIFY_URL = Statement(
    insert(deliveries)
    .values(
        **_NEW,
        id=_bound("id"),
        destination=_bound("destination"),
        url=_bound("url"),
        origin=_bound("origin"),
        state=_state(_bound("destination")),
    )
    .returning(deliveries.c.state, _subscribed.label("subscribed"))
)
"""Also returns whether an endpoint subscribed to the event: most tenants have none, and pay for no second statement."""


def _fan_out(delivery_id: ColumnElement[str]) -> Any:
    endpoint = webhook_endpoints.c
    chosen: dict[str, Any] = {
        **_NEW,
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
    return insert(deliveries).from_select(list(chosen), subscribed)


# As `kernel.ids.new_id`: the milliseconds in 12 hex digits, and 20 random ones. A UUID's last 20 have 74 random bits.
_ms = bindparam("wall", type_=deliveries.c.created_at.type)
_uuid = func.replace(cast(func.gen_random_uuid(), Text), "-", "")
NOTIFY_ENDPOINTS = Statement(
    _fan_out(literal_column("'msg_'", Text) + func.printf("%012x", _ms) + func.lower(func.hex(func.randomblob(10)))),
    postgresql=_fan_out(literal_column("'msg_'", Text) + func.lpad(func.to_hex(_ms), 12, "0") + func.right(_uuid, 20)),
)
NOTIFYING = (NOTIFY_URL, NOTIFY_ENDPOINTS)
"""The steps of `notify`, for the plan of a batch."""


def notify(tx: Transaction, notice: Notice) -> Operation[None]:
    """Runs in the transaction that ends the job, under the lock of its conversation."""
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
            rows = yield NOTIFY_URL(
                **given,
                id=new_id("msg_", tx.wall),
                destination=destination_of(notice.callback_url),
                url=notice.callback_url,
                origin=origin_of(notice.callback_url),
                body=event.body,
            )
            subscribed = bool(rows[0].subscribed)
        if subscribed:
            body = envelope(new_id("evt_", tx.wall), event.type, tx.wall, event.body)
            yield NOTIFY_ENDPOINTS(**given, body=body)


def envelope(event_id: str, event_type: str, at: int, data: bytes) -> bytes:
    """What an endpoint receives: OpenAI's event object around `data`, the JSON text that the callback URL receives.
    `at` is in epoch milliseconds of the wall clock."""
    head = {"id": event_id, "object": "event", "type": event_type, "created_at": at // 1000}
    return json.dumps(head).encode()[:-1] + b', "data": ' + data + b"}"
