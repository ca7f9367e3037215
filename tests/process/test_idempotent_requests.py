"""`Idempotency-Key` on routes that answer at once: done once, paid for once, answered with the same bytes."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import aiohttp
import openai
import pytest
import pytest_asyncio
from idempotent_calls import ROUTES, STREAMS, WHOLE, call, code_of

from answerback.accounts.model import hash_key
from answerback.kernel.clock import SystemClock
from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from databases import SqliteDatabase
from troubles import chunk, sse, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER = {"Authorization": "Bearer the-other-key"}
REQUESTS = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(llm: FakeLLM) -> AsyncIterator[Service]:
    """With two keys, each a tenant."""
    made = Service(upstream(llm.base_url) | {"AUTH_TOKEN": "the-key"})
    stores = await SqliteDatabase(made.database).open(SystemClock())
    await stores.accounts.create_key("other", hash_key("the-other-key"))
    await stores.close()
    async with made:
        yield made


@pytest.fixture(scope="module")
def headers() -> Mapping[str, str]:
    return {"Authorization": "Bearer the-key"}


@pytest.mark.parametrize("name", ROUTES)
async def test_a_request_sent_again_gets_the_stored_response_without_a_call_of_the_llm(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str
) -> None:
    route, text = ROUTES[name], f"again {name}"
    llm.on(text, replies.say("one two three"))

    first = await call(http, route, text)
    again = await call(http, route, text)

    assert (first.status, first.stored, again.stored) == (200, False, True)
    assert (again.status, again.body) == (200, first.body)
    own = {"Date", "X-Request-Id", "Transfer-Encoding", "Content-Length", "Idempotent-Replayed"}
    ours = {name.title() for name in first.headers} - own
    assert {name.title() for name in again.headers} - own == ours
    assert [again.headers[each] for each in ours] == [first.headers[each] for each in ours]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert llm.count(text) == 1


@pytest.mark.parametrize("name", ROUTES)
async def test_without_a_key_every_request_is_a_new_one(http: aiohttp.ClientSession, llm: FakeLLM, name: str) -> None:
    route, text = ROUTES[name], f"keyless {name}"

    for _ in range(2):
        async with http.post(route.path, headers=route.headers, **route.body(text)) as response:
            await response.read()
            assert (response.status, "Idempotent-Replayed" in response.headers) == (200, False)

    assert llm.count(text) == 2


@pytest.mark.parametrize("name", ROUTES)
async def test_another_body_under_the_same_key_is_a_conflict(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str
) -> None:
    route, text = ROUTES[name], f"conflict {name}"
    await call(http, route, text)

    other = await call(http, route, f"other {name}", key=text)

    assert (other.status, code_of(other)) == (409, "idempotency_conflict")
    assert other.headers["x-should-retry"] == "false"
    assert (other.json.get("detail") is None) == route.openai
    assert llm.count(f"other {name}") == 0


async def test_the_same_question_for_another_kind_of_stream_is_another_request(http: aiohttp.ClientSession) -> None:
    await call(http, STREAMS["words"], "one key, two forms")

    assert (await call(http, STREAMS["events"], "one key, two forms")).status == 409


async def test_the_same_body_in_another_layout_is_the_same_request(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    first = await call(http, WHOLE["ask"], "laid out")
    sent = {"Idempotency-Key": "laid out"}

    async with http.post("/api/ask", data=b'{ "model": null,\n"question": "laid out" }', headers=sent) as response:
        assert (response.status, await response.read()) == (200, first.body)

    assert llm.count("laid out") == 1


async def test_routes_do_not_share_keys(http: aiohttp.ClientSession) -> None:
    reply = [await call(http, ROUTES[name], "on every route") for name in ("ask", "generate", "chat", "words")]

    assert [(each.status, each.stored) for each in reply] == [(200, False)] * 4


async def test_tenants_do_not_share_keys(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    mine = await call(http, WHOLE["chat"], "whose")
    theirs = await call(http, WHOLE["chat"], "whose", headers=OTHER)
    theirs_again = await call(http, WHOLE["chat"], "whose", headers=OTHER)

    assert [each.stored for each in (mine, theirs, theirs_again)] == [False, False, True]
    assert llm.count("whose") == 2


@pytest.mark.parametrize("name", ROUTES)
async def test_of_many_requests_with_one_key_one_is_answered_and_the_others_get_409(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str
) -> None:
    route, text = ROUTES[name], f"at once {name}"
    others_were_refused = asyncio.Event()
    llm.on(text, replies.hang(others_were_refused, replies.echo()))
    calls = {asyncio.ensure_future(call(http, route, text)) for _ in range(REQUESTS)}
    seen = []
    while len(seen) < REQUESTS - 1:
        done, calls = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        seen += [task.result() for task in done]

    others_were_refused.set()
    (first,) = await asyncio.gather(*calls)

    assert {(each.status, code_of(each), each.headers["Retry-After"]) for each in seen} == {
        (409, "idempotency_in_progress", "1")
    }
    assert (first.status, first.stored) == (200, False)
    again = await call(http, route, text)
    assert (again.body, again.stored, llm.count(text)) == (first.body, True, 1)


async def test_a_question_sent_again_is_in_the_history_once(http: aiohttp.ClientSession) -> None:
    for _ in range(2):
        await call(http, WHOLE["ask"], "remember me")

    async with http.get("/api/history", params={"limit": 100}) as response:
        items = (await response.json())["items"]
    assert [item["question"] for item in items].count("remember me") == 1


async def test_openais_sdk_reads_a_stored_stream_as_a_stream(service: Service, llm: FakeLLM) -> None:
    llm.on("by the sdk", replies.say("one two three"))
    seen = []
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="the-key", max_retries=0) as client:
        for _ in range(2):
            stream = await client.chat.completions.create(
                model="fake",
                messages=[{"role": "user", "content": "by the sdk"}],
                stream=True,
                stream_options={"include_usage": True},
                extra_headers={"Idempotency-Key": "by the sdk"},
            )
            seen.append([each async for each in stream])
        with pytest.raises(openai.ConflictError) as conflict:
            await client.chat.completions.create(
                model="fake",
                messages=[{"role": "user", "content": "something else"}],
                extra_headers={"Idempotency-Key": "by the sdk"},
            )

    assert seen[1] == seen[0]
    assert "".join(each.choices[0].delta.content or "" for each in seen[1] if each.choices) == "one two three"
    assert seen[1][-1].usage is not None
    assert (conflict.value.code, llm.count("by the sdk")) == ("idempotency_conflict", 1)


async def test_a_response_too_large_to_store_is_sent_once_and_not_made_again(
    http: aiohttp.ClientSession, llm: FakeLLM
) -> None:
    # Twice as long written as JSON: an answer that is longer itself is none.
    words = [chunk('"' * 65_536) for _ in range(80)]
    llm.on("at length", replies.stream(sse(*words, chunk("", "stop"))))

    first = await call(http, STREAMS["events"], "at length")
    again = await call(http, STREAMS["events"], "at length")

    assert first.status == 200
    assert len(first.body) > 80 * 2 * 65_536
    assert (again.status, code_of(again)) == (409, "idempotency_response_not_kept")
    assert again.headers["x-should-retry"] == "false"
    assert llm.count("at length") == 1


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel"])
async def test_a_key_that_cannot_be_stored_is_refused(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str, key: str
) -> None:
    route, text = ROUTES[name], f"odd key {name}"

    reply = await call(http, route, text, key=key)

    refused = (400, "invalid_value") if route.openai else (422, "validation_error")
    assert (reply.status, code_of(reply)) == refused
    assert "255 printable ASCII" in reply.json["error"]["message"]
    assert llm.count(text) == 0


async def test_a_body_nested_to_the_limit_is_no_fault(http: aiohttp.ClientSession, service: Service) -> None:
    """Near the limit Python reads a depth of JSON that it does not write."""
    for depth in range(930, 965):
        nested = b'{"messages": [{"role": "user", "content": "deep"}], "x": %b}' % (b"[" * depth + b"]" * depth)
        async with http.post(
            "/v1/chat/completions", data=nested, headers={"Idempotency-Key": f"deep {depth}"}
        ) as response:
            assert response.status in (200, 400), depth


async def test_a_stored_response_counts_against_the_rate(llm: FakeLLM) -> None:
    settings = upstream(llm.base_url) | {"RATE_LIMIT": "2/minute"}
    async with Service(settings) as service, aiohttp.ClientSession(service.url) as http:
        reply = [await call(http, WHOLE["ask"], "thrice") for _ in range(3)]

    assert [each.status for each in reply] == [200, 200, 429]
    assert [each.headers["RateLimit-Remaining"] for each in reply] == ["1", "0", "0"]
