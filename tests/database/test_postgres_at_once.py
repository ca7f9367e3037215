"""Groups at PostgreSQL whose statements run at once for all operations: each gets its own result."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise

import pytest

from answerback.jobs.kind import JobState
from answerback.jobs.model import Accepted, Limits
from answerback.kernel.errors import ConversationFull
from answerback.testing.clock import FakeClock
from builders import REPORT, accept, claim_deliveries, claim_jobs, finish, new_job
from databases import PostgresDatabase
from stores import Stores

STEP = 1_000_000


@pytest.fixture
async def stores(postgres: PostgresDatabase, clock: FakeClock) -> AsyncIterator[Stores]:
    opened = await postgres.open(clock)
    yield opened
    await opened.close()


async def test_a_group_ends_only_the_jobs_that_are_still_its_callers(stores: Stores) -> None:
    for n in range(20):
        await accept(stores, session=f"s{n}")
    claims = await claim_jobs(stores)
    stale = {claim.id for claim in claims[::3]}

    ends = await asyncio.gather(
        *(finish(stores, replace(claim, epoch=0) if claim.id in stale else claim) for claim in claims)
    )

    assert {claim.id for claim, end in zip(claims, ends, strict=True) if end is None} == stale


async def test_of_two_ends_of_one_claim_in_a_group_one_counts(stores: Stores, postgres: PostgresDatabase) -> None:
    for n in range(10):
        await accept(stores, session=f"s{n}")
    claims = await claim_jobs(stores)

    ends = await asyncio.gather(*(finish(stores, claim) for claim in claims for _ in range(2)))

    assert [(first is None) + (second is None) for first, second in zip(ends[::2], ends[1::2], strict=True)] == [1] * 10
    assert await postgres.rows("SELECT DISTINCT pending FROM conversations") == [(0,)]


async def test_each_job_of_a_group_ranks_behind_those_of_its_tenant(stores: Stores, postgres: PostgresDatabase) -> None:
    await asyncio.gather(*(accept(stores, session=None, tenant_id=f"t{n % 2}") for n in range(40)))

    for tenant in ("t0", "t1"):
        ranks = await postgres.rows(f"SELECT rank FROM jobs WHERE tenant_id = '{tenant}' ORDER BY rank")
        gaps = {later - earlier for (earlier,), (later,) in pairwise(ranks)}
        assert (len(ranks), gaps) == (20, {STEP})


async def test_a_held_job_of_a_group_takes_no_rank(stores: Stores, postgres: PostgresDatabase) -> None:
    await accept(stores, session="first")

    await asyncio.gather(*(accept(stores, session=f"s{n // 2}") for n in range(20)))

    held = await postgres.rows(f"SELECT DISTINCT rank FROM jobs WHERE state = '{JobState.HELD}'")
    last = await postgres.rows(f"SELECT max(rank), count(*) FROM jobs WHERE state = '{JobState.QUEUED}'")
    assert (held, last) == ([(0,)], [(11 * STEP, 11)])


async def test_of_a_group_only_jobs_of_full_conversations_are_refused(stores: Stores) -> None:
    two = Limits(conversation_pending=2, queued_jobs=1_000, queued_jobs_per_tenant=1_000)
    full = [f"s{n}" for n in range(0, 20, 3)]
    for session in (*full, *full):
        await stores.jobs.accept(new_job(session=session), two)

    accepted = await asyncio.gather(
        *(stores.jobs.accept(new_job(session=f"s{n}"), two) for n in reversed(range(20))), return_exceptions=True
    )

    for n, each in zip(reversed(range(20)), accepted, strict=True):
        if f"s{n}" in full:
            assert isinstance(each, ConversationFull)
        else:
            assert isinstance(each, Accepted)
            assert each.position == 1


async def test_a_group_of_reports_releases_what_is_held_behind_each(stores: Stores, postgres: PostgresDatabase) -> None:
    for session in [f"s{n}" for n in range(20)] + [f"s{n}" for n in range(0, 20, 2)]:
        await accept(stores, session=session)
    for _ in range(2):
        await asyncio.gather(*(finish(stores, claim) for claim in await claim_jobs(stores)))
    claims = await claim_deliveries(stores)

    reported = await asyncio.gather(*(stores.deliveries.delivered(claim, REPORT) for claim in claims))

    assert sum(each is not None and each.released for each in reported) == 10
    assert await postgres.rows("SELECT state, count(*) FROM deliveries GROUP BY 1 ORDER BY 1") == [
        ("delivered", 20),
        ("pending", 10),
    ]


async def test_a_group_reports_each_delivery_once(stores: Stores, postgres: PostgresDatabase) -> None:
    for n in range(20):
        await accept(stores, session=f"s{n}")
    await asyncio.gather(*(finish(stores, claim) for claim in await claim_jobs(stores)))
    claims = await claim_deliveries(stores)

    reported = await asyncio.gather(*(stores.deliveries.delivered(claim, REPORT) for claim in claims))

    assert len(reported) == 20
    assert all(reported)
    assert await postgres.rows("SELECT state, attempts_made, count(*) FROM deliveries GROUP BY 1, 2") == [
        ("delivered", 1, 20)
    ]
