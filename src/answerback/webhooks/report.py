"""How a claimed delivery leaves its lease: with a report of its attempt, extended, or given back."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, select, update

from answerback.database.operation import BatchPlan, Operation, Statement, Transaction
from answerback.database.tables import deliveries
from answerback.queue.attempts import Report, appended_postgresql, appended_sqlite, attempts_of, entry
from answerback.queue.fifo import LOCK_CONVERSATIONS
from answerback.webhooks.model import ClaimedDelivery, DeliveryState
from answerback.webhooks.order import RELEASE_NEXT
from answerback.webhooks.rows import in_state, still_leased

RELEASED = Report("released")

_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}


def ends_attempt(where: Any, **values: Any) -> Statement:
    """Ends the attempt under way of one leased row, and appends it to the row's attempts."""
    ended = update(deliveries).where(where).values(**values, **_NO_LEASE, attempts_made=deliveries.c.attempts_made + 1)
    ended = ended.returning(deliveries.c.id)
    return Statement(
        ended.values(attempts=appended_sqlite(deliveries)),
        postgresql=ended.values(attempts=appended_postgresql(deliveries)),
        by=("row_id",),
    )


REPORT = ends_attempt(
    still_leased(),
    state=bindparam("new_state"),
    run_at=bindparam("due_at"),
    unreached_at=bindparam("new_unreached_at"),
    attempt=deliveries.c.attempt - bindparam("given_back"),
    # One that was delivered stays so, however a resend of it ends.
    delivered_at=func.coalesce(bindparam("new_delivered_at"), deliveries.c.delivered_at),
)
RELEASE = ends_attempt(
    still_leased(), state=DeliveryState.PENDING, run_at=bindparam("due_at"), attempt=deliveries.c.attempt - 1
)
PLAN = BatchPlan((LOCK_CONVERSATIONS, REPORT, RELEASE_NEXT), "report")
# Nothing of such a claim was begun, so it leaves no attempt.
RELEASE_UNCONFIRMED = Statement(
    update(deliveries)
    .where(in_state(DeliveryState.SENDING), deliveries.c.lease_owner == bindparam("owner"))
    .values(state=DeliveryState.PENDING, run_at=bindparam("due_at"), attempt=deliveries.c.attempt - 1, **_NO_LEASE)
)
EXTEND = Statement(
    update(deliveries)
    .where(still_leased())
    .values(lease_expires_at=bindparam("expires_at"))
    .returning(deliveries.c.id),
    by=("row_id",),
)
ATTEMPTS = Statement(select(deliveries.c.attempts).where(deliveries.c.id == bindparam("row_id")))


def report(
    tx: Transaction,
    claim: ClaimedDelivery,
    state: DeliveryState,
    outcome: Report,
    delay: float,
    counted: bool,
    unreached: bool,
) -> Operation[bool]:
    """Whether the row was still the claim's. `delay` in seconds and `unreached` are for one that goes on pending."""
    settles = state is not DeliveryState.PENDING and claim.conversation_id is not None
    if settles:
        yield LOCK_CONVERSATIONS(conversation_ids=[claim.conversation_id])
    rows = yield REPORT(
        row_id=claim.id,
        epoch=claim.epoch,
        new_state=state,
        due_at=tx.now + int(delay * 1000),
        new_unreached_at=claim.claimed_at if unreached else None,
        given_back=0 if counted else 1,
        new_delivered_at=tx.wall if state is DeliveryState.DELIVERED else None,
        attempt_entry=entry(outcome, tx.wall),
    )
    if rows and settles:
        yield RELEASE_NEXT(conversation_id=claim.conversation_id, to=claim.destination, now=tx.now)
    return bool(rows)


def reported(_: Transaction, delivery_id: str, epoch: int, outcome: Report) -> Operation[bool]:
    """Whether the attempt of this epoch ended with this report."""
    rows = yield ATTEMPTS(row_id=delivery_id)
    made = attempts_of(rows[0].attempts) if rows else ()
    return any((each.epoch, each.status, each.error) == (epoch, outcome.status, outcome.error) for each in made)


def extend(tx: Transaction, held: Sequence[tuple[str, int]], lease_seconds: float) -> Operation[set[str]]:
    """The ids of `(id, epoch)` that are still held. A lease that ran out is renewed if nothing has taken the row: after
    an outage of the database it then does not count as lost."""
    expires_at = tx.now + int(lease_seconds * 1000)
    # In the order in which every transaction locks rows.
    wanted = [{"row_id": row_id, "epoch": epoch, "expires_at": expires_at} for row_id, epoch in sorted(held)]
    return {row.id for _, row in (yield EXTEND.each(wanted))}


def release(tx: Transaction, held: Sequence[tuple[str, int, float]]) -> Operation[None]:
    """Gives back `(id, epoch, seconds until due)`; the attempt does not count, but its receiver may have heard it."""
    released = entry(RELEASED, tx.wall)
    yield RELEASE.each(
        [
            {"row_id": row_id, "epoch": epoch, "due_at": tx.now + int(delay * 1000), "attempt_entry": released}
            for row_id, epoch, delay in sorted(held)
        ]
    )
