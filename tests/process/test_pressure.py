"""Back-pressure: what is too much is refused in time, with a word on when to come again, and nothing is stored."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from relay import Client, Relay, Surroundings, problem

from answerback.testing import replies
from eventually import eventually


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def narrow(surroundings: Surroundings) -> AsyncIterator[Relay]:
    """A relay that takes two messages in a conversation and four in all."""
    async with surroundings.running(keys=10, conversation_max_pending=2, max_queued_jobs=4) as relay:
        yield relay


async def say(client: Client, said: str, **changes: Any) -> Any:
    """The body of a 202. What commits while the backlog is counted may count twice, until it is counted again."""

    async def probe() -> Any:
        reply = await client.post(said, **changes)
        return reply.json if reply.status == 202 else None

    return await eventually(probe, "the relay has room")


async def test_a_full_conversation_refuses_more_and_stores_nothing(narrow: Relay) -> None:
    client = narrow.client()
    narrow.llm.on(client.text("stuck"), replies.hang())
    jobs = [await say(client, "stuck", session_id="s"), await say(client, "behind", session_id="s")]

    reply = await client.post("one too many", session_id="s")

    problem(reply, 429, "conversation_full")
    assert int(reply.headers["Retry-After"]) >= 1
    limits = {name.lower(): value for name, value in reply.headers.items() if name.lower().startswith("ratelimit-")}
    assert limits == {"ratelimit-limit": "2", "ratelimit-remaining": "0", "ratelimit-reset": "1"}
    assert len(reply.headers.getall("RateLimit-Limit")) == 1
    assert [job["job_id"] for job in await client.jobs()] == [job["job_id"] for job in reversed(jobs)]
    for job in reversed(jobs):
        await client.cancel(job["job_id"])


async def test_a_full_conversation_fills_no_other(narrow: Relay) -> None:
    client = narrow.client()
    narrow.llm.on(client.text("stuck"), replies.hang())
    jobs = [await say(client, "stuck", session_id="s"), await say(client, "behind", session_id="s")]

    await say(client, "elsewhere", session_id="t")

    for job in reversed(jobs):
        await client.cancel(job["job_id"])


@pytest.mark.parametrize("relief", ["answer", "cancellation"])
async def test_a_conversation_takes_more_once_one_has_ended(narrow: Relay, relief: str) -> None:
    client = narrow.client()
    narrow.llm.on(client.text("stuck"), replies.hang())
    job = await say(client, "stuck" if relief == "cancellation" else "quick", session_id="s")
    if relief == "cancellation":
        await client.cancel(job["job_id"])
    await client.callbacks()

    seqs = [(await say(client, text, session_id="s"))["seq"] for text in ("stuck", "behind")]

    assert seqs == [2, 3]
    for job in await client.jobs():
        await client.cancel(job["job_id"])


async def test_a_refused_message_takes_no_number(narrow: Relay) -> None:
    client = narrow.client()
    narrow.llm.on(client.text("stuck"), replies.hang())
    jobs = [await say(client, "stuck", session_id="s"), await say(client, "behind", session_id="s")]
    await client.post("one too many", session_id="s")
    for job in reversed(jobs):
        await client.cancel(job["job_id"])

    assert (await say(client, "next", session_id="s"))["seq"] == 3


async def test_a_full_backlog_refuses_everybody_and_stores_nothing(narrow: Relay) -> None:
    client, other = narrow.client(), narrow.client()
    narrow.llm.on(client.text("stuck"), replies.hang())
    jobs = [await say(client, "stuck", stateless=True) for _ in range(4)]

    reply = await other.post("one too many")

    problem(reply, 503, "overloaded")
    assert int(reply.headers["Retry-After"]) >= 1
    assert await other.jobs() == []
    await client.cancel(jobs[0]["job_id"])
    await say(other, "now there is room")
    for job in jobs[1:]:
        await client.cancel(job["job_id"])


async def test_a_retry_is_refused_by_a_full_conversation_too(narrow: Relay) -> None:
    client = narrow.client()
    narrow.llm.on(client.text("stuck"), replies.hang())
    narrow.llm.on(client.text("bad"), replies.status(400))
    failed = await say(client, "bad", session_id="s")
    await client.ended(failed["job_id"], "failed")
    jobs = [await say(client, text, session_id="s") for text in ("stuck", "behind")]

    problem(await client.retry(failed["job_id"]), 429, "conversation_full")

    assert (await client.job(failed["job_id"]))["retried_as"] is None
    for job in reversed(jobs):
        await client.cancel(job["job_id"])
