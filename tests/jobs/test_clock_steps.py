"""The wall clock, on PostgreSQL its server's, is set an hour or a day back or forth while messages, leases and
callbacks wait: nothing waits for that long, and nothing ends early. A process that starts afterwards agrees. A machine
that slept leaves those who hold leases time to extend them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from answerback.database.clock_watch import ClockWatch
from answerback.inbox.model import Received, Verdict
from answerback.jobs.kind import JobState
from answerback.jobs.model import Swept
from answerback.jobs.sweep import Sweep
from answerback.kernel.instruments import Instruments
from answerback.overview.model import MINUTE_MS, Count, Slot
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
    claim_deliveries,
    claim_delivery,
    claim_job,
    claim_jobs,
    ended_job,
    later,
    state_of,
)
from databases import Database
from stores import Stores

HOUR = 3600.0
STEPS = pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY, 1000 * DAY])
Reopen = Callable[[], Awaitable[Stores]]


@pytest.fixture
async def reopen(database: Database, clock: FakeClock) -> AsyncIterator[Reopen]:
    """Another process on the same database, by its own view of the same clocks."""
    async with AsyncExitStack() as opened:

        async def open_one() -> Stores:
            stores = await database.open(clock)
            opened.push_async_callback(stores.close)
            return stores

        yield open_one


async def settled(stores: Stores, clock: FakeClock) -> None:
    """Some seconds in which a process looks at the database, as each does once a second."""
    for _ in range(4):
        clock.advance(1)
        await stores.jobs.count_open()


async def noticed(stores: Stores) -> None:
    """This process was the first to look at the database after the step."""
    await stores.jobs.count_open()


@STEPS
async def test_a_retry_is_due_when_it_was_to_be(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    await accept(stores)
    await stores.jobs.put_off(await claim_job(stores), later(60.0), REPORT)

    clock.step(step)
    await noticed(stores)

    for process in (stores, await reopen()):
        assert await claim_jobs(process) == []
    clock.advance(60)
    assert len(await claim_jobs(await reopen())) == 1


@STEPS
async def test_a_message_expires_when_it_was_to(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    waiting = await accept(stores, deadline_seconds=DAY)

    clock.step(step)
    await noticed(stores)
    clock.advance(DAY - 1)

    for process in (stores, await reopen()):
        assert (await process.jobs.expire()).total() == 0
    clock.advance(1)
    assert (await (await reopen()).jobs.expire()).total() == 1
    assert await state_of(stores, waiting.job_id) is JobState.EXPIRED


@STEPS
async def test_a_call_whose_holder_lives_is_not_made_again(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    await accept(stores)
    claim = await claim_job(stores)

    clock.step(step)
    clock.advance(LEASE / 2)
    assert await stores.jobs.extend([(claim.id, claim.epoch)], LEASE) == {claim.id}
    clock.advance(LEASE - 1)

    for process in (stores, await reopen()):
        assert (await process.jobs.recover()).total() == 0


@STEPS
async def test_a_callback_is_tried_again_when_it_was_to_be(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    await ended_job(stores)
    await stores.deliveries.send_later(await claim_delivery(stores), 60.0, REPORT)

    clock.step(step)
    await noticed(stores)

    for process in (stores, await reopen()):
        assert await claim_deliveries(process) == []
    clock.advance(60)
    assert len(await claim_deliveries(await reopen())) == 1


@pytest.mark.parametrize("step", [DAY, 1000 * DAY])
async def test_what_is_kept_for_days_is_not_deleted_early(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    job_id = await ended_job(stores)
    await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    await stores.questions.keep_question(TENANT, "why", "so", "stop")
    await stores.overview.add({Slot(TENANT, clock.now() // MINUTE_MS, "expired"): Count(1)})
    await stores.inbox.add(TENANT, Received("", 0, {}, b"{}", 2, Verdict.MISSING, None))

    clock.step(step)
    await noticed(stores)
    stores = await reopen()
    clock.advance(DAY - 60)

    assert (await stores.jobs.prune(DAY_MS))["jobs_pruned"] == 0
    assert (await stores.jobs.get(TENANT, job_id)).state is JobState.COMPLETED
    assert (
        await stores.questions.prune(DAY_MS) == await stores.overview.prune(DAY_MS) == await stores.inbox.prune() == 0
    )

    clock.advance(120)
    assert (await stores.jobs.prune(DAY_MS))["jobs_pruned"] == 1
    assert (
        await stores.questions.prune(DAY_MS) == await stores.overview.prune(DAY_MS) == await stores.inbox.prune() == 1
    )


@STEPS
async def test_times_that_are_shown_follow_the_wall_clock(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    waiting = await accept(stores, deadline_seconds=DAY)

    clock.step(step)

    shown = await stores.jobs.get(TENANT, waiting.job_id)
    assert shown.deadline_at == clock.now() + DAY * 1000


@STEPS
async def test_what_was_due_already_goes_on_at_once(reopen: Reopen, clock: FakeClock, step: float) -> None:
    """Given a callback that waits for a place, and a job whose turn had come, behind which new ones queue up."""
    stores = await reopen()
    await ended_job(stores)
    first = await accept(stores, session="first")
    clock.advance(60)

    clock.step(step)
    await accept(stores, session="second")

    assert len(await claim_deliveries(stores)) == 1
    assert [claim.id for claim in await claim_jobs(stores, 1)] == [first.job_id]


async def test_a_clock_that_is_set_back_and_forth_again_moves_nothing(reopen: Reopen, clock: FakeClock) -> None:
    stores = await reopen()
    await accept(stores, deadline_seconds=DAY)
    await stores.jobs.put_off(await claim_job(stores), later(60.0), REPORT)

    for step in (-DAY, 2 * DAY, -HOUR, HOUR, -DAY):
        clock.step(step)
        await noticed(stores)
        assert await claim_jobs(stores) == []
        assert (await stores.jobs.expire()).total() == 0
    clock.advance(60)

    assert len(await claim_jobs(stores)) == 1


@pytest.mark.parametrize("step", [-HOUR, -DAY])
async def test_a_step_back_while_no_process_runs_delays_nothing(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    await accept(stores)
    await stores.jobs.put_off(await claim_job(stores), later(60.0), REPORT)
    await settled(stores, clock)
    await stores.close()

    clock.step(step)
    stores = await reopen()

    assert await claim_jobs(stores) == []
    clock.advance(60)
    assert len(await claim_jobs(stores)) == 1


@STEPS
async def test_what_is_accepted_just_after_the_step_waits_no_longer(
    reopen: Reopen, clock: FakeClock, step: float
) -> None:
    """Given that the step is noticed by the process that accepts it, and not by a sweep before."""
    stores, sweeping = await reopen(), await reopen()

    clock.step(step)
    await ended_job(stores)
    await accept(stores, session="other")

    assert len(await claim_jobs(sweeping)) == 1
    assert len(await claim_deliveries(sweeping)) == 1


class Server:
    """A database for which time passes while this machine sleeps."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.read = self

    async def run(self, _: object) -> int:
        return self._clock.now()


async def recovery() -> Swept:
    return Swept(jobs_requeued=1)


async def expiry() -> Swept:
    return Swept()


def watched(clock: FakeClock, journal: Journal) -> Sweep:
    watch = ClockWatch(Server(clock), clock, LEASE / 4)  # type: ignore[arg-type]
    return Sweep((recovery,), (expiry,), (), watch.leapt, Notifier(), LEASE, Instruments(journal, clock))


async def test_after_the_machine_slept_holders_have_half_a_lease_to_extend(clock: FakeClock, journal: Journal) -> None:
    sweep = watched(clock, journal)
    assert await sweep.sweep() == 1

    clock.step(HOUR)

    assert await sweep.sweep() == 0
    assert journal.lines[-1] == ("stood_still", {"seconds": HOUR})
    clock.advance(LEASE / 4)
    assert await sweep.sweep() == 0
    clock.advance(LEASE / 4 - 0.001)
    assert await sweep.sweep() == 0
    clock.advance(0.001)
    assert await sweep.sweep() == 1


async def test_a_machine_whose_time_drifts_has_not_slept(clock: FakeClock, journal: Journal) -> None:
    sweep = watched(clock, journal)

    for _ in range(100):
        clock.advance(1)
        clock.step(LEASE / 4)
        assert await sweep.sweep() == 1

    assert "stood_still" not in journal.events
