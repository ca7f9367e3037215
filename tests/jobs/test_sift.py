"""Lists of jobs by what no index has: model, error, time. Each that suits is shown, in bounded work a page."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from answerback.jobs import pages, sift
from answerback.jobs.finish import End
from answerback.jobs.kind import Description, Ending, Job, JobState, Registry
from answerback.jobs.model import JobFilter
from answerback.jobs.rows import LISTED_RESULT_CHARACTERS
from answerback.kernel.errors import ErrorCode, Failure
from answerback.testing.clock import FakeClock
from answerback.webhooks.model import DeliveryState
from builders import REPORT, TENANT, accept, claim_job, completed, ended_job, finish, later
from databases import Database
from fallbacks import Fallbacks
from stores import Stores
from toy import EchoKind, Note


class ModelKind(EchoKind):
    """Shows the model of its result."""

    def describe(self, job: Job[Note], ending: Ending | None) -> Description:
        return Description({"model": ((ending and ending.result) or {}).get("model", job.args.text)})


@pytest.fixture
async def stores(database: Database, clock: FakeClock, fallbacks: Fallbacks) -> AsyncIterator[Stores]:
    opened = await database.open(clock, metrics=fallbacks, kinds=Registry([ModelKind()]))
    yield opened
    await opened.close()


def of_model(model: str, text: str = "an answer") -> End:
    return End.completed({"model": model, "text": text})


def failing(code: ErrorCode, message: str) -> End:
    return End(JobState.FAILED, failure=Failure(code, message))


async def ended(
    stores: Stores, clock: FakeClock, end: End | None = None, text: str = "hello", session: str | None = None
) -> str:
    """The id of a job that sorts behind those before it."""
    clock.advance(0.001)
    return await ended_job(stores, text, session, end)


async def listed(stores: Stores, **wanted: Any) -> list[str]:
    """The ids of all pages, the newest first."""
    found: list[str] = []
    before = None
    for _ in range(1_000):
        page = await stores.jobs.list(JobFilter(TENANT, **wanted), before, 3)
        found += [record.job.id for record in page.records]
        if page.following is None:
            return found
        before = page.following
    raise AssertionError("the pages have no end")


async def test_a_model_is_that_which_answered_and_before_that_the_one_asked_for(
    stores: Stores, clock: FakeClock
) -> None:
    small = await ended(stores, clock, of_model("small"))
    await ended(stores, clock, of_model("large"), "small")
    mentioned = await ended(stores, clock, of_model("large", 'the model is "small"'))
    clock.advance(0.001)
    asked = (await accept(stores, "small", session=None)).job_id

    assert await listed(stores, model="small") == [asked, small]
    assert mentioned in await listed(stores, model="large")
    assert await listed(stores, model="smal") == []


async def test_a_long_answer_is_found_by_its_model_too(stores: Stores) -> None:
    long = await ended_job(stores, session=None, end=of_model("small", "x" * LISTED_RESULT_CHARACTERS))

    assert await listed(stores, model="small") == [long]
    assert await listed(stores, model="x") == []


async def test_an_error_is_found_by_a_part_of_its_code_or_message_in_any_case(stores: Stores, clock: FakeClock) -> None:
    refused = await ended(stores, clock, failing(ErrorCode.UPSTREAM_REFUSED, 'no such "modèl"'))
    await ended(stores, clock)
    timeout = await ended(stores, clock, failing(ErrorCode.UPSTREAM_TIMEOUT, "too slow"))
    clock.advance(0.001)
    await accept(stores, session=None)
    put_off = await claim_job(stores)
    await stores.jobs.put_off(put_off, later(), REPORT)

    assert await listed(stores, error="UPSTREAM") == [put_off.id, timeout, refused]
    assert await listed(stores, error="Modèl") == [refused]
    assert await listed(stores, error='such "') == [refused]
    assert await listed(stores, error="upstream", state=JobState.FAILED) == [timeout, refused]
    assert await listed(stores, error="message") == []


async def test_times_are_those_of_the_acceptance(stores: Stores, clock: FakeClock) -> None:
    ids, times = [], []
    for _ in range(5):
        times.append(clock.now())
        ids.append(await ended_job(stores, session=None))
        clock.advance(60)

    assert await listed(stores, since=times[2]) == [ids[4], ids[3], ids[2]]
    assert await listed(stores, since=times[1] + 1, until=times[3]) == [ids[2]]
    assert await listed(stores, until=times[1]) == [ids[0]]
    assert await listed(stores, since=times[4] + 1) == []


async def test_a_page_up_to_a_time_is_full_where_newer_jobs_follow_at_once(
    stores: Stores, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PIECE", 2)
    older = [await ended(stores, clock) for _ in range(4)]
    clock.advance(0.001)
    until = clock.now()
    for _ in range(7):
        await ended_job(stores, session=None)
        clock.advance(0.1)

    page = await stores.jobs.list(JobFilter(TENANT, until=until), None, 3)

    assert [record.job.id for record in page.records] == older[:0:-1]
    assert await listed(stores, until=until) == older[::-1]


async def test_filters_join(stores: Stores, clock: FakeClock) -> None:
    for model in ("small", "large", "small"):
        await ended_job(stores, session="s", end=of_model(model))
        clock.advance(60)
    last = (await listed(stores, model="small"))[0]

    assert await listed(stores, model="small", session_id="s", delivery=DeliveryState.HELD) == [last]
    assert await listed(stores, model="small", since=clock.now() - 61_000) == [last]
    assert await listed(stores, model="large", error="x") == []


async def test_what_one_page_looks_at_is_bounded_and_no_page_loses_one(
    stores: Stores, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sift, "CHUNK", 2)
    monkeypatch.setattr(sift, "CHUNKS", 2)
    wanted = []
    for number in range(20):
        job_id = await ended(stores, clock, of_model("rare" if number % 7 == 0 else "usual"))
        wanted += [job_id] if number % 7 == 0 else []

    first = await stores.jobs.list(JobFilter(TENANT, model="rare"), None, 3)

    assert first.following is not None
    assert len(first.records) < 2
    assert await listed(stores, model="rare") == wanted[::-1]


async def test_a_held_job_names_the_one_before_it(stores: Stores) -> None:
    first, second, third = [(await accept(stores, text)).job_id for text in ("one", "two", "three")]

    behind = [(await stores.jobs.get(TENANT, each)).behind for each in (first, second, third)]
    assert behind == [None, first, second]

    await finish(stores, await claim_job(stores), completed())
    assert (await stores.jobs.get(TENANT, second)).behind is None
    assert (await stores.jobs.get(TENANT, third)).behind == second
