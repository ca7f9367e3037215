"""Accepting: a place in a conversation, an idempotency key, a limit."""

import asyncio
from dataclasses import replace

import pytest

from answerback.jobs.kind import JobState
from answerback.jobs.model import JobFilter, Limits
from answerback.kernel.errors import ConversationFull, IdempotencyConflict, NotFound, Overloaded, TenantFull
from answerback.testing.clock import FakeClock
from builders import ROOMY, TENANT, accept, claim_job, claim_jobs, finish, new_job, state_of
from databases import Database
from fallbacks import Fallbacks
from stores import Stores
from toy import Note


async def test_messages_of_a_conversation_are_numbered_and_all_but_the_first_are_held(stores: Stores) -> None:
    accepted = [await accept(stores) for _ in range(3)]

    assert [each.position for each in accepted] == [1, 2, 3]
    states = [await state_of(stores, each.job_id) for each in accepted]
    assert states == [JobState.QUEUED, JobState.HELD, JobState.HELD]


async def test_numbering_goes_on_when_a_conversation_has_been_idle(stores: Stores) -> None:
    await accept(stores)
    await finish(stores, await claim_job(stores))

    second = await accept(stores)

    assert second.position == 2
    assert await state_of(stores, second.job_id) == JobState.QUEUED


async def test_a_job_without_a_conversation_takes_no_place(stores: Stores) -> None:
    accepted = [await accept(stores, session=None) for _ in range(3)]

    assert [each.position for each in accepted] == [None, None, None]
    assert {await state_of(stores, each.job_id) for each in accepted} == {JobState.QUEUED}


async def test_tenants_with_the_same_session_do_not_meet(stores: Stores) -> None:
    mine = await accept(stores)
    theirs = await accept(stores, tenant_id="tenant-b")

    assert (mine.position, theirs.position) == (1, 1)
    with pytest.raises(NotFound):
        await stores.jobs.get(TENANT, theirs.job_id)
    assert [each.job.id for each in (await stores.jobs.list(JobFilter("tenant-b"), None, 10)).records] == [
        theirs.job_id
    ]


async def test_what_was_asked_is_kept_word_for_word(stores: Stores) -> None:
    accepted = await accept(stores, "grüß dich 🌍\n")

    assert (await stores.jobs.get(TENANT, accepted.job_id)).job.args == Note("grüß dich 🌍\n")
    assert (await claim_job(stores)).job.args == Note("grüß dich 🌍\n")


async def test_the_same_key_and_body_answer_the_same(stores: Stores, clock: FakeClock) -> None:
    first = await accept(stores, idempotency_key="k", request_hash="h")
    clock.advance(60)

    again = await accept(stores, idempotency_key="k", request_hash="h")

    assert again == replace(first, created=False, queued=False)
    assert await stores.jobs.find_accepted(TENANT, "k", "h") == again


async def test_the_same_key_with_another_body_conflicts(stores: Stores) -> None:
    await accept(stores, idempotency_key="k", request_hash="h")

    with pytest.raises(IdempotencyConflict):
        await accept(stores, idempotency_key="k", request_hash="other")
    with pytest.raises(IdempotencyConflict):
        await stores.jobs.find_accepted(TENANT, "k", "other")


async def test_keys_of_different_tenants_do_not_meet(stores: Stores) -> None:
    mine = await accept(stores, idempotency_key="k", request_hash="h")

    theirs = await accept(stores, tenant_id="tenant-b", idempotency_key="k", request_hash="other")

    assert theirs.created
    assert theirs.job_id != mine.job_id


async def test_a_thousand_at_once_with_one_key_make_one_job(stores: Stores, fallbacks: Fallbacks) -> None:
    fallbacks.allow("accept")
    accepted = await asyncio.gather(
        *(accept(stores, idempotency_key="k", request_hash="h") for _ in range(1_000))
    )  # fmt: skip

    assert len({each.job_id for each in accepted}) == 1
    assert sum(each.created for each in accepted) == 1
    assert await stores.jobs.count_open() == 1


async def test_a_full_idempotent_conversation_still_answers_a_repeated_request(stores: Stores) -> None:
    tight = Limits(conversation_pending=1, queued_jobs=1, queued_jobs_per_tenant=100_000)
    first = await stores.jobs.accept(new_job(idempotency_key="k", request_hash="h"), tight)

    assert (await stores.jobs.accept(new_job(idempotency_key="k", request_hash="h"), tight)).job_id == first.job_id


async def test_a_conversation_takes_exactly_its_limit_however_many_come_at_once(stores: Stores) -> None:
    limits = Limits(conversation_pending=7, queued_jobs=1_000, queued_jobs_per_tenant=100_000)

    outcomes = await asyncio.gather(*(stores.jobs.accept(new_job(), limits) for _ in range(50)), return_exceptions=True)

    assert sum(isinstance(each, ConversationFull) for each in outcomes) == 43
    assert await stores.jobs.count_open() == 7


async def test_an_answer_makes_room_in_its_conversation(stores: Stores) -> None:
    limits = Limits(conversation_pending=1, queued_jobs=1_000, queued_jobs_per_tenant=100_000)
    await stores.jobs.accept(new_job(), limits)
    with pytest.raises(ConversationFull):
        await stores.jobs.accept(new_job(), limits)

    await finish(stores, await claim_job(stores))

    assert (await stores.jobs.accept(new_job(), limits)).position == 2


async def test_the_backlog_takes_exactly_its_limit_however_many_come_at_once(stores: Stores) -> None:
    limits = Limits(conversation_pending=1_000, queued_jobs=20, queued_jobs_per_tenant=100_000)
    arrivals = (stores.jobs.accept(new_job(session=f"s{n % 7}" if n % 2 else None), limits) for n in range(100))

    outcomes = await asyncio.gather(*arrivals, return_exceptions=True)

    assert sum(isinstance(each, Overloaded) for each in outcomes) == 80
    assert await stores.jobs.count_open() == 20


async def test_a_tenant_takes_exactly_its_own_limit_and_another_has_room(stores: Stores) -> None:
    limits = replace(ROOMY, queued_jobs_per_tenant=20)
    arrivals = (stores.jobs.accept(new_job(session=None, tenant_id="full"), limits) for _ in range(30))

    outcomes = await asyncio.gather(*arrivals, return_exceptions=True)

    assert sum(isinstance(each, TenantFull) for each in outcomes) == 10
    assert (await stores.jobs.accept(new_job(session=None, tenant_id="another"), limits)).created
    await finish(stores, next(each for each in await claim_jobs(stores) if each.tenant_id == "full"))
    assert (await stores.jobs.accept(new_job(session=None, tenant_id="full"), limits)).created


async def test_an_ended_job_makes_room_in_the_backlog(stores: Stores) -> None:
    limits = Limits(conversation_pending=10, queued_jobs=1, queued_jobs_per_tenant=100_000)
    await stores.jobs.accept(new_job(), limits)
    with pytest.raises(Overloaded):
        await stores.jobs.accept(new_job(), limits)

    await finish(stores, await claim_job(stores))

    assert (await stores.jobs.accept(new_job(), limits)).created


async def test_a_refused_message_leaves_no_trace(stores: Stores, database: Database) -> None:
    limits = Limits(conversation_pending=1, queued_jobs=1_000, queued_jobs_per_tenant=100_000)
    await stores.jobs.accept(new_job(), limits)

    with pytest.raises(ConversationFull):
        await stores.jobs.accept(new_job(), limits)

    assert (await stores.conversations.show(TENANT, "s")).pending == 1
    assert await database.rows("SELECT last_position FROM conversations") == [(1,)]


async def test_the_backlog_is_counted_anew_when_a_store_opens(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    for _ in range(3):
        await accept(stores)

    second = await database.open(clock)
    try:
        with pytest.raises(Overloaded):
            await second.jobs.accept(new_job(), replace(ROOMY, queued_jobs=3))
        assert (await second.jobs.accept(new_job(), ROOMY)).position == 4
    finally:
        await second.close()
