"""The judge of the chaos suite: it must not pass what is broken."""

from collections.abc import Callable

import pytest

from chaos.judge import Record, endings, judge
from chaos.ledger import Accepted, Arrival, Ledger
from chaos.rate import Pace

Change = Callable[[Ledger, list[Record]], None]


def kept() -> tuple[Ledger, list[Record]]:
    """Two messages of one conversation, accepted, answered and delivered in order."""
    ledger = Ledger("run-")
    records = []
    for seq in (1, 2):
        ledger.accept(Accepted(f"job_{seq}", f"run-{seq}", "s", seq, at=0.0))
        ledger.arrive(arrival(seq))
        records.append(Record(f"job_{seq}", "completed", f"msg_{seq}", "delivered"))
    return ledger, records


def arrival(seq: int, *, webhook_id: str | None = None, body: bytes = b"same", signed: bool = True) -> Arrival:
    return Arrival(webhook_id or f"msg_{seq}", f"job_{seq}", "completed", body, signed, at=float(seq))


def test_kept_promises_are_not_complained_of() -> None:
    assert judge(*kept()) == []


def test_the_same_callback_again_breaks_nothing() -> None:
    ledger, records = kept()

    ledger.arrive(arrival(1))

    assert judge(ledger, records) == []


def test_a_dead_callback_is_not_lost() -> None:
    ledger, records = kept()
    ledger.accept(Accepted("job_3", "run-3", None, None, at=0.0))
    records.append(Record("job_3", "completed", "msg_3", "dead"))

    assert judge(ledger, records) == []


def lost(_: Ledger, records: list[Record]) -> None:
    del records[1]


def never_answered(_: Ledger, records: list[Record]) -> None:
    records[1] = Record("job_2", "queued", None, None)


def never_called_back(_: Ledger, records: list[Record]) -> None:
    records[1] = Record("job_2", "completed", "msg_2", "pending")


def delivered_and_never_received(ledger: Ledger, _: list[Record]) -> None:
    del ledger.first["job_2"]


def swapped(ledger: Ledger, _: list[Record]) -> None:
    ledger.first["job_1"] = ledger.first.pop("job_1")


def a_gap_in_the_positions(ledger: Ledger, _: list[Record]) -> None:
    ledger.accepted["job_2"] = Accepted("job_2", "run-2", "s", 3, at=0.0)


def another_body(ledger: Ledger, _: list[Record]) -> None:
    ledger.arrive(arrival(1, body=b"other"))


def another_webhook_id(ledger: Ledger, _: list[Record]) -> None:
    ledger.arrive(arrival(1, webhook_id="msg_9"))


def forged(ledger: Ledger, _: list[Record]) -> None:
    ledger.arrive(arrival(1, signed=False))


def a_second_job_for_a_key(ledger: Ledger, _: list[Record]) -> None:
    ledger.accept(Accepted("job_9", "run-1", "s", 1, at=0.0))


def a_job_without_a_202(_: Ledger, records: list[Record]) -> None:
    records.append(Record("job_9", "completed", "msg_9", "dead"))


def test_jobs_that_were_not_answered_are_counted_with_the_reason() -> None:
    records = [
        Record("job_1", "completed", "msg_1", "delivered"),
        Record("job_2", "failed", "msg_2", "delivered", "poisoned"),
        Record("job_3", "completed", "msg_3", "dead"),
    ]

    assert endings(records) == "2 delivered, 1 dead, 1 failed (poisoned)"


@pytest.mark.parametrize(
    ("breaking", "complaint"),
    [
        (lost, "1 accepted and lost: job_2"),
        (never_answered, "1 neither delivered nor dead: job_2"),
        (never_called_back, "1 neither delivered nor dead: job_2"),
        (delivered_and_never_received, "1 delivered as the database has it, never received: job_2"),
        (swapped, "1 out of order: s"),
        (a_gap_in_the_positions, "1 out of order: s"),
        (another_body, "1 webhook-ids with different bodies: msg_1"),
        (another_webhook_id, "1 more than one webhook-id for a job: job_1"),
        (forged, "1 signatures that do not verify: job_1"),
        (a_second_job_for_a_key, "1 keys with two jobs: run-1"),
        (a_job_without_a_202, "1 jobs that no 202 named: job_9"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_promise_is_named(breaking: Change, complaint: str) -> None:
    ledger, records = kept()

    breaking(ledger, records)

    assert complaint in judge(ledger, records)


def test_the_rate_is_back_where_a_window_is_full_again() -> None:
    pace = Pace(10.0)
    times = [n / 10 for n in range(100) if not 30 <= n < 60]

    assert pace.back_after(times, since=3.0, until=10.0) == pytest.approx(3.0)
    assert pace.back_after(times, since=3.0, until=5.0) is None
