"""Two processes that meet in the middle of a change: on PostgreSQL nothing else keeps them apart than their locks."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from answerback.jobs.model import JobState
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from builders import (
    DAY,
    FAILURE,
    LEASE,
    REPORT,
    TENANT,
    accept,
    claim_deliveries,
    claim_delivery,
    claim_job,
    claim_jobs,
    ended_job,
    finish,
    owed_delivery,
    state_of,
)
from databases import PostgresDatabase
from racing import blocked, held


@pytest.fixture
async def store(postgres: PostgresDatabase, clock: FakeClock) -> AsyncIterator[SqlStore]:
    opened = await postgres.open(clock)
    yield opened
    await opened.close()


@pytest.fixture
async def other(postgres: PostgresDatabase, clock: FakeClock) -> AsyncIterator[SqlStore]:
    opened = await postgres.open(clock)
    yield opened
    await opened.close()


async def next_callback_while_one_is_out(store: SqlStore) -> tuple[object, object]:
    """A callback under way, and the job behind it about to end."""
    delivery = await owed_delivery(store)
    await accept(store)
    return delivery, await claim_job(store)


async def test_a_callback_made_while_the_one_before_settles_is_not_forgotten(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    delivery, job = await next_callback_while_one_is_out(store)

    async with held(other, other.delivered(delivery, REPORT)) as settling:
        ending = await blocked(postgres, finish(store, job))
        assert await settling.commit()
        assert await ending

    assert [claim.job_id for claim in await claim_deliveries(store)] == [job.id]


async def test_a_callback_that_settles_while_the_next_is_made_lets_it_go(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    delivery, job = await next_callback_while_one_is_out(store)

    async with held(other, finish(other, job)) as ending:
        settling = await blocked(postgres, store.delivered(delivery, REPORT))
        assert await ending.commit()
        assert await settling

    assert [claim.job_id for claim in await claim_deliveries(store)] == [job.id]


async def test_a_message_that_joins_while_the_line_moves_on_is_queued(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    await accept(store)
    claim = await claim_job(store)

    async with held(other, finish(other, claim)) as ending:
        joining = await blocked(postgres, accept(store))
        await ending.commit()

    assert await state_of(store, (await joining).job_id) == JobState.QUEUED


@pytest.mark.parametrize("session", ["s", None])
async def test_whoever_ends_a_job_first_ends_it(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, session: str | None
) -> None:
    for first_finishes in (True, False):
        await accept(store, session=session)
        claim = await claim_job(store)
        first, second = finish(other, claim), store.cancel_job(TENANT, claim.id)
        if not first_finishes:
            first.close()
            second.close()
            first, second = other.cancel_job(TENANT, claim.id), finish(store, claim)

        async with held(other, first) as winning:
            losing = await blocked(postgres, second)
            assert await winning.commit()

        if first_finishes:
            with pytest.raises(Conflict, match="completed"):
                await losing
        else:
            assert not await losing
        record = await store.get_job(TENANT, claim.id)
        assert record.state == (JobState.COMPLETED if first_finishes else JobState.CANCELLED)


async def test_two_sweeps_count_a_lost_lease_once(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    job_id = (await accept(store)).job_id
    await claim_job(store)
    clock.advance(LEASE)

    async with held(other, other.recover_leases()) as first:
        second = await blocked(postgres, store.recover_leases())
        assert (await first.commit()).jobs_requeued == 1
        assert (await second).total == 0

    record = await store.get_job(TENANT, job_id)
    assert (record.lease_losses, [each.status for each in record.attempts]) == (1, ["lost"])


async def test_two_sweeps_expire_a_message_once(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    await accept(store, deadline_seconds=1.0)
    clock.advance(1)

    async with held(other, other.expire_jobs()) as first:
        assert (await store.expire_jobs()).total == 0
        assert (await first.commit()).jobs_expired == 1

    assert len(await claim_deliveries(store)) == 1


async def test_a_lease_that_is_kept_at_the_last_moment_is_not_taken_away(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    await accept(store)
    claim = await claim_job(store)
    clock.advance(LEASE - 1)

    async with held(other, other.extend_jobs([(claim.id, claim.epoch)], LEASE)) as keeping:
        clock.advance(1)
        sweeping = await blocked(postgres, store.recover_leases())
        assert await keeping.commit() == {claim.id}
        assert (await sweeping).total == 0

    assert await finish(store, claim)


async def test_processes_that_claim_at_once_run_one_suspect(store: SqlStore, other: SqlStore, clock: FakeClock) -> None:
    suspects = {(await accept(store, session=None)).job_id for _ in range(3)}
    for _ in range(2):
        await claim_jobs(store)
        clock.advance(LEASE)
        await store.recover_leases()
    fresh = [(await accept(store, session=None)).job_id for _ in range(2)]

    async with held(other, other.claim_jobs("other", 2, LEASE)) as first:
        # It does not even wait: whoever stalls while it claims a suspect keeps nobody else from working.
        second = [claim.id for claim in (await store.claim_jobs("worker", 2, LEASE)).jobs]
        claimed = [claim.id for claim in (await first.commit()).jobs]

    assert len(suspects & {*claimed}) == 1
    assert second == [job for job in fresh if job not in claimed]
    assert not suspects & {claim.id for claim in await claim_jobs(store)}


async def test_a_message_that_joins_a_conversation_while_it_is_forgotten_begins_anew(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    await store.delivered(await owed_delivery(store), REPORT)
    clock.advance(31 * DAY)

    async with held(other, other.prune(30)) as forgetting:
        joining = await blocked(postgres, accept(store))
        assert (await forgetting.commit()).jobs_pruned == 1

    assert (await joining).seq == 1


async def test_a_conversation_that_a_message_joins_is_not_forgotten(
    store: SqlStore, other: SqlStore, clock: FakeClock
) -> None:
    await store.delivered(await owed_delivery(store), REPORT)
    clock.advance(31 * DAY)

    async with held(other, accept(other)) as joining:
        assert (await store.prune(30)).total == 0
        assert (await joining.commit()).seq == 2

    assert await finish(store, await claim_job(store))


async def test_a_callback_that_is_replayed_is_not_deleted(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase, clock: FakeClock
) -> None:
    delivery = await owed_delivery(store)
    await store.delivered(delivery, REPORT)
    clock.advance(31 * DAY)

    async with held(other, other.resend_delivery(TENANT, delivery.id)) as replaying:
        pruning = await blocked(postgres, store.prune(30))
        await replaying.commit()
        assert (await pruning).jobs_pruned == 0

    assert (await claim_delivery(store)).id == delivery.id


async def test_a_callback_that_is_being_claimed_is_not_replayed(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    await ended_job(store)

    async with held(other, claim_delivery(other)) as claiming:
        # Still pending to everybody else.
        (delivery_id,) = (await postgres.rows("SELECT id FROM deliveries WHERE state = 'pending'"))[0]
        replaying = await blocked(postgres, store.resend_delivery(TENANT, delivery_id))
        claim = await claiming.commit()
        with pytest.raises(Conflict, match="under way"):
            await replaying

    assert await store.delivered(claim, REPORT)


async def test_an_answer_that_meets_its_erasure_is_not_remembered(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    await accept(store)
    claim = await claim_job(store)

    async with held(other, finish(other, claim)) as ending:
        erasing = await blocked(postgres, store.erase_conversation(TENANT, "s"))
        await ending.commit()
        await erasing

    assert (await store.get_conversation(TENANT, "s")).turns == ()


async def test_processes_that_need_a_secret_of_the_service_at_once_make_one(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    async with held(other, other.own_secret("name")) as making:
        asking = await blocked(postgres, store.own_secret("name"))
        assert await making.commit() == await asking


async def test_a_retry_that_two_ask_for_is_made_once(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    source = (await accept(store, session=None)).job_id
    await store.cancel_job(TENANT, source)

    async with held(other, accept(other, session=None, retry_of=source)) as first:
        second = await blocked(postgres, accept(store, session=None, retry_of=source))
        made = await first.commit()
        again = await second

    assert (again.job_id, again.created) == (made.job_id, False)


async def test_a_worker_that_hands_over_after_the_answer_came_writes_nothing(
    store: SqlStore, other: SqlStore, postgres: PostgresDatabase
) -> None:
    await accept(store, session=None)
    claim = await claim_job(store)

    async with held(other, other.cancel_job(TENANT, claim.id)) as ending:
        handing_over = await blocked(postgres, store.hand_over(claim, 60.0, REPORT))
        giving_back = await blocked(postgres, store.requeue(claim, 0.0, counted=True, failure=FAILURE, report=REPORT))
        await ending.commit()
        assert not await handing_over
        assert not await giving_back

    assert await state_of(store, claim.id) == JobState.CANCELLED


@pytest.mark.parametrize("side", ["joining", "ending"])
async def test_nobody_waits_in_a_circle(store: SqlStore, postgres: PostgresDatabase, side: str) -> None:
    """Messages join many lines while answers move them on: each side locks them in the order of their names."""
    sessions = ["a", "b", "c"]
    for session in reversed(sessions):
        await accept(store, session=session)
    claims = await claim_jobs(store)

    async def work() -> None:
        if side == "joining":
            await asyncio.gather(*(accept(store, session=session) for session in reversed(sessions)))
        else:
            await asyncio.gather(*(finish(store, claim) for claim in claims))

    somebody = await asyncpg.connect(postgres.url)
    try:
        async with somebody.transaction():
            await somebody.execute("SELECT id FROM conversations WHERE key = 'a' FOR UPDATE")
            working = await blocked(postgres, work())
            await somebody.execute("SELECT id FROM conversations WHERE key = 'c' FOR UPDATE NOWAIT")
        await working
    finally:
        await somebody.close()


async def test_what_is_gone_is_said_to_be_gone(store: SqlStore, other: SqlStore, clock: FakeClock) -> None:
    await store.delivered(await owed_delivery(store), REPORT)
    clock.advance(31 * DAY)
    await other.prune(30)

    with pytest.raises(NotFound):
        await store.erase_conversation(TENANT, "s")
