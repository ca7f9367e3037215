"""Asked and streamed questions and their history, over real HTTP."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from answerback.accounts.model import hash_key
from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from builders import RealClock
from databases import SqliteDatabase
from troubles import SECRET, TROUBLES, chunk, sse, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = {"Accept": "text/event-stream"}
OTHER = {"Authorization": "the-other-key"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(llm: FakeLLM) -> AsyncIterator[Service]:
    """With two keys, each a tenant."""
    made = Service(upstream(llm.base_url) | {"LLM_TIMEOUT_SECONDS": "2", "AUTH_TOKEN": "the-key"})
    stores = await SqliteDatabase(made.database).open(RealClock())
    await stores.accounts.create_key("other", hash_key(OTHER["Authorization"]))
    await stores.close()
    async with made:
        yield made


@pytest.fixture(scope="module")
def headers() -> Mapping[str, str]:
    return {"Authorization": "Bearer the-key"}


async def ask(http: aiohttp.ClientSession, question: Any, **fields: Any) -> tuple[int, Any]:
    async with http.post("/api/ask", json={"question": question, **fields}) as response:
        return response.status, await response.json()


async def history(http: aiohttp.ClientSession, limit: int = 100, **options: Any) -> list[dict[str, str]]:
    async with http.get("/api/history", params={"limit": limit}, **options) as response:
        assert response.status == 200
        return (await response.json())["items"]  # type: ignore[no-any-return]


async def events(response: aiohttp.ClientResponse) -> list[str]:
    return [each for each in (await response.text()).split("\n\n") if each]


async def test_a_question_gets_its_answer(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("Where is Paris?", replies.say("In France, où l'on parle français 🌍."))

    status, body = await ask(http, "Where is Paris?", model="vendor/large:free")

    assert (status, body) == (200, {"answer": "In France, où l'on parle français 🌍."})
    assert llm.calls[-1].body == {
        "messages": [{"role": "user", "content": "Where is Paris?"}],
        "model": "vendor/large:free",
    }


async def test_without_a_model_the_default_answers(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    assert (await ask(http, "who are you?"))[0] == 200

    assert llm.calls[-1].model == "fake"


async def test_a_stream_of_text_comes_word_by_word(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("as text", replies.say("one two three"))

    async with http.post("/api/streaming", json={"question": "as text"}) as response:
        text = await response.text()

    assert (response.status, text) == (200, "one two three")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-cache", "no")


async def test_words_come_before_the_answer_is_whole(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("an endless one", replies.stream(sse(chunk("once upon"), done=False), "never"))

    async with http.post("/api/streaming", json={"question": "an endless one"}, headers=EVENTS) as response:
        assert await response.content.readline() == b'data: {"content":"once upon"}\n'


async def test_a_stream_of_events_ends_with_done(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("as events", replies.say("one two"))

    async with http.post("/api/streaming", json={"question": "as events"}, headers=EVENTS) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert await events(response) == ['data: {"content":"one"}', 'data: {"content":" two"}', 'data: {"done":true}']


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/event-stream;q=0", "text/plain"),
        ("text/plain, text/event-stream; q=0.000", "text/plain"),
        ("text/event-stream-x", "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain;q=0.5, Text/Event-Stream;q=0.1", "text/event-stream"),
    ],
)
async def test_events_come_to_those_who_ask_for_them(http: aiohttp.ClientSession, accept: str, kind: str) -> None:
    async with http.post("/api/streaming", json={"question": "x"}, headers={"Accept": accept}) as response:
        assert response.content_type == kind


@pytest.mark.parametrize("name", TROUBLES)
async def test_upstream_trouble_is_a_status(http: aiohttp.ClientSession, llm: FakeLLM, name: str) -> None:
    trouble = TROUBLES[name]
    llm.on(f"ask {name}", trouble.reply)

    async with http.post("/api/ask", json={"question": f"ask {name}", "model": f"ask-{name}"}) as response:
        body = await response.json()

    assert (response.status, body["error"]["code"]) == (trouble.status, trouble.code)
    assert body["detail"] == body["error"]["message"]
    assert SECRET not in str(body)
    assert trouble.headers.items() <= dict(response.headers).items()


@pytest.mark.parametrize("name", TROUBLES)
async def test_a_stream_waits_for_the_first_word_so_trouble_is_a_status(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str
) -> None:
    trouble = TROUBLES[name]
    llm.on(f"stream {name}", trouble.streamed or trouble.reply)

    # A model of its own: one whose rate is limited rests.
    asked = {"question": f"stream {name}", "model": f"stream-{name}"}
    async with http.post("/api/streaming", json=asked, headers=EVENTS) as response:
        body = await response.json()

    assert (response.status, body["error"]["code"]) == (trouble.status, trouble.code)
    assert SECRET not in str(body)
    assert trouble.headers.items() <= dict(response.headers).items()


BREAKS = {
    "cut": (replies.stream(sse(chunk("half"), done=False), "broken"), "upstream_invalid"),
    "ends-without-finish-reason": (replies.stream(sse(chunk("half"))), "upstream_invalid"),
    "error-chunk": (
        replies.stream(sse(chunk("half"), {"error": {"code": 429, "message": SECRET}})),
        "upstream_rate_limited",
    ),
    "error-finish": (replies.stream(sse(chunk("half"), chunk("", "error"))), "upstream_error"),
    "garbage": (replies.stream(sse(chunk("half"), "<html>", chunk(" more", "stop"))), "upstream_invalid"),
    "stall": (replies.stream(sse(chunk("half"), done=False), "never"), "upstream_timeout"),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_stream_that_breaks_never_looks_complete(http: aiohttp.ClientSession, llm: FakeLLM, name: str) -> None:
    reply, code = BREAKS[name]
    question = {"question": f"break {name}"}
    llm.on(question["question"], reply)

    async with http.post("/api/streaming", json=question, headers=EVENTS) as response:
        *before, last = await events(response)
    assert (response.status, before[0]) == (200, 'data: {"content":"half"}')
    kind, data = last.split("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == code
    assert "done" not in "".join(before)
    assert SECRET not in last

    with pytest.raises(aiohttp.ClientPayloadError):
        async with http.post("/api/streaming", json=question) as response:
            await response.read()

    assert question["question"] not in [each["question"] for each in await history(http)]


async def test_history_has_asked_and_streamed_questions_newest_first_each_with_its_time(
    http: aiohttp.ClientSession,
) -> None:
    await ask(http, "first of three")
    for accept in ("text/plain", "text/event-stream"):
        async with http.post(
            "/api/streaming", json={"question": f"then {accept}"}, headers={"Accept": accept}
        ) as response:
            await response.read()

    items = await history(http, limit=3)

    assert [each["question"] for each in items] == ["then text/event-stream", "then text/plain", "first of three"]
    assert [each["answer"] for each in items] == [
        f'You said: "{each["question"]}". I was given 1 message.' for each in items
    ]
    times = [datetime.fromisoformat(each["timestamp"]) for each in items]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 3


async def test_history_belongs_to_the_key_and_outlives_the_process(
    http: aiohttp.ClientSession, service: Service
) -> None:
    await ask(http, "mine alone")
    assert await history(http, headers=OTHER) == []

    await service.kill()
    await service.start()

    assert (await history(http, limit=1))[0]["question"] == "mine alone"


@pytest.mark.parametrize("limit", ["0", "101", "x"])
async def test_history_takes_one_to_a_hundred(http: aiohttp.ClientSession, limit: str) -> None:
    async with http.get("/api/history", params={"limit": limit}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (422, "validation_error")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": "  "}, "question"),
        ({"question": "x" * 5001}, "question"),
        ({"question": 5}, "question"),
        ({"question": "a\0b"}, "question"),
        ({"question": "x", "model": 5}, "model"),
        ({"question": "x", "modle": "y"}, "modle"),
        ([], "body"),
    ],
)
@pytest.mark.parametrize("path", ["/api/ask", "/api/streaming"])
async def test_a_wrong_field_is_named(
    http: aiohttp.ClientSession, llm: FakeLLM, path: str, body: Any, named: str
) -> None:
    asked = llm.total

    async with http.post(path, json=body) as response:
        problem = await response.json()

    assert (response.status, problem["error"]["code"]) == (422, "validation_error")
    assert problem["detail"][0]["loc"][-1] == named
    assert llm.total == asked


async def test_the_longest_question_is_taken(http: aiohttp.ClientSession) -> None:
    assert (await ask(http, "x" * 5000))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/ask"), ("POST", "/api/streaming"), ("GET", "/api/history")]
)
@pytest.mark.parametrize("key", [None, "Bearer wrong"])
async def test_nothing_without_a_key(service: Service, llm: FakeLLM, method: str, path: str, key: str | None) -> None:
    asked = llm.total
    headers = {"Authorization": key} if key else {}

    async with (
        aiohttp.ClientSession(service.url) as stranger,
        stranger.request(method, path, json={"question": "x"}, headers=headers) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (401, "unauthorized")

    assert llm.total == asked


async def test_upstream_trouble_leaves_no_traceback_and_no_text_in_the_log(service: Service) -> None:
    assert "Traceback" not in service.logs
    # Nor a word of the server's about a stream that was broken off on purpose.
    assert "ASGI" not in service.logs
    assert SECRET not in service.logs
