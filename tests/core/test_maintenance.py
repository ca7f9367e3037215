"""The sweep: gentle every second, thorough every minute, and never the one to fall."""

import pytest
from answerback.jobs.control import Control
from answerback.jobs.maintenance import THOROUGH_EVERY, Maintenance

from answerback.jobs import recover as sweeping
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from builders import DAY, LEASE, REPORT, Journal, Notifier, accept, claim_delivery, ended_job
from databases import Database
from stores import Stores


@pytest.fixture
def notifier() -> Notifier:
    return Notifier()


@pytest.fixture
def maintenance(stores: Stores, notifier: Notifier, clock: FakeClock, journal: Journal) -> Maintenance:
    return Maintenance(stores, notifier, 30.0, LEASE, clock, journal)


async def test_what_it_moved_is_logged_and_the_engine_is_told(
    stores: Stores, maintenance: Maintenance, clock: FakeClock, journal: Journal, notifier: Notifier
) -> None:
    await accept(stores)
    await accept(stores, session=None, deadline_seconds=1.0)
    await claim_job_of_line(stores)
    clock.advance(LEASE)

    assert await maintenance.sweep() == 2

    assert journal.lines == [("swept", {"jobs_requeued": 1, "jobs_expired": 1})]
    assert (notifier.jobs, notifier.deliveries) == (1, 1)


async def claim_job_of_line(stores: Stores) -> None:
    assert len((await stores.jobs.claim("w", 1, LEASE)).jobs) == 1


async def test_with_nothing_to_do_it_is_silent(maintenance: Maintenance, journal: Journal, notifier: Notifier) -> None:
    assert await maintenance.sweep() == 0
    assert (journal.lines, notifier.jobs, notifier.deliveries) == ([], 0, 0)


async def test_a_database_that_is_away_is_survived(
    stores: Stores, clock: FakeClock, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintenance = Maintenance(stores, Notifier(), 30.0, LEASE, clock, journal)

    async def away() -> None:
        raise StorageUnavailable("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(stores, "expire_jobs", away)
        assert await maintenance.sweep() == 0
    assert journal.events == ["sweep_postponed"]

    await accept(stores, deadline_seconds=1.0)
    clock.advance(1)
    assert await maintenance.sweep() == 1


async def outage(stores: Stores, maintenance: Maintenance, clock: FakeClock, seconds: float) -> None:
    """A lease half over, and a database that is then away for so long."""

    async def away() -> None:
        raise StorageUnavailable("connection refused")

    await accept(stores)
    await claim_job_of_line(stores)
    clock.advance(LEASE / 2)
    await maintenance.sweep()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stores, "recover_leases", away)
        patched.setattr(stores, "expire_jobs", away)
        clock.advance(seconds)
        await maintenance.sweep()


@pytest.mark.parametrize("leases", [0.5, 10])
async def test_after_an_outage_whoever_held_a_lease_has_half_a_lease_to_find_the_database_again(
    stores: Stores, maintenance: Maintenance, clock: FakeClock, leases: float
) -> None:
    await outage(stores, maintenance, clock, LEASE * leases)
    assert await maintenance.sweep() == 0
    clock.advance(LEASE / 2 - 0.001)
    assert await maintenance.sweep() == 0

    clock.advance(0.001)

    assert await maintenance.sweep() == 1


async def test_after_a_short_outage_lost_leases_are_taken_at_once(
    stores: Stores, maintenance: Maintenance, clock: FakeClock
) -> None:
    await outage(stores, maintenance, clock, LEASE / 2 - 0.001)
    assert await maintenance.sweep() == 0

    clock.advance(0.001)

    assert await maintenance.sweep() == 1


async def test_old_jobs_are_pruned_as_fast_as_they_come_however_many(
    stores: Stores, maintenance: Maintenance, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bounded batch a minute would let a busy service's database grow for ever."""
    for _ in range(7):
        await ended_job(stores, session=None)
        await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    monkeypatch.setattr(sweeping, "OLD_JOBS", sweeping.Statement(sweeping.OLD_JOBS.clause.limit(2)))
    clock.advance(31 * DAY)

    while await maintenance.sweep():
        pass

    assert await database.rows("SELECT count(*) FROM jobs") == [(0,)]


async def test_the_thorough_look_comes_once_a_minute(
    stores: Stores, maintenance: Maintenance, database: Database, clock: FakeClock
) -> None:
    await maintenance.sweep()
    await accept(stores)
    await accept(stores)
    await database.execute("DELETE FROM jobs WHERE state = 'queued'")

    clock.advance(THOROUGH_EVERY - 0.001)
    assert await maintenance.sweep() == 0
    clock.advance(0.001)
    assert await maintenance.sweep() == 1


async def test_cancelling_tells_the_engine(stores: Stores, journal: Journal, notifier: Notifier) -> None:
    control = Control(stores, notifier, journal)
    job_id = (await accept(stores)).job_id

    record = await control.cancel("tenant-a", job_id)
    assert (record.state, notifier.jobs) == ("cancelled", 1)
    assert journal.events == ["cancelled"]
