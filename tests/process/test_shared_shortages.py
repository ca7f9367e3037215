"""What is short is shared: a tenant that takes all it can get of it delays no other."""

import asyncio
from pathlib import Path
from typing import Any

import pytest_asyncio
from relay import Client, Relay, Reply, Surroundings, make_keys, problem

import slow_names
from answerback.testing import Service, replies
from eventually import eventually

MANY = 40
"""More than there are threads for lookups."""


QUESTIONS = 20


def done(requests: "list[asyncio.Task[Reply]]") -> int:
    return sum(request.done() for request in requests)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def relay(surroundings: Surroundings) -> Any:
    settings = {
        "OPENROUTER_BASE_URL": surroundings.llm.base_url,
        "UPSTREAM_CONCURRENCY": "2",
        "PYTHONPATH": str(Path(slow_names.__file__).parent),
    }
    service = Service(settings, module=("slow_names", "serve"))
    keys = await make_keys(service, 10)
    async with service:
        yield Relay(service, surroundings, keys)
        await service.kill()


async def test_anothers_dead_names_delay_no_202_and_no_callback(relay: Relay) -> None:
    # Given a tenant whose messages and callbacks go to names that have no address
    flooding, other = relay.client(), relay.client()
    flood = [
        asyncio.ensure_future(flooding.post(f"n {n}", callback_url=f"http://dead{n}.test/", stateless=True))
        for n in range(MANY)
    ]
    folder = relay.service.folder
    await eventually(lambda: [*folder.glob("dead*")], "a dead name is looked up")
    # When another tenant names hosts that must be looked up, too
    for n in range(20):
        url = f"http://alive{n}.test:{relay.receiver.port}{other.path}"
        await other.say(f"message {n}", callback_url=url, stateless=True)
    await other.callbacks(20)
    # Then it has had its callbacks before the flood has its first 202
    assert done(flood) == 0
    (folder / slow_names.ANSWERS).touch()
    assert {reply.status for reply in await asyncio.gather(*flood)} == {202}


async def ask(client: Client, text: str) -> Reply:
    return await client.request("POST", "/api/ask", json={"question": client.text(text)})


async def test_callers_wait_for_the_few_places_of_an_upstream_in_turn(relay: Relay) -> None:
    # Given a tenant that asks far more than the upstream answers at once, in requests and in jobs
    flooding, other = relay.client(), relay.client()
    relay.llm.on(lambda asked: asked.endswith(f"({flooding.name})"), replies.delayed(0.1))
    for n in range(QUESTIONS):
        await flooding.say(f"message {n}", stateless=True)
    flood = [asyncio.ensure_future(ask(flooding, f"question {n}")) for n in range(QUESTIONS)]
    await flooding.asked(4)
    # When another tenant asks
    answers = [await ask(other, f"question {n}") for n in range(3)]
    # Then it is answered in its turn, and everybody in the end
    assert done(flood) < QUESTIONS / 2
    assert {reply.status for reply in [*answers, *await asyncio.gather(*flood)]} == {200}
    await flooding.callbacks(QUESTIONS)
    jobs = await flooding.jobs("?limit=100")
    assert {(job["status"], job["attempt"]) for job in jobs} == {("completed", 1)}


async def test_a_caller_whose_wait_is_over_hears_when_to_come_again(surroundings: Surroundings) -> None:
    limits = {"upstream_concurrency": 1, "llm_timeout_seconds": 0.5, "max_retries": 0}
    async with surroundings.running(keys=1, **limits) as narrow:
        client = narrow.client()
        narrow.llm.on(client.text("stuck"), replies.hang())

        answers = await asyncio.gather(*(ask(client, "stuck") for _ in range(5)))

    refused = [reply for reply in answers if reply.status == 429]
    assert len(refused) >= 3
    assert {reply.status for reply in answers} == {429, 503}
    for reply in refused:
        assert "is asked at once are under way" in problem(reply, 429, "upstream_rate_limited")
        assert int(reply.headers["Retry-After"]) >= 1


async def test_anothers_lists_delay_no_read(relay: Relay) -> None:
    # Given a tenant that lists its many jobs over and over
    flooding, other = relay.client(), relay.client()
    for n in range(100):
        await flooding.say(f"message {n}", stateless=True)
    job = await other.say(stateless=True)
    flood = [asyncio.ensure_future(flooding.request("GET", "/v1/jobs?limit=100")) for _ in range(MANY)]
    await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
    # When another tenant reads
    await other.job(job["job_id"])
    # Then it has not waited for all of those lists
    assert done(flood) < MANY / 2
    assert {reply.status for reply in await asyncio.gather(*flood)} == {200}
