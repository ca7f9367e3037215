"""The receivers of a tenant's deliveries, by origin: how each answers, and what it is owed.

What is counted is bounded, however many deliveries there are: all that wait for an attempt, the newest of those that
are held, dead, being sent, were delivered, or go to endpoints.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Row, Rows
from answerback.queue.attempts import Attempt, attempts_of
from answerback.webhooks.model import DeliveryState, OriginKey, path_of
from answerback.webhooks.receivers.next_attempts import in_order, next_attempt, probe_after
from answerback.webhooks.receivers.rows import (
    DEAD,
    DELIVERED,
    HELD,
    SENDING,
    TO_ENDPOINTS,
    WAITING,
    claimed,
    ends,
    key_of,
    newest_of_each,
    with_attempts,
)

MAX_RECEIVERS = 100
MAX_FAILING = 5
"""How many failing paths of a receiver are shown."""


@dataclass(frozen=True, slots=True)
class FailingPath:
    """A path of a receiver whose newest attempt failed. `url` is where that went."""

    url: str
    error: str


@dataclass(frozen=True, slots=True)
class Receiver:
    """One origin. `url` is where the newest delivery went that was read; `healthy` is None before the first attempt;
    `failing` are the paths that failed last. Times are epoch milliseconds of the wall clock."""

    origin: str
    url: str
    healthy: bool | None
    waiting: int
    held: int
    sending: int
    dead: int
    last_error: str | None
    failing: tuple[FailingPath, ...]
    last_attempt_at: int | None
    next_attempt_at: int | None
    delivered_at: int | None

    @property
    def owed(self) -> int:
        return self.waiting + self.held + self.sending + self.dead


_Tried: TypeAlias = tuple[Row, Sequence[Attempt]]
"""A delivery, and the attempts at it that it remembers."""


@dataclass(frozen=True, slots=True)
class _Owed:
    """What an origin is owed; `due` is when the first of it is, by its schedule."""

    waiting: int
    held: int
    sending: int
    dead: int
    due: int | None


def receivers(tx: Transaction, tenant_id: str) -> Operation[Sequence[Receiver]]:
    """Those that are owed most first."""
    waiting = {row.origin: row for row in (yield WAITING(tenant_id=tenant_id))}
    held = yield HELD(tenant_id=tenant_id)
    dead = yield DEAD(tenant_id=tenant_id)
    delivered = yield DELIVERED(tenant_id=tenant_id)
    to_endpoints = yield TO_ENDPOINTS(tenant_id=tenant_id)
    sending = yield SENDING(tenant_id=tenant_id)
    # Of an erased one nothing is left to send, and of a deleted endpoint nowhere to send it.
    resendable = [row for row in dead if not row.unsendable]
    owed = Counter({origin: row.rows for origin, row in waiting.items()})
    owed.update(row.origin for row in (*held, *sending, *resendable))
    origins = [origin for origin, _ in owed.most_common(MAX_RECEIVERS)]
    others = dict.fromkeys(row.origin for row in (*delivered, *to_endpoints, *dead) if row.origin not in owed)
    keys = [OriginKey(tenant_id, each) for each in (*origins, *list(others)[: MAX_RECEIVERS - len(origins)])]
    of_pending = yield from ends([key for key in keys if key.origin in waiting])
    newest = (held, dead, delivered, to_endpoints, sending)
    failing = _failing(keys, (*of_pending, dead, delivered, to_endpoints))
    rows = yield from with_attempts(
        newest_of_each(newest, of_pending) | {each for ids in failing.values() for each in ids}
    )
    tried: defaultdict[str, list[_Tried]] = defaultdict(list)
    for row in rows:
        tried[row.origin].append((row, attempts_of(row.attempts)))
    all_held, all_sending, all_dead = (Counter(row.origin for row in sort) for sort in (held, sending, resendable))
    return [
        _receiver(
            tx,
            key,
            tried[key.origin],
            _Owed(
                waiting[key.origin].rows if key.origin in waiting else 0,
                all_held[key.origin],
                all_sending[key.origin],
                all_dead[key.origin],
                waiting[key.origin].run_at + tx.wall_ahead if key.origin in waiting else None,
            ),
            failing.get(key, ()),
        )
        for key in keys
    ]


def _failing(keys: Sequence[OriginKey], sorts: Iterable[Rows]) -> dict[OriginKey, list[str]]:
    """The ids of the deliveries that were tried last at paths that may be failing, the newest first."""
    tried = sorted((row for rows in sorts for row in rows if row.claimed_at is not None), key=claimed)
    last = {(key_of(row), path_of(row.url)): row for row in tried}
    newest: dict[OriginKey, list[str]] = {key: [] for key in keys}
    for row in sorted(last.values(), key=claimed, reverse=True):
        ids = newest.get(key_of(row))
        if row.state != DeliveryState.DELIVERED and ids is not None and len(ids) < MAX_FAILING:
            ids.append(row.id)
    return newest


def _receiver(
    tx: Transaction, key: OriginKey, tried: Sequence[_Tried], owed: _Owed, failing: Sequence[str]
) -> Receiver:
    attempts = in_order(made for _, made in tried)
    last = attempts[-1] if attempts else None
    probe = probe_after(attempts)
    rows = [row for row, _ in tried]
    by_id = {row.id: (row, made) for row, made in tried}
    return Receiver(
        origin=key.origin,
        url=max(rows, key=lambda row: row.id).url if rows else key.origin,
        healthy=None if last is None else last.status == DeliveryState.DELIVERED,
        waiting=owed.waiting,
        held=owed.held,
        sending=owed.sending,
        dead=owed.dead,
        last_error=last.error if last is not None else None,
        failing=tuple(path for each in failing if each in by_id and (path := _failing_path(*by_id[each]))),
        last_attempt_at=last.finished_at if last is not None else None,
        next_attempt_at=None if owed.due is None else next_attempt(owed.due, probe, tx.wall, unreached=True),
        delivered_at=max((row.delivered_at for row in rows if row.delivered_at is not None), default=None),
    )


def _failing_path(row: Row, attempts: Sequence[Attempt]) -> FailingPath | None:
    """None where the newest attempt did not fail: what was taken may be sent again."""
    made = in_order([attempts])
    error = made[-1].error if made else None
    return None if error is None else FailingPath(row.url, error)
