"""The sweep: gentle every second, thorough every minute, and never ended by a database that is away."""

import pytest

from answerback.database.clock_watch import ClockWatch
from answerback.database.statement import Statement
from answerback.jobs import prune as pruning
from answerback.jobs.model import Swept
from answerback.jobs.sweep import QUARANTINE_SECONDS, QUARANTINE_WATCH_SECONDS, RARE_SECONDS, SWEEP_SECONDS, Duty, Sweep
from answerback.kernel.errors import ErrorCode, StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.kernel.telemetry import Metrics
from answerback.testing.clock import FakeClock
from builders import (
    DAY,
    DAY_MS,
    LEASE,
    REPORT,
    TENANT,
    Journal,
    Notifier,
    accept,
    claim_delivery,
    claim_jobs,
    ended_job,
)
from databases import Database
from stores import Stores


async def steady() -> float:
    return 0.0


@pytest.fixture
def notifier() -> Notifier:
    return Notifier()


async def passing(sweep: Sweep, clock: FakeClock, seconds: float) -> None:
    """A service that sweeps all the time."""
    for _ in range(int(seconds)):
        clock.advance(1)
        await sweep.sweep()


@pytest.fixture
def sweep(stores: Stores, notifier: Notifier, clock: FakeClock, journal: Journal) -> Sweep:
    jobs = stores.jobs
    return Sweep(
        recoveries=(lambda: jobs.recover(),),
        expiries=(lambda: jobs.release_quarantined(), lambda: jobs.expire()),
        rare=(lambda: jobs.release_orphans(), lambda: jobs.prune(30 * DAY_MS)),
        leapt=ClockWatch(stores.database, clock, LEASE / 4).leapt,
        notifier=notifier,
        lease_seconds=LEASE,
        instruments=Instruments(journal, clock),
    )


async def test_what_it_moved_is_logged_and_the_workers_are_notified(
    stores: Stores, sweep: Sweep, clock: FakeClock, journal: Journal, notifier: Notifier
) -> None:
    await accept(stores)
    await claim_jobs(stores)
    await passing(sweep, clock, LEASE - 1)
    overdue = (await accept(stores, session=None, deadline_seconds=1.0)).job_id
    clock.advance(1)

    assert await sweep.sweep() == 2

    assert journal.lines == [
        ("expired", {"job": overdue, "code": "expired", "reason": "no answer came before the deadline"}),
        ("swept", {"jobs_requeued": 1, "jobs_expired": 1}),
    ]
    assert (notifier.jobs, notifier.deliveries) == (1, 1)


async def test_callbacks_of_jobs_that_it_ends_are_logged_where_they_wait_behind_another(
    stores: Stores, sweep: Sweep, clock: FakeClock, journal: Journal
) -> None:
    # Given a conversation whose first callback is still open
    answered = await ended_job(stores)
    overdue = (await accept(stores, deadline_seconds=1.0)).job_id
    clock.advance(1)

    # When the second job's deadline is past
    await sweep.sweep()

    (owed,) = (await stores.jobs.get(TENANT, overdue)).deliveries
    assert journal.lines[1] == ("callback_held", {"job": overdue, "delivery": owed.id, "behind": answered})


async def test_with_nothing_to_do_it_is_silent(sweep: Sweep, journal: Journal, notifier: Notifier) -> None:
    assert await sweep.sweep() == 0
    assert (journal.lines, notifier.jobs, notifier.deliveries) == ([], 0, 0)


async def test_after_a_release_from_quarantine_sweeps_follow_fast_for_a_moment(
    clock: FakeClock, journal: Journal, notifier: Notifier
) -> None:
    async def duty() -> Swept:
        return Swept(jobs_on_probation=1)

    sweep = Sweep((), (duty,), (), steady, notifier, LEASE, Instruments(journal, clock))
    assert sweep.pause == SWEEP_SECONDS

    await sweep.sweep()

    assert sweep.pause == QUARANTINE_SECONDS
    clock.advance(QUARANTINE_WATCH_SECONDS)
    assert sweep.pause == SWEEP_SECONDS


class Counting(Metrics):
    def __init__(self) -> None:
        self.counted: list[tuple[str, ErrorCode | None, int]] = []

    def ended(self, state: str, code: ErrorCode | None = None, count: int = 1) -> None:
        self.counted.append((state, code, count))


async def test_what_it_ends_is_counted(clock: FakeClock, journal: Journal, notifier: Notifier) -> None:
    async def duty() -> Swept:
        return Swept(jobs_poisoned=1, jobs_unanswered=2, jobs_expired=3, jobs_requeued=4)

    metrics = Counting()

    await Sweep((duty,), (), (), steady, notifier, LEASE, Instruments(journal, clock, metrics)).sweep()

    assert metrics.counted == [
        ("failed", ErrorCode.POISONED, 1),
        ("failed", ErrorCode.LLM_CALLBACK_TIMEOUT, 2),
        ("expired", ErrorCode.EXPIRED, 3),
    ]


def away(patched: pytest.MonkeyPatch, stores: Stores) -> None:
    """The database, for what the sweep does each second."""

    async def refused() -> None:
        raise StorageUnavailable("connection refused")

    for duty in ("recover", "release_quarantined", "expire"):
        patched.setattr(stores.jobs, duty, refused)


async def test_a_database_that_is_away_is_survived(
    stores: Stores, sweep: Sweep, clock: FakeClock, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        away(patched, stores)
        for _ in range(3):
            assert await sweep.sweep() == 0
    assert journal.events == ["sweep_postponed"]

    await accept(stores, deadline_seconds=1.0)
    clock.advance(1)
    assert await sweep.sweep() == 1
    assert await sweep.sweep() == 0
    assert [event for event in journal.events if event.startswith("sweep_")] == ["sweep_postponed", "sweep_resumed"]


async def outage(stores: Stores, sweep: Sweep, clock: FakeClock, seconds: float) -> None:
    """A lease half over, and a database that is then away for so long."""
    await accept(stores)
    await claim_jobs(stores)
    await passing(sweep, clock, LEASE / 2)
    with pytest.MonkeyPatch.context() as patched:
        away(patched, stores)
        clock.advance(seconds)
        await sweep.sweep()


@pytest.mark.parametrize("leases", [0.5, 10])
async def test_after_an_outage_holders_of_leases_have_half_a_lease_to_find_the_database_again(
    stores: Stores, sweep: Sweep, clock: FakeClock, leases: float
) -> None:
    await outage(stores, sweep, clock, LEASE * leases)
    assert await sweep.sweep() == 0
    clock.advance(LEASE / 2 - 0.001)
    assert await sweep.sweep() == 0

    clock.advance(0.001)

    assert await sweep.sweep() == 1


async def test_after_a_short_outage_lost_leases_are_taken_at_once(
    stores: Stores, sweep: Sweep, clock: FakeClock
) -> None:
    await outage(stores, sweep, clock, LEASE / 2 - 0.001)
    assert await sweep.sweep() == 0

    clock.advance(0.001)

    assert await sweep.sweep() == 1


async def test_a_machine_that_stood_still_leaves_holders_of_leases_half_a_lease_to_extend(
    stores: Stores, sweep: Sweep, clock: FakeClock
) -> None:
    await accept(stores)
    (claim,) = await claim_jobs(stores)
    await sweep.sweep()

    clock.advance(LEASE * 2)

    assert await sweep.sweep() == 0
    assert await stores.jobs.extend([(claim.id, claim.epoch)], LEASE) == {claim.id}
    await passing(sweep, clock, LEASE - 1)
    clock.advance(1)
    assert await sweep.sweep() == 1


async def test_leases_whose_holders_live_are_not_taken_after_a_step(
    stores: Stores, sweep: Sweep, clock: FakeClock
) -> None:
    await accept(stores)
    (claim,) = await claim_jobs(stores)
    await sweep.sweep()

    clock.step(3600)

    assert await sweep.sweep() == 0
    assert await stores.jobs.extend([(claim.id, claim.epoch)], LEASE) == {claim.id}
    clock.advance(LEASE / 2)
    assert await sweep.sweep() == 0


async def test_old_jobs_are_pruned_as_fast_as_they_come_however_many(
    stores: Stores, sweep: Sweep, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bounded batch a minute would let a busy service's database grow for ever."""
    for _ in range(7):
        await ended_job(stores, session=None)
        await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    old_jobs = pruning.OLD_JOBS.clause
    two = Statement(lambda dialect: f"SELECT * FROM ({old_jobs(dialect)}) AS old LIMIT 2")
    monkeypatch.setattr(pruning, "OLD_JOBS", two)
    clock.advance(31 * DAY)

    while await sweep.sweep():
        pass

    assert await database.rows("SELECT count(*) FROM jobs") == [(0,)]


async def test_rare_duties_run_once_a_minute_and_again_while_they_find_something(
    clock: FakeClock, journal: Journal, notifier: Notifier
) -> None:
    runs: list[str] = []

    def duty(name: str, *moved: int) -> Duty:
        left = list(moved)

        async def run() -> Swept:
            runs.append(name)
            return Swept(jobs_pruned=left.pop(0) if left else 0)

        return run

    sweep = Sweep((duty("often"),), (), (duty("rare", 5),), steady, notifier, LEASE, Instruments(journal, clock))

    for _ in range(int(RARE_SECONDS) + 3):
        await sweep.sweep()
        clock.advance(1)

    assert runs.count("often") == RARE_SECONDS + 3
    assert runs.count("rare") == 3


def broken(error: Exception) -> Duty:
    async def duty() -> Swept:
        raise error

    return duty


def moving(**rows: int) -> Duty:
    async def duty() -> Swept:
        return Swept(**rows)

    return duty


async def test_a_duty_that_breaks_holds_up_no_other(clock: FakeClock, journal: Journal, notifier: Notifier) -> None:
    sweep = Sweep(
        recoveries=(broken(ZeroDivisionError("in recover")), moving(jobs_requeued=1)),
        expiries=(broken(ZeroDivisionError("in expire")), moving(jobs_expired=2)),
        rare=(broken(ZeroDivisionError("in prune")), moving(questions_pruned=3)),
        leapt=steady,
        notifier=notifier,
        lease_seconds=3 * RARE_SECONDS,
        instruments=Instruments(journal, clock),
    )
    clock.advance(RARE_SECONDS)

    assert await sweep.sweep() == 6

    assert journal.events == ["sweep_broke", "sweep_broke", "sweep_broke", "swept"]
    assert journal.lines[-1] == ("swept", {"jobs_requeued": 1, "jobs_expired": 2, "questions_pruned": 3})
    assert (notifier.jobs, notifier.deliveries) == (1, 1)


async def test_what_moved_beside_a_duty_that_the_database_did_not_serve_is_counted_and_notified(
    clock: FakeClock, journal: Journal, notifier: Notifier
) -> None:
    locked = broken(StorageUnavailable("the row is locked"))
    duties = (moving(jobs_requeued=1), locked, locked, moving(jobs_expired=2))
    sweep = Sweep(duties, (), (), steady, notifier, LEASE, Instruments(journal, clock, metrics := Counting()))

    assert await sweep.sweep() == 3

    assert journal.lines == [
        ("sweep_postponed", {"reason": "the row is locked"}),
        ("swept", {"jobs_requeued": 1, "jobs_expired": 2}),
    ]
    assert metrics.counted == [("expired", ErrorCode.EXPIRED, 2)]
    assert (notifier.jobs, notifier.deliveries) == (1, 1)


async def test_one_duty_that_the_database_never_serves_does_not_put_off_recoveries(
    clock: FakeClock, journal: Journal, notifier: Notifier
) -> None:
    expiries = (moving(jobs_expired=1), broken(StorageUnavailable("the row is locked")))
    sweep = Sweep((moving(jobs_requeued=1),), expiries, (), steady, notifier, LEASE, Instruments(journal, clock))

    for _ in range(int(LEASE) * 2):
        clock.advance(1)
        assert await sweep.sweep() == 2


async def test_a_database_that_comes_back_during_a_sweep_was_away_all_the_same(
    clock: FakeClock, journal: Journal, notifier: Notifier
) -> None:
    async def recovery() -> Swept:
        if away:
            raise StorageUnavailable("connection refused")
        return Swept(jobs_requeued=1)

    async def expiry() -> Swept:
        nonlocal away
        away = False
        return Swept()

    away = True
    sweep = Sweep((recovery,), (expiry,), (), steady, notifier, LEASE, Instruments(journal, clock))
    clock.advance(LEASE / 2)
    assert await sweep.sweep() == 0

    clock.advance(LEASE / 2 - 1)
    assert await sweep.sweep() == 0
    clock.advance(1)
    assert await sweep.sweep() == 1
