"""Commits of PostgreSQL that happen, and whose answer is lost with the connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from answerback.jobs.model import JobState
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import OutcomeUnknown
from builders import LEASE, TENANT, accept, claim_delivery, claim_job, claim_jobs, finish, state_of
from databases import PostgresDatabase


@pytest.fixture
async def store(postgres: PostgresDatabase) -> AsyncIterator[SqlStore]:
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


async def test_jobs_that_a_lost_commit_claimed_are_claimed_again(store: SqlStore, lost_commits: LostCommits) -> None:
    job_id = (await accept(store)).job_id
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await store.claim_jobs("worker", 10, LEASE)
    assert await state_of(store, job_id) == JobState.RUNNING

    claim = await claim_job(store)

    assert (claim.id, claim.attempt) == (job_id, 1)
    record = await store.get_job(TENANT, job_id)
    assert (record.lease_losses, [each.status for each in record.attempts]) == (0, ["released", "started"])


async def test_callbacks_that_a_lost_commit_claimed_are_claimed_again(
    store: SqlStore, lost_commits: LostCommits
) -> None:
    await accept(store)
    await finish(store, await claim_job(store))
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await store.claim_deliveries("worker", 10, LEASE)

    assert (await claim_delivery(store)).attempt == 1


async def test_an_ending_that_a_lost_commit_stored_is_not_stored_twice(
    store: SqlStore, lost_commits: LostCommits, postgres: PostgresDatabase
) -> None:
    await accept(store)
    claim = await claim_job(store)
    lost_commits.left = 1
    with pytest.raises(OutcomeUnknown):
        await finish(store, claim)
    before = await postgres.dump()

    assert not await finish(store, claim)
    assert await postgres.dump() == before


async def test_a_lost_commit_is_unknown_to_every_operation_of_its_group(
    store: SqlStore, lost_commits: LostCommits
) -> None:
    lost_commits.left = 1

    results = await asyncio.gather(*(accept(store, session=None) for _ in range(20)), return_exceptions=True)

    assert {type(each) for each in results} == {OutcomeUnknown}
    assert len(await claim_jobs(store)) == 20
