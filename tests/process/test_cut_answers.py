"""How an answer ended is visible wherever it is: one that was cut, on every route, and one that broke off on none."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.replies import Reply
from answerback.testing.service import Service
from troubles import chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"MAX_RETRIES": "0", "RATE_LIMIT": "0"}


def both(text: str, reason: Any) -> Reply:
    """This answer with this reason, as a stream where one is asked for."""
    whole, streamed = replies.message(text, reason), replies.stream(sse(chunk(text), chunk(None, reason)))

    async def reply(request: Any, call: replies.Call) -> Any:
        return await (streamed if call.streamed else whole)(request, call)

    return reply


async def read(http: aiohttp.ClientSession, path: str, headers: Mapping[str, str] | None = None, **body: Any) -> str:
    async with http.post(path, json=body, headers=headers) as response:
        return await response.text() if response.status == 200 else str(response.status)


def last_event(stream: str) -> Any:
    return json.loads(stream.strip().rpartition("data: ")[2])


async def test_a_cut_answer_says_so_on_every_route(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on(lambda user: user.startswith("cut"), both("half an ans", "MAX_TOKENS"))

    generated = json.loads(await read(http, "/generate", prompt="cut"))
    asked = json.loads(await read(http, "/api/ask", question="cut"))
    events = await read(http, "/api/streaming", EVENTS, question="cut as events")
    streamed = await read(http, "/generate", prompt="cut", stream=True)
    await read(http, "/api/streaming", question="cut as text")

    assert (generated["response"], generated["finish_reason"]) == ("half an ans", "length")
    assert asked == {"answer": "half an ans", "finish_reason": "length"}
    assert last_event(events) == last_event(streamed) == {"done": True, "finish_reason": "length"}
    async with http.get("/api/history", params={"limit": 3}) as response:
        assert [each["finish_reason"] for each in (await response.json())["items"]] == ["length"] * 3


@pytest.mark.parametrize(("word", "shown"), [("MAX_TOKENS", "length"), ("a_word_of_its_own", "a_word_of_its_own")])
async def test_openais_clients_get_openais_word_or_one_of_no_known_meaning(
    http: aiohttp.ClientSession, llm: FakeLLM, word: str, shown: str
) -> None:
    llm.on(word, both("half", word))
    messages = [{"role": "user", "content": word}]

    whole = json.loads(await read(http, "/v1/chat/completions", messages=messages))
    streamed = await read(http, "/v1/chat/completions", messages=messages, stream=True)

    assert whole["choices"][0]["finish_reason"] == shown
    assert f'"finish_reason": "{shown}"' in streamed
    assert streamed.endswith("data: [DONE]\n\n")


async def test_a_cut_stream_is_a_whole_response_to_repeat(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("once", both("half", "length"))

    first, again = [
        await read(http, "/api/streaming", {**EVENTS, "Idempotency-Key": "cut-1"}, question="once") for _ in range(2)
    ]

    assert first == again
    assert llm.count("once") == 1


@pytest.mark.parametrize(
    ("reason", "status"), [("network_error", "502"), ("abort", "502"), ("", "502"), (None, "502"), ("null", "502")]
)
async def test_an_answer_that_broke_off_is_a_success_nowhere(
    http: aiohttp.ClientSession, llm: FakeLLM, service: Service, reason: str | None, status: str
) -> None:
    question = f"broken {reason!r}"
    llm.on(question, both("half an ans", reason))
    messages = [{"role": "user", "content": question}]

    assert await read(http, "/generate", prompt=question) == status
    assert await read(http, "/api/ask", question=question) == status
    assert await read(http, "/v1/chat/completions", messages=messages) == status
    assert "event: error" in await read(http, "/api/streaming", EVENTS, question=question)
    assert "event: error" in await read(http, "/generate", prompt=question, stream=True)
    assert "[DONE]" not in await read(http, "/v1/chat/completions", messages=messages, stream=True)
    with pytest.raises(aiohttp.ClientPayloadError):
        await read(http, "/api/streaming", question=question)
    assert await benchmarked(http, service, question) == [("failed", "")]
    async with http.get("/api/history", params={"limit": 100}) as response:
        assert question not in [each["question"] for each in (await response.json())["items"]]


async def test_a_benchmark_writes_down_how_answers_end(
    http: aiohttp.ClientSession, llm: FakeLLM, service: Service
) -> None:
    llm.on("measure", both("half", "length"))

    assert await benchmarked(http, service, "measure") == [("ok", "length")]


async def benchmarked(http: aiohttp.ClientSession, service: Service, prompt: str) -> list[tuple[str, str]]:
    form = aiohttp.FormData({"runs": "1"})
    form.add_field("prompt_file", prompt.encode(), filename="prompts.txt")
    async with http.post("/benchmark", data=form) as response:
        report = await response.json()
    rows = csv.DictReader(io.StringIO((service.folder / report["results_file"]).read_text()))
    return [(row["status"], row["finish_reason"]) for row in rows]
