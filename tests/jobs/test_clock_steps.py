"""The wall clock is set an hour or a day back or forth while messages, leases and callbacks wait: nothing on SQLite
waits for that long, and nothing ends early. A process that starts afterwards agrees. A database's server whose own
clock is set is noticed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from answerback.database.clock_watch import ClockWatch
from answerback.inbox.model import Received, Verdict
from answerback.jobs.kind import JobState
from answerback.jobs.model import Swept
from answerback.jobs.sweep import Sweep
from answerback.kernel.errors import StorageUnavailable
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
from databases import PostgresDatabase, SqliteDatabase
from racing import blocked, held
from stores import Stores

HOUR = 3600.0
STEPS = pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY, 1000 * DAY])
Reopen = Callable[[], Awaitable[Stores]]


@pytest.fixture
async def reopen(path: Path, clock: FakeClock) -> AsyncIterator[Reopen]:
    """Another process of the same machine, by its own view of the same clocks."""
    async with AsyncExitStack() as opened:

        async def open_one() -> Stores:
            stores = await SqliteDatabase(path).open(clock)
            opened.push_async_callback(stores.close)
            return stores

        yield open_one


@STEPS
async def test_a_retry_is_due_when_it_was_to_be(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    await accept(stores)
    await stores.jobs.put_off(await claim_job(stores), later(60.0), REPORT)

    clock.step(step)

    for process in (stores, await reopen()):
        assert await claim_jobs(process) == []
    clock.advance(60)
    assert len(await claim_jobs(await reopen())) == 1


@STEPS
async def test_a_message_expires_when_it_was_to(reopen: Reopen, clock: FakeClock, step: float) -> None:
    stores = await reopen()
    waiting = await accept(stores, deadline_seconds=DAY)

    clock.step(step)
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


BACK_AND_FORTH = pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY])


async def follow(stores: Stores, step: float, processes: int = 3) -> None:
    """What the sweeps of so many processes do that notice the step."""
    step_ms = round(step * 1000)
    for _ in range(processes):
        while (await stores.jobs.follow_clock(step_ms)).total() or await stores.deliveries.follow_clock(step_ms):
            continue


@pytest.fixture
async def served(postgres: PostgresDatabase, clock: FakeClock) -> AsyncIterator[Stores]:
    """Whose server has this clock."""
    stores = await postgres.open(clock)
    yield stores
    await stores.close()


@BACK_AND_FORTH
async def test_beside_a_server_whose_clock_is_set_nothing_waits_for_that_long_or_ends_early(
    served: Stores, clock: FakeClock, step: float
) -> None:
    """Given a callback and a message that wait for a retry, and a call under way."""
    await ended_job(served)
    await served.deliveries.send_later(await claim_delivery(served), 60.0, REPORT)
    await accept(served, session="retried")
    await served.jobs.put_off(await claim_job(served), later(60.0), REPORT)
    called = await accept(served, session="called")
    await claim_job(served)

    clock.step(step)
    await follow(served, step)

    assert (await served.jobs.expire()).total() == 0
    assert await served.deliveries.expire(lambda _: True) == 0
    clock.advance(61)
    assert len(await claim_jobs(served)) == 1
    assert len(await claim_deliveries(served)) == 1
    assert (await served.jobs.recover())["jobs_requeued"] == 1
    assert await state_of(served, called.job_id) is JobState.QUEUED


@pytest.mark.parametrize("step", [HOUR, DAY])
async def test_a_message_that_was_to_expire_in_a_while_does_so_after_a_step_forward(
    served: Stores, clock: FakeClock, step: float
) -> None:
    await accept(served, deadline_seconds=600.0)

    clock.step(step)
    await follow(served, step)

    clock.advance(590)
    assert (await served.jobs.expire()).total() == 0
    clock.advance(20)
    assert (await served.jobs.expire()).total() == 1


async def test_a_deadline_whose_row_another_transaction_holds_is_moved_once_that_lets_go(
    served: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    await accept(served, deadline_seconds=600.0)
    claim = await claim_job(served)
    clock.step(HOUR)

    async with held(other, other.jobs.extend([(claim.id, claim.epoch)], LEASE)) as extending:
        following = await blocked(postgres, served.jobs.follow_clock(round(HOUR * 1000)))
        await extending.commit()

    assert (await following).total() == 1
    assert (await served.jobs.expire()).total() == 0


async def test_a_deadline_that_two_processes_move_at_once_is_moved_once(
    served: Stores, other: Stores, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    await accept(served, deadline_seconds=600.0)
    clock.step(HOUR)

    async with held(other, other.jobs.follow_clock(round(HOUR * 1000))) as first:
        second = await blocked(postgres, served.jobs.follow_clock(round(HOUR * 1000)))
        moved = await first.commit()

    assert (moved.total(), (await second).total()) == (1, 0)


async def test_nothing_expires_until_what_waited_when_the_clock_was_set_has_been_moved(
    clock: FakeClock, journal: Journal
) -> None:
    left, done = [StorageUnavailable("away"), 5, 2, 0], list[str]()

    async def following(step_ms: int) -> Swept:
        assert step_ms == HOUR * 1000
        found = left.pop(0)
        done.append(f"moved {found}")
        if isinstance(found, StorageUnavailable):
            raise found
        return Swept(moved=found)

    async def expires() -> Swept:
        done.append("expired")
        return Swept()

    watch = ClockWatch(Server(clock), clock, LEASE / 4)  # type: ignore[arg-type]
    sweep = Sweep((), (expires,), (), watch.step, Notifier(), LEASE, Instruments(journal, clock), (following,))
    await sweep.sweep()
    clock.step(HOUR)

    assert [await sweep.sweep() for _ in range(3)] == [0, 7, 0]

    assert done == ["expired", "moved away", "moved 5", "moved 2", "moved 0", "expired", "expired"]


class Server:
    """The clock of a database's server, which may be set."""

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
    return Sweep((recovery,), (expiry,), (), watch.step, Notifier(), LEASE, Instruments(journal, clock))


async def test_after_the_servers_clock_was_set_forward_holders_have_half_a_lease_to_extend(
    clock: FakeClock, journal: Journal
) -> None:
    sweep = watched(clock, journal)
    assert await sweep.sweep() == 1

    clock.step(HOUR)

    assert await sweep.sweep() == 0
    assert journal.lines[-1] == ("database_clock_stepped", {"seconds": HOUR})
    clock.advance(LEASE / 4)
    assert await sweep.sweep() == 0
    clock.advance(LEASE / 4 - 0.001)
    assert await sweep.sweep() == 0
    clock.advance(0.001)
    assert await sweep.sweep() == 1


async def test_a_step_back_is_logged_and_postpones_nothing(clock: FakeClock, journal: Journal) -> None:
    sweep = watched(clock, journal)
    assert await sweep.sweep() == 1

    clock.step(-HOUR)

    assert await sweep.sweep() == 1
    assert ("database_clock_stepped", {"seconds": -HOUR}) in journal.lines


async def test_a_clock_that_drifts_is_not_stepped(clock: FakeClock, journal: Journal) -> None:
    sweep = watched(clock, journal)

    for _ in range(100):
        clock.advance(1)
        clock.step(LEASE / 4)
        assert await sweep.sweep() == 1

    assert "database_clock_stepped" not in journal.events
