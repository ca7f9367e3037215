"""A key is one response, in whatever way it is asked for: whole, streamed, in the background, in a conversation."""

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from serving import client_of
from troubles import upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = {"AUTH_TOKEN": "the-key", "RATE_LIMIT": "0"}
MODES: Mapping[str, Mapping[str, Any]] = {
    "whole": {},
    "streamed": {"stream": True},
    "background": {"background": True},
    "background stream": {"background": True, "stream": True},
    "turn": {"conversation": None},
    "streamed turn": {"conversation": None, "stream": True},
}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return TOKENS | {"LLM_TIMEOUT_SECONDS": "20", "MAX_RETRIES": "0"}


def keyed(text: str, **more: Any) -> Any:
    """A request whose key is its text."""
    return {"model": "fake", "input": text, "extra_headers": {"Idempotency-Key": text}, **more}


async def ended(sdk: openai.AsyncOpenAI, asked: Mapping[str, Any]) -> Any:
    """The response to a request in any mode, once it is whole."""
    made: Any = await sdk.responses.create(**asked)
    if asked.get("stream"):
        made = [event async for event in made][-1].response
    while made.status in ("queued", "in_progress"):
        made = await sdk.responses.retrieve(made.id)
    return made


@pytest.mark.parametrize(("first", "other"), [*itertools.permutations(MODES, 2)])
async def test_the_same_key_in_another_mode_is_a_conflict(
    sdk: openai.AsyncOpenAI, llm: FakeLLM, first: str, other: str
) -> None:
    text = f"first {first}, then {other}"
    conversation = (await sdk.conversations.create()).id
    asked, otherwise = [
        keyed(text, **{name: value or conversation for name, value in MODES[each].items()}) for each in (first, other)
    ]
    made = await ended(sdk, asked)

    with pytest.raises(openai.ConflictError) as conflict:
        await sdk.responses.create(**otherwise)

    assert conflict.value.code == "idempotency_conflict"
    assert conflict.value.response.headers["x-should-retry"] == "false"
    assert await ended(sdk, asked) == made
    assert llm.count(text) == 1


async def test_requests_at_once_under_one_key_are_one_response(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go = asyncio.Event()
    llm.on("at once", replies.hang(go, replies.echo()))
    calls = [asyncio.ensure_future(sdk.responses.create(**keyed("at once"))) for _ in range(5)]
    await llm.wait_for_calls(llm.total + 1)
    go.set()

    first, *others = await asyncio.gather(*calls)

    assert others == [first] * 4
    assert llm.count("at once") == 1


async def test_all_who_wait_under_one_key_hear_why_it_failed(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    go = asyncio.Event()
    llm.on("failing at once", replies.hang(go, replies.status(500)), replies.say("Now."))
    calls = [asyncio.ensure_future(sdk.responses.create(**keyed("failing at once"))) for _ in range(5)]
    await llm.wait_for_calls(llm.total + 1)
    # They wait for the same job: a request that came later would be a try of its own.
    await sdk.models.list()
    go.set()

    failed = await asyncio.gather(*calls, return_exceptions=True)

    assert {each.status_code for each in failed if isinstance(each, openai.APIStatusError)} == {502}
    assert (await sdk.responses.create(**keyed("failing at once"))).output_text == "Now."


@pytest.mark.parametrize("retries", [0, 1])
async def test_a_failure_says_the_same_of_retries_with_a_key_and_without(llm: FakeLLM, retries: int) -> None:
    """Each has a service of its own, which does not know of the limit yet."""
    said = set[tuple[int, str | None, str | None]]()
    for n, key in enumerate(({}, {"Idempotency-Key": "limited"})):
        text = f"limited {retries} {n}"
        llm.on(text, replies.status(429, headers={"Retry-After": "9"}))
        settings = upstream(llm.base_url) | TOKENS | {"MAX_RETRIES": str(retries)}
        async with Service(settings) as service, client_of(service) as sdk:
            with pytest.raises(openai.RateLimitError) as limited:
                await sdk.responses.create(model="fake", input=text, extra_headers=key)
        answered = limited.value.response.headers
        said.add((limited.value.status_code, answered["retry-after"], answered.get("x-should-retry")))

    # What is longer than a caller's patience is not waited for, so that a retry is left.
    assert said == {(429, "9", None if retries else "false")}


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_one_that_the_deadline_cuts_off_says_so(llm: FakeLLM, mode: str) -> None:
    llm.on(f"too late {mode}", replies.hang())
    settings = upstream(llm.base_url) | TOKENS | {"JOB_DEADLINE_SECONDS": "1"}
    async with Service(settings) as service, client_of(service) as sdk:
        # Or, where the sweep was faster: no answer came before the deadline.
        with pytest.raises(openai.InternalServerError, match=r"before the (job's )?deadline") as late:
            await ended(sdk, keyed(f"too late {mode}", **MODES[mode]))

    assert late.value.status_code == 503


async def test_all_who_read_a_stream_under_one_key_see_the_same_end_of_it(
    sdk: openai.AsyncOpenAI, llm: FakeLLM
) -> None:
    go = asyncio.Event()
    llm.on("breaking at once", replies.hang(go, replies.break_off("Half of")), replies.say("Now."))
    asked = keyed("breaking at once", stream=True)

    async def read() -> list[Any]:
        stream: Any = await sdk.responses.create(**asked)
        return [event async for event in stream]

    calls = [asyncio.ensure_future(read()) for _ in range(5)]
    await llm.wait_for_calls(llm.total + 1)
    await sdk.models.list()
    go.set()
    seen, *others = await asyncio.gather(*calls)

    assert others == [seen] * 4
    failed = seen[-1].response
    assert (seen[-1].type, failed.output_text, failed.error.code) == ("response.failed", "Half", "server_error")
    for ask in (sdk.responses.retrieve, sdk.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            await ask(failed.id)
    assert (await ended(sdk, asked)).output_text == "Now."


async def test_a_client_that_left_fetches_it_with_its_key(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    for mode in ("whole", "streamed"):
        text, go = f"left {mode}", asyncio.Event()
        llm.on(text, replies.hang(go, replies.echo()))
        leaving = asyncio.ensure_future(ended(sdk, keyed(text, **MODES[mode])))
        await llm.wait_for_calls(llm.total + 1)
        leaving.cancel()
        await asyncio.wait({leaving})
        go.set()

        assert (await ended(sdk, keyed(text, **MODES[mode]))).output_text.startswith(f'You said: "{text}"')
        assert llm.count(text) == 1


async def test_it_is_there_after_what_it_went_on_from_was_deleted(sdk: openai.AsyncOpenAI) -> None:
    before = await sdk.responses.create(model="fake", input="before")
    asked = keyed("behind it", previous_response_id=before.id)
    first = await sdk.responses.create(**asked)
    await sdk.responses.delete(before.id)

    assert await sdk.responses.create(**asked) == first


async def test_one_that_is_not_stored_is_fetched_with_its_key_alone(sdk: openai.AsyncOpenAI) -> None:
    first = await sdk.responses.create(**keyed("unstored", store=False))

    assert await sdk.responses.create(**keyed("unstored", store=False)) == first
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(first.id)


@pytest.mark.parametrize("mode", ["whole", "streamed", "background"])
async def test_one_that_was_deleted_is_not_asked_again_either(sdk: openai.AsyncOpenAI, llm: FakeLLM, mode: str) -> None:
    asked = keyed(f"deleted {mode}", **MODES[mode])
    await sdk.responses.delete((await ended(sdk, asked)).id)

    with pytest.raises(openai.ConflictError, match="deleted") as conflict:
        await sdk.responses.create(**asked)

    assert conflict.value.response.headers["x-should-retry"] == "false"
    assert llm.count(f"deleted {mode}") == 1


async def test_one_that_is_deleted_while_its_caller_waits_is_not_asked_again(
    sdk: openai.AsyncOpenAI, http: aiohttp.ClientSession, llm: FakeLLM
) -> None:
    llm.on("deleted meanwhile", replies.hang())
    waiting = asyncio.ensure_future(sdk.responses.create(**keyed("deleted meanwhile")))
    await llm.wait_for_calls(llm.total + 1)
    async with http.get("/v1/jobs?status=running") as response:
        (job,) = (await response.json())["items"]

    await sdk.responses.delete(job["job_id"].replace("job_", "resp_"))

    with pytest.raises(openai.ConflictError, match="cancelled") as conflict:
        await waiting
    assert conflict.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_it_survives_a_kill(llm: FakeLLM, mode: str) -> None:
    text = f"survive {mode}"
    llm.on(text, replies.hang(), replies.say("I am back."))
    calls = llm.total
    async with Service(upstream(llm.base_url) | TOKENS | {"LEASE_SECONDS": "2"}) as service:
        async with client_of(service) as sdk:
            lost = asyncio.ensure_future(ended(sdk, keyed(text, **MODES[mode])))
            await llm.wait_for_calls(calls + 1)
            await service.kill()
            with pytest.raises(openai.APIConnectionError):
                await lost
        await service.start()
        async with client_of(service) as sdk:
            again, and_again = [await ended(sdk, keyed(text, **MODES[mode])) for _ in range(2)]

    assert (again.output_text, again) == ("I am back.", and_again)
    assert llm.count(text) == 2
