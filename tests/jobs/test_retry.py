"""Running an unsuccessful job anew, as a job of its own."""

import pytest
from erasing import erase_conversation

from answerback.jobs.kind import JobState, Registry
from answerback.jobs.model import NewJob
from answerback.kernel.errors import Conflict, NotFound
from answerback.testing.clock import FakeClock
from builders import DAY, REPORT, TENANT, URL, accept, claim_job, ended_job, failed, finish, later
from databases import Database
from stores import Stores
from toy import EchoKind, Note


async def test_an_unsuccessful_job_can_run_anew_once(stores: Stores) -> None:
    job_id = await ended_job(stores, "again", end=failed())
    source = await stores.jobs.retry_source(TENANT, job_id, DAY)
    again = source.again
    assert isinstance(again, NewJob)
    assert (source.kind.name, again.parsed, again.retry_of) == ("echo", Note("again"), job_id)
    assert (again.callback_url, again.conversation_key, again.deadline_seconds) == (URL, "s", DAY)

    retry = await accept(stores, retry_of=job_id)
    twin = await accept(stores, retry_of=job_id)

    assert (twin.job_id, twin.position, twin.created) == (retry.job_id, 2, False)
    assert (await stores.jobs.retry_source(TENANT, job_id, DAY)).again == twin
    assert (await stores.jobs.get(TENANT, job_id)).retried_as == retry.job_id
    assert (await stores.jobs.get(TENANT, retry.job_id)).retry_of == job_id


async def test_a_job_without_a_conversation_runs_anew_without_one(stores: Stores) -> None:
    job_id = await ended_job(stores, session=None, end=failed())

    again = (await stores.jobs.retry_source(TENANT, job_id, DAY)).again

    assert isinstance(again, NewJob)
    assert again.conversation_key is None


async def test_a_completed_or_open_job_cannot_run_anew(stores: Stores) -> None:
    done = await ended_job(stores)
    waiting = (await accept(stores)).job_id
    await stores.jobs.put_off(await claim_job(stores), later(5.0), REPORT)

    for job_id, state in ((done, JobState.COMPLETED), (waiting, JobState.SCHEDULED)):
        with pytest.raises(Conflict, match=f"this one is {state}"):
            await stores.jobs.retry_source(TENANT, job_id, DAY)


async def test_another_tenants_job_does_not_exist(stores: Stores) -> None:
    job_id = await ended_job(stores, end=failed())

    with pytest.raises(NotFound):
        await stores.jobs.retry_source("tenant-b", job_id, DAY)


async def test_an_erased_job_cannot_run_anew(stores: Stores) -> None:
    job_id = await ended_job(stores, end=failed())
    await erase_conversation(stores)

    with pytest.raises(Conflict, match="erased with its conversation"):
        await stores.jobs.retry_source(TENANT, job_id, DAY)


async def test_a_job_that_failed_after_its_conversation_was_erased_can_run_anew(stores: Stores) -> None:
    job_id = (await accept(stores, "under way")).job_id
    claim = await claim_job(stores)
    await erase_conversation(stores)
    assert await finish(stores, claim, failed())

    source = await stores.jobs.retry_source(TENANT, job_id, DAY)

    assert isinstance(source.again, NewJob)
    assert source.again.parsed == Note("under way")


class Public(EchoKind):
    """What it is given is no secret: nothing of it is redacted."""

    def redact(self, args: Note) -> Note:
        return args


@pytest.mark.parametrize("session", ["s", None])
async def test_a_job_with_nothing_to_redact_can_run_anew(
    database: Database, clock: FakeClock, session: str | None
) -> None:
    stores = await database.open(clock, kinds=Registry([Public()]))
    job_id = await ended_job(stores, session=session, end=failed())

    again = (await stores.jobs.retry_source(TENANT, job_id, DAY)).again

    assert isinstance(again, NewJob)
    await stores.close()


@pytest.mark.parametrize("change", ["kind = 'poem'", "args = '[]'"])
async def test_a_job_of_another_version_is_left_to_that_version(
    stores: Stores, database: Database, change: str
) -> None:
    job_id = await ended_job(stores, end=failed())
    await database.execute(f"UPDATE jobs SET {change}")

    with pytest.raises(Conflict, match="another version"):
        await stores.jobs.retry_source(TENANT, job_id, DAY)
