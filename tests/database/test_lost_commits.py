"""Commits of PostgreSQL that happen, and whose answer is lost with the connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from answerback.jobs.kind import JobState
from answerback.kernel.errors import OutcomeUnknown
from builders import (
    LEASE,
    TENANT,
    accept,
    claim_deliveries,
    claim_delivery,
    claim_job,
    claim_jobs,
    finish,
    roomy,
    state_of,
)
from databases import PostgresDatabase
from stores import Stores


@pytest.fixture
async def stores(postgres: PostgresDatabase) -> AsyncIterator[Stores]:
    opened = await postgres.open(None)
    yield opened
    await opened.close()


class LostCommits:
    """Loses the answers to the next `left` commits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        execute = asyncpg.Connection.execute

        async def lossy(connection: Any, query: str, *arguments: Any, **options: Any) -> str:
            status = await execute(connection, query, *arguments, **options)
            if query == "COMMIT" and self.left:
                self.left -= 1
                connection.terminate()
                raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
            return str(status)

        monkeypatch.setattr(asyncpg.Connection, "execute", lossy)


@pytest.fixture
def lost_commits(monkeypatch: pytest.MonkeyPatch) -> LostCommits:
    return LostCommits(monkeypatch)


async def test_jobs_that_a_lost_commit_claimed_are_claimed_again(stores: Stores, lost_commits: LostCommits) -> None:
    job_id = (await accept(stores)).job_id
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await stores.jobs.claim("worker", 10, LEASE, roomy())
    assert await state_of(stores, job_id) == JobState.RUNNING

    claim = await claim_job(stores)

    assert (claim.id, claim.attempt) == (job_id, 1)
    record = await stores.jobs.get(TENANT, job_id)
    assert (record.lease_losses, record.attempts) == (0, ())


async def test_callbacks_that_a_lost_commit_claimed_are_claimed_again(
    stores: Stores, lost_commits: LostCommits
) -> None:
    await accept(stores)
    await finish(stores, await claim_job(stores))
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await claim_deliveries(stores)

    assert (await claim_delivery(stores)).attempt == 1


async def test_an_ending_that_a_lost_commit_stored_is_not_stored_twice(
    stores: Stores, lost_commits: LostCommits, postgres: PostgresDatabase
) -> None:
    await accept(stores)
    claim = await claim_job(stores)
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await finish(stores, claim)
    before = await postgres.dump()

    assert not await finish(stores, claim)
    assert await postgres.dump() == before


async def test_a_lost_commit_is_unknown_to_every_operation_of_its_group(
    stores: Stores, lost_commits: LostCommits
) -> None:
    lost_commits.left = 1

    results = await asyncio.gather(*(accept(stores, session=None) for _ in range(20)), return_exceptions=True)

    assert {type(each) for each in results} == {OutcomeUnknown}
    assert len(await claim_jobs(stores)) == 20
