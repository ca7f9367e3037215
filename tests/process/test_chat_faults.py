"""200 ways for a stream to break (`FAULTS=1000` for more), and as many for a whole answer: none looks like success."""

import asyncio
import json
import os
import random
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.replies import Call, Reply
from answerback.testing.service import Service
from troubles import chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = 3
FAULTS = int(os.environ.get("FAULTS", "200"))
AT_ONCE = 25
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"LLM_TIMEOUT_SECONDS": "3"}


def good(rng: random.Random) -> list[Any]:
    """A whole answer; the last two are its end and its usage."""
    words = [chunk(f"word{n} ") for n in range(rng.randrange(1, 12))]
    return [chunk(""), *words, chunk(None, "stop"), chunk(None) | {"choices": [], "usage": USAGE}]


def cut(rng: random.Random) -> Reply:
    """Anywhere before its end has come, by a closed connection or a body that is over."""
    before = sse(*good(rng)[:-1], done=False)
    return replies.stream(before[: rng.randrange(len(before))], rng.choice(["whole", "broken"]))


def no_finish_reason(rng: random.Random) -> Reply:
    *words, _, usage = good(rng)
    return replies.stream(sse(*words, usage, done=rng.random() < 0.5))


def error_chunk(rng: random.Random) -> Reply:
    documents = good(rng)
    said = {"code": rng.choice([429, 500, 502, "server_error", None]), "message": "scripted"}
    broken = rng.choice([{"error": said}, chunk("", error=said), chunk("", "error")])
    documents.insert(rng.randrange(len(documents)), broken)
    return replies.stream(sse(*documents))


def garbage(rng: random.Random) -> Reply:
    documents = good(rng)
    whole = json.dumps(documents[1])
    noise = rng.choice(
        ["<html>busy</html>", whole[: rng.randrange(1, len(whole))], "null", "[]", "{}", "\ufffd\x01", "0"]
    )
    documents.insert(rng.randrange(len(documents)), noise)
    return replies.stream(sse(*documents))


def stall(rng: random.Random) -> Reply:
    """Beyond the timeout, before its end has come."""
    *words, _, _ = good(rng)
    return replies.stream(sse(*words[: rng.randrange(len(words) + 1)], done=False), "never")


def one_of_two(rng: random.Random) -> Reply:
    """Two answers are under way, one ends."""
    documents = good(rng)
    other = chunk("other")
    other["choices"][0]["index"] = 1
    documents.insert(rng.randrange(1, len(documents) - 2), other)
    return replies.stream(sse(*documents))


def two_ends(rng: random.Random) -> Reply:
    """It goes on after its end, or ends at each piece, and breaks before the last one has come."""
    words = [chunk(f"word{n} ") for n in range(rng.randrange(2, 12))]
    place = rng.randrange(1, len(words))
    if rng.random() < 0.5:
        documents = [*words[:place], chunk(None, "stop"), *words[place:]]
    else:
        documents = [chunk(f"word{n} ", "stop") for n in range(len(words))]
    return replies.stream(sse(*documents, done=False), "broken")


def ends_twice(rng: random.Random) -> Reply:
    """It ends, and then the upstream says that it broke off."""
    *words, end, usage = good(rng)
    failed = chunk(None, rng.choice(["error", "network_error", "abort"]))
    return replies.stream(sse(*words, end, failed, usage))


KINDS: tuple[Callable[[random.Random], Reply], ...] = (
    cut,
    cut,
    cut,
    no_finish_reason,
    error_chunk,
    error_chunk,
    garbage,
    garbage,
    stall,
    one_of_two,
    two_ends,
    ends_twice,
)


def whole(rng: random.Random) -> dict[str, Any]:
    said = {"role": "assistant", "content": " ".join(f"word{n}" for n in range(rng.randrange(1, 40)))}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "fake", "choices": [choice], "usage": USAGE}


def cut_whole(rng: random.Random) -> Reply:
    """Anywhere, by a closed connection or a body that is over."""
    data = replies.encoded(whole(rng))
    kept, broken = data[: rng.randrange(len(data))], rng.random() < 0.5

    async def reply(request: web.BaseRequest, _: Call) -> web.StreamResponse:
        length = len(data) if broken else len(kept)
        headers = {"Content-Type": "application/json", "Content-Length": str(length)}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(kept)
        if broken and request.transport is not None:
            request.transport.close()
        return response

    return reply


def without_reason(rng: random.Random) -> Reply:
    document = whole(rng)
    choice = document["choices"][0]
    choice["finish_reason"] = None
    if rng.random() < 0.5:
        del choice["finish_reason"]
    return replies.raw(replies.encoded(document))


def error_within(rng: random.Random) -> Reply:
    document, said = whole(rng), {"code": rng.choice([429, 500, "server_error", None]), "message": "scripted"}
    choice = document["choices"][0]
    match rng.randrange(4):
        case 0:
            document = {"error": said}
        case 1:
            document["error"] = said
        case 2:
            choice["error"] = said
        case _:
            choice["finish_reason"] = rng.choice(["error", "network_error", "abort"])
    return replies.raw(replies.encoded(document))


def garbage_whole(rng: random.Random) -> Reply:
    data = replies.encoded(whole(rng))
    place = rng.randrange(1, len(data) - 1)
    noise = rng.choice([b"<html>busy</html>", b"\xff\xfe\x00", b"}{", b'"'])
    return replies.raw(rng.choice([data[:place] + noise, noise, b"null", b"[]", b"{}", b"0", b""]))


def stall_whole(_: random.Random) -> Reply:
    return replies.hang()


def one_of_two_whole(rng: random.Random) -> Reply:
    """Two answers, of which one has no end."""
    document = whole(rng)
    document["choices"].append({"index": 1, "message": {"role": "assistant", "content": "other"}})
    return replies.raw(replies.encoded(document))


WHOLE_KINDS: tuple[Callable[[random.Random], Reply], ...] = (
    cut_whole,
    cut_whole,
    cut_whole,
    without_reason,
    error_within,
    error_within,
    garbage_whole,
    garbage_whole,
    stall_whole,
    one_of_two_whole,
)


async def test_no_broken_whole_answer_looks_like_success(llm: FakeLLM, service: Service) -> None:
    rng = random.Random(SEED)
    for n in range(FAULTS):
        llm.on(f"whole fault {n}", WHOLE_KINDS[n % len(WHOLE_KINDS)](rng))
    slots = asyncio.Semaphore(AT_ONCE)

    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:

        async def seen(n: int) -> list[bool]:
            async with slots:
                text = f"whole fault {n}"
                # Asked for as a stream, an upstream of this kind answers whole all the same.
                return [
                    await completed(client, text),
                    await responded(client, text, streamed=False),
                    await chatted(client, text, include_usage=n % 2 == 0),
                    await responded(client, text, streamed=True),
                ]

        seen_by_clients = await asyncio.gather(*(seen(n) for n in range(FAULTS)))
        as_success = [
            (n, WHOLE_KINDS[n % len(WHOLE_KINDS)].__name__, routes)
            for n, routes in enumerate(seen_by_clients)
            if any(routes)
        ]
        llm.on("whole", replies.raw(replies.encoded(whole(rng))))
        good = [
            await completed(client, "whole"),
            await responded(client, "whole", streamed=False),
            await chatted(client, "whole", include_usage=True),
            await responded(client, "whole", streamed=True),
        ]

    assert as_success == []
    assert all(good)


async def completed(client: openai.AsyncOpenAI, text: str) -> bool:
    """Whether the SDK got a completion."""
    try:
        await client.chat.completions.create(model="fake", messages=[{"role": "user", "content": text}])
    except openai.APIError:
        return False
    return True


async def test_no_broken_stream_looks_like_success(llm: FakeLLM, service: Service, http: aiohttp.ClientSession) -> None:
    rng = random.Random(SEED)
    for n in range(FAULTS):
        llm.on(f"fault {n}", KINDS[n % len(KINDS)](rng))
    slots = asyncio.Semaphore(AT_ONCE)

    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:

        async def seen(n: int) -> list[bool]:
            async with slots:
                return [
                    await chatted(client, f"fault {n}", include_usage=n % 2 == 0),
                    await streamed_events(http, f"fault {n}"),
                    await streamed_text(http, f"fault {n}"),
                    await responded(client, f"fault {n}", streamed=True),
                    await responded(client, f"fault {n}", streamed=False),
                ]

        seen_by_clients = await asyncio.gather(*(seen(n) for n in range(FAULTS)))
        as_success = [
            (n, KINDS[n % len(KINDS)].__name__, routes) for n, routes in enumerate(seen_by_clients) if any(routes)
        ]
        # The same eyes do see a success.
        whole = [
            await chatted(client, "whole", include_usage=True),
            await streamed_events(http, "x"),
            await streamed_text(http, "x"),
            await responded(client, "whole", streamed=True),
            await responded(client, "whole", streamed=False),
        ]

    assert as_success == []
    assert all(whole)
    async with http.get("/api/history", params={"limit": 100}) as response:
        assert [each["question"] for each in (await response.json())["items"]] == ["x", "x"]
    assert "Traceback" not in service.logs


async def chatted(client: openai.AsyncOpenAI, text: str, include_usage: bool) -> bool:
    """Whether the SDK came to the stream's end without raising."""
    try:
        stream = await client.chat.completions.create(
            model="fake",
            messages=[{"role": "user", "content": text}],
            stream=True,
            stream_options={"include_usage": include_usage},
        )
        async for _ in stream:
            pass
    except openai.APIError:
        return False
    return True


async def responded(client: openai.AsyncOpenAI, text: str, streamed: bool) -> bool:
    """Whether the SDK got a response that says it is whole, or a stream without the end of one that broke."""
    asked: Any = {"model": "fake", "input": text, "store": False, "stream": streamed}
    try:
        response: Any = await client.responses.create(**asked)
        events = [event async for event in response] if streamed else []
    except openai.APIError:
        return False
    return events[-1].type != "response.failed" if streamed else response.status == "completed"


async def streamed_events(http: aiohttp.ClientSession, text: str) -> bool:
    headers = {"Accept": "text/event-stream"}
    async with http.post("/api/streaming", json={"question": text}, headers=headers) as response:
        return response.status == 200 and '{"done":true}' in await response.text()


async def streamed_text(http: aiohttp.ClientSession, text: str) -> bool:
    try:
        async with http.post("/api/streaming", json={"question": text}) as response:
            await response.read()
            return response.status == 200
    except aiohttp.ClientPayloadError:
        return False


async def test_what_fails_before_the_first_token_is_retried_and_not_noticed(llm: FakeLLM, tmp_path: Any) -> None:
    settings = {"OPENROUTER_BASE_URL": llm.base_url, "MAX_RETRIES": "4", "MIN_RETRY_DELAY": "0.01", "RATE_LIMIT": "0"}
    llm.on(
        "patience",
        replies.status(503),
        replies.stream(sse({"error": {"code": 502, "message": "scripted"}})),
        replies.stream(sse(chunk(""), done=False), "broken"),
        replies.say("worth it"),
    )

    async with (
        Service(settings, folder=tmp_path) as service,
        openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client,
    ):
        stream = await client.chat.completions.create(
            model="fake", messages=[{"role": "user", "content": "patience"}], stream=True
        )
        pieces = [each.choices[0].delta.content or "" async for each in stream]

    assert ("".join(pieces), llm.count("patience")) == ("worth it", 4)
