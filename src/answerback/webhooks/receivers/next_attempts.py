"""When a pending delivery is tried next: at its turn in the schedule, before it by a probe, or after it while the
circuit breaker of its origin admits probes only.

The breakers are each process's own. What they do is computed here from the attempts that the rows remember.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Row
from answerback.queue.attempts import SAYS_NOTHING, Attempt, attempts_of
from answerback.webhooks.limits.breaker import FAILURES_TO_OPEN, pause_after
from answerback.webhooks.model import DeliveryState, OriginKey
from answerback.webhooks.receivers.rows import (
    DEAD,
    DELIVERED,
    DUE_FIRST,
    DUE_LAST,
    SENDING,
    TO_ENDPOINTS,
    UNREACHED_FIRST,
    ends,
    key_of,
    newest_of_each,
    with_attempts,
)


@dataclass(frozen=True, slots=True)
class Probe:
    """The next attempt at an origin that does not respond. `at` is epoch milliseconds of the wall clock; `only`: until
    then nothing else is tried there."""

    at: int
    only: bool


def probe_after(attempts: Sequence[Attempt]) -> Probe | None:
    """As far as these attempts at the origin say, oldest first; None where the last one got a response."""
    failing = list(takewhile(lambda attempt: attempt.http_status is None, reversed(attempts)))
    if not failing:
        return None
    last, first = failing[0], failing[-1]
    # Not since their `started_at`, which is the claim's: a wait for a turn is none of the receiver's.
    outage, took = last.finished_at - first.finished_at + (first.duration_ms or 0), last.duration_ms or 0
    pause = int(1000 * pause_after(outage / 1000, took / 1000))
    return Probe(last.finished_at + pause, only=len(failing) >= FAILURES_TO_OPEN)


def next_attempt(due: int, probe: Probe | None, now: int, *, unreached: bool) -> int:
    """Of a delivery that is `due` by its schedule. Only one that was `unreached` is tried before."""
    if probe is None:
        return due
    # What is due and was not tried waits for the probe, like all others while the breaker is open.
    if probe.only or due <= now:
        return probe.at if unreached else max(due, probe.at)
    return min(due, probe.at) if unreached else due


def next_attempts(tx: Transaction, rows: Sequence[Row]) -> Operation[Mapping[str, int]]:
    """Of the pending ones among these deliveries, by their ids."""
    pending = [row for row in rows if row.state == DeliveryState.PENDING]
    unsure = {key_of(row) for row in pending if row.unreached_at is not None or row.run_at <= tx.now}
    probes = yield from _probes(sorted(unsure))
    return {
        row.id: next_attempt(
            row.run_at + tx.wall_ahead, probes.get(key_of(row)), tx.wall, unreached=row.unreached_at is not None
        )
        for row in pending
    }


def _probes(keys: Sequence[OriginKey]) -> Operation[dict[OriginKey, Probe]]:
    """Of those of these origins that do not respond: one at which no delivery was unreached is called as usual."""
    (unreached,) = (yield from ends(keys, (UNREACHED_FIRST,))) or ((),)
    failing = sorted({key_of(row) for row in unreached})
    if not failing:
        return {}
    of_pending = [unreached, *(yield from ends(failing, (DUE_FIRST, DUE_LAST)))]
    tenants = [{"tenant_id": tenant_id} for tenant_id in sorted({key.tenant_id for key in failing})]
    newest = []
    for statement in (DELIVERED, DEAD, TO_ENDPOINTS, SENDING):
        found = yield statement.each(tenants)
        newest.append([row for _, row in found if key_of(row) in failing])
    rows = yield from with_attempts(newest_of_each(newest, of_pending))
    made: defaultdict[OriginKey, list[Sequence[Attempt]]] = defaultdict(list)
    for row in rows:
        made[key_of(row)].append(attempts_of(row.attempts))
    probes = {key: probe_after(in_order(made[key])) for key in failing}
    return {key: probe for key, probe in probes.items() if probe is not None}


def in_order(made: Iterable[Sequence[Attempt]]) -> list[Attempt]:
    """Those of the attempts at several deliveries that say how their receiver answers, oldest first."""
    answers = (each for each in chain.from_iterable(made) if each.status not in SAYS_NOTHING)
    return sorted(answers, key=lambda attempt: attempt.finished_at)
