"""How a claimed delivery leaves its lease: with a report of its attempt, extended, or given back."""

from collections.abc import Sequence

from answerback.database.operation import BatchPlan, Operation, Transaction
from answerback.queue.attempts import RELEASED, Report, attempts_of_row, ending_attempt, entry
from answerback.queue.fifo import LOCK_CONVERSATIONS
from answerback.queue.leases import extending, fenced, releasing_unconfirmed
from answerback.webhooks.model import ClaimedDelivery, DeliveryState, Reported
from answerback.webhooks.order import IS_FOLLOWED, RELEASE_NEXT

REPORT = ending_attempt(
    "deliveries",
    fenced("deliveries", DeliveryState.SENDING),
    {
        "state": ":new_state",
        "run_at": ":due_at",
        "unreached_at": ":new_unreached_at",
        "attempt": "deliveries.attempt - :given_back",
        # A delivered one keeps its time, however a resend of it ends.
        "delivered_at": "coalesce(:new_delivered_at, deliveries.delivered_at)",
    },
    "epoch bigint, new_state text, due_at bigint, new_unreached_at bigint, given_back integer, new_delivered_at bigint",
    look_for=IS_FOLLOWED,
)
RELEASE = ending_attempt(
    "deliveries",
    fenced("deliveries", DeliveryState.SENDING),
    {"state": f"'{DeliveryState.PENDING}'", "run_at": ":due_at", "attempt": "deliveries.attempt - 1"},
    "epoch bigint, due_at bigint",
)
PLAN = BatchPlan((LOCK_CONVERSATIONS, REPORT, RELEASE_NEXT), "report")
RELEASE_UNCONFIRMED = releasing_unconfirmed("deliveries", DeliveryState.SENDING, DeliveryState.PENDING)
EXTEND = extending("deliveries", DeliveryState.SENDING)
ATTEMPTS_OF = attempts_of_row("deliveries")


def end_attempt(
    tx: Transaction,
    claim: ClaimedDelivery,
    state: DeliveryState,
    report: Report,
    delay: float,
    counted: bool,
    unreached: bool,
) -> Operation[Reported | None]:
    """None if the row was no longer the claim's. `delay`, in seconds, and `unreached` count if it becomes pending
    again."""
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
        attempt_entry=entry(report, tx.wall),
    )
    if not rows:
        return None
    if not (settles and rows[0].followed):
        return Reported(released=False)
    next_one = yield RELEASE_NEXT(conversation_id=claim.conversation_id, destination=claim.destination, now=tx.now)
    return Reported(released=bool(next_one))


def release(tx: Transaction, held: Sequence[tuple[str, int]]) -> Operation[None]:
    """Releases leases of `(id, epoch)`: the rows are due now. The attempts do not count, though the receivers may have
    got them."""
    released = entry(RELEASED, tx.wall)
    yield RELEASE.each(
        [
            {"row_id": row_id, "epoch": epoch, "due_at": tx.now, "attempt_entry": released}
            for row_id, epoch in sorted(held)
        ]
    )
