"""What users of other gateways reported of their responses, each as it was met; and what a broken upstream does."""

import json
import random
from collections.abc import Mapping
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.replies import Call, Reply
from troubles import chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

FUNCTION: dict[str, Any] = {"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"AUTH_TOKEN": "the-key", "RATE_LIMIT": "0", "LLM_TIMEOUT_SECONDS": "5"}


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "find", "arguments": "{}"}


def output(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": f"of {call_id}"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def refusing(wrong: Any, message: str, otherwise: Reply, status: int = 400) -> Reply:
    """An upstream that refuses some requests by their messages."""

    async def reply(request: web.BaseRequest, asked: Call) -> web.StreamResponse:
        chosen = replies.status(status, {"error": {"message": message}}) if wrong(asked.messages) else otherwise
        return await chosen(request, asked)

    return reply


async def test_1_the_stream_helper_of_the_sdk_reads_every_text(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    for text in ("one", "two words", "x" * 5000, "é 🌍"):
        llm.then(replies.say(text))
        async with sdk.responses.stream(model="fake", input="say it") as stream:
            assert (await stream.get_final_response()).output_text == text


async def test_2_an_answer_that_was_cut_is_incomplete(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("cut it", replies.stream(sse(chunk("Hel"), chunk(None, "length"))))

    whole = await sdk.responses.create(model="fake", input="cut it", max_output_tokens=1)
    stream = await sdk.responses.create(model="fake", input="cut it", max_output_tokens=1, stream=True)
    *_, last = [event async for event in stream]

    assert last.type == "response.incomplete"
    for response in (whole, last.response):
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"
        assert response.output[0].status == "incomplete"  # type: ignore[union-attr]
    assert llm.calls[-1].body["max_tokens"] == 1


async def test_3_parallel_calls_stay_one_message(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    items: Any = [user("both"), call("a"), call("b"), output("a"), output("b")]

    await sdk.responses.create(model="fake", input=items, tools=[FUNCTION])  # type: ignore[list-item]

    assert [said["role"] for said in llm.calls[-1].messages] == ["user", "assistant", "tool", "tool"]
    assert [each["id"] for each in llm.calls[-1].messages[1]["tool_calls"]] == ["a", "b"]


@pytest.mark.parametrize("refused", [False, True], ids=["demanded", "refused"])
async def test_4_thoughts_go_back_where_they_are_wanted(sdk: openai.AsyncOpenAI, llm: FakeLLM, refused: bool) -> None:
    model, text = f"thinker-{refused}", f"think {refused}"
    message = "reasoning_content is not supported" if refused else "reasoning_content must be passed back"

    def wrong(messages: Any) -> bool:
        return any(refused == ("reasoning_content" in said) for said in messages if said["role"] == "assistant")

    llm.on(text, refusing(wrong, message, replies.say("Done."), 422 if refused else 400))
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}
    thought["content"] = [{"type": "reasoning_text", "text": "hm"}]
    items: Any = [user(text), thought, call("a"), output("a")]

    for _ in range(2):
        response = await sdk.responses.create(model=model, input=items, tools=[FUNCTION])  # type: ignore[list-item]
        assert response.output_text == "Done."

    # What an upstream refused once is not sent to it again.
    assert llm.count(text) == (3 if refused else 2)


async def test_5_tools_that_only_openai_has_lock_no_client_out(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    tools: Any = [
        FUNCTION,
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "agents", "description": "", "tools": [{"type": "function", "name": "spawn"}]},
        {"type": "web_search"},
    ]

    raw = await sdk.responses.with_raw_response.create(model="fake", input="go", tools=tools, tool_choice="auto")

    assert raw.parse().status == "completed"
    assert raw.headers["x-answerback-ignored-tools"] == "web_search"
    offered = [each["function"]["name"] for each in llm.calls[-1].body["tools"]]
    assert offered == ["find", "patch", "agents__spawn"]


async def test_6_instructions_stand_in_one_system_message_in_front(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    def wrong(messages: Any) -> bool:
        return any(said["role"] in ("system", "developer") for said in messages[1:])

    llm.on("obey", refusing(wrong, "system messages must come first", replies.say("Yes.")))
    items: Any = [
        {"role": "developer", "content": "One."},
        user("before"),
        {"role": "developer", "content": "Two."},
        user("obey"),
    ]

    response = await sdk.responses.create(model="fake", input=items, instructions="Zero.")

    assert response.output_text == "Yes."
    assert llm.calls[-1].messages[0]["content"] == "Zero.\n\nOne.\n\nTwo."


async def test_7_a_stream_that_dies_has_failed(sdk: openai.AsyncOpenAI, llm: FakeLLM) -> None:
    llm.on("die", replies.break_off("This sentence will never be finished."))

    stream = await sdk.responses.create(model="fake", input="die", stream=True)
    events = [event async for event in stream]

    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.code == "server_error"
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said
    assert last.response.output_text == said
    assert last.response.output[0].status == "incomplete"  # type: ignore[union-attr]


def broken_answers(seed: int) -> bytes:
    """A good stream, broken in one of the ways that upstreams have."""
    dice = random.Random(seed)
    thoughts = json.dumps({"choices": [{"index": 0, "delta": {"reasoning": "hm"}, "finish_reason": None}]})
    good = [thoughts, *(json.dumps(chunk(word)) for word in ("This ", "is ", "the ", "answer."))]
    end, error = json.dumps(chunk(None, "stop")), json.dumps({"error": {"code": 500, "message": "boom"}})
    place = dice.randint(1, len(good))
    match dice.randrange(4):
        case 0:
            whole = sse(*good, end)
            return whole[: dice.randrange(1, whole.index(b'"stop"') - 1)]
        case 1:
            return sse(*good)
        case 2:
            return sse(*good[:place], error, *good[place:], end)
        case _:
            return sse(*good[:place], '{"choices": [{"index": 0, "del', *good[place:], end)


async def test_no_broken_answer_looks_whole(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    for seed in range(120):
        ends: Any = ("whole", "broken")
        llm.then(replies.stream(broken_answers(seed), ends[seed % 2]))
        streamed = seed % 3 > 0
        asked = {"model": f"m{seed}", "input": "break", "stream": streamed}
        async with http.post("/v1/responses", json=asked) as response:
            text = await response.text()
            if response.status == 200:
                assert streamed, text
                assert "event: response.failed\n" in text, (seed, text)
                assert "response.completed" not in text
            else:
                assert response.status in (502, 503), (seed, text)
