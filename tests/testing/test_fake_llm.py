"""The fake LLM is faithful: OpenAI's own client talks to it; and it records what it was asked."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from answerback.kernel.clock import SystemClock
from answerback.kernel.heavy import HeavyWork
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.provider import send_whole
from answerback.testing import replies
from answerback.testing.llm import FakeLLM


@pytest.fixture
async def client(llm: FakeLLM) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=llm.base_url, api_key="key", max_retries=0) as made:
        yield made


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def test_openais_client_gets_an_answer(llm: FakeLLM, client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="m", messages=user("hi"))

    assert answer.choices[0].message.content == 'You said: "hi". I was given 1 message.'
    assert (answer.model, answer.object, answer.choices[0].finish_reason) == ("m", "chat.completion", "stop")
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0
    assert llm.calls[0].headers["authorization"] == "Bearer key"


async def test_openais_client_gets_a_stream(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="m", messages=user("hi"), stream=True)
    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == 'You said: "hi". I was given 1 message.'
    assert len(chunks) == 10, "the role, eight words, the end"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * 9 + ["stop"]
    assert {chunk.usage for chunk in chunks} == {None}


async def test_a_stream_ends_with_its_usage_where_asked(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="m", messages=user("hi"), stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [chunk async for chunk in stream]

    assert {chunk.usage for chunk in chunks} == {None}
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens


async def test_a_stream_can_break_off(llm: FakeLLM, client: openai.AsyncOpenAI) -> None:
    llm.then(replies.break_off())
    stream = await client.chat.completions.create(model="m", messages=user("hi"), stream=True)
    answers = []

    async def listen() -> None:
        async for chunk in stream:
            answers.append(chunk)

    with pytest.raises(openai.APIConnectionError):
        await listen()
    assert answers
    assert {chunk.choices[0].finish_reason for chunk in answers} == {None}


async def test_openais_client_understands_the_errors(llm: FakeLLM, client: openai.AsyncOpenAI) -> None:
    llm.then(replies.status(429), replies.status(401))

    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(model="m", messages=user("hi"))
    with pytest.raises(openai.AuthenticationError):
        await client.chat.completions.create(model="m", messages=user("hi"))
    with pytest.raises(openai.NotFoundError):
        await client.moderations.create(input="hi")
    with pytest.raises(openai.BadRequestError):
        await client.post("/chat/completions", body={"messages": 7}, cast_to=object)


async def test_openais_client_lists_the_models() -> None:
    async with (
        FakeLLM(models=("a/b", "c")) as llm,
        openai.AsyncOpenAI(base_url=llm.base_url, api_key="key") as client,
    ):
        assert [model.id async for model in client.models.list()] == ["a/b", "c"]


async def test_openais_client_gets_vectors(llm: FakeLLM, client: openai.AsyncOpenAI) -> None:
    made = await client.embeddings.create(model="m", input=["hi", "hello"])

    assert [each.embedding for each in made.data] == [[2.0, 0.0], [5.0, 1.0]]
    assert llm.calls[-1].user == "hi"


async def test_inputs_that_are_no_texts_have_vectors_too(llm: FakeLLM) -> None:
    async with aiohttp.ClientSession() as session:
        for given in (["hi", 7, True, None], [1, 2], [[1, 2], None], [], {}):
            async with session.post(f"{llm.base_url}/embeddings", json={"model": "m", "input": given}) as response:
                assert response.status == 200, given


async def ask(provider: OpenAICompatible, text: str) -> str:
    try:
        reply = await send_whole(provider, ChatRequest({"messages": user(text)}, timeout=10))
        return reply.answer().text or ""
    except ProviderError as error:
        return error.failure.code


async def test_a_script_is_played_once_then_the_default_returns(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.status(500), replies.say("scripted"))

    answers = [await ask(provider, "hi") for _ in range(3)]

    assert answers == ["upstream_error", "scripted", 'You said: "hi". I was given 1 message.']


async def test_replies_are_chosen_by_what_was_said_and_the_last_one_stays(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.on("flaky", replies.status(500), replies.say("better"))
    llm.on(lambda text: text.startswith("bad"), replies.hang_up())

    answers = [await ask(provider, text) for text in ("flaky", "bad one", "flaky", "good", "flaky", "bad two")]

    assert answers[:3] == ["upstream_error", "upstream_unreachable", "better"]
    assert answers[3].startswith('You said: "good"')
    assert answers[4:] == ["better", "upstream_unreachable"]
    assert llm.counts.keys() == {"flaky", "bad one", "good", "bad two"}
    assert (llm.count("flaky"), llm.count("good")) == (3, 1)
    assert llm.count("bad one") == llm.count("bad two") == 2, "over a kept connection, then over a new one"
    assert llm.count("never asked") == 0


async def test_a_delay_is_waited_out(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.delayed(0.02, replies.say("at last")))

    assert await ask(provider, "hi") == "at last"


async def test_waiting_in_vain_says_what_came(llm: FakeLLM, provider: OpenAICompatible) -> None:
    await ask(provider, "hi")

    with pytest.raises(TimeoutError, match="1 calls of 2 came"):
        await llm.wait_for_calls(2, timeout=0.01)
    assert [call.user for call in await llm.wait_for_calls(1)] == ["hi"]


async def test_it_closes_promptly_on_callers_that_hang(provider: OpenAICompatible) -> None:
    async with FakeLLM(default=replies.hang()) as llm:
        lonely = OpenAICompatible(llm.base_url, None, "m", now=SystemClock().now, heavy=HeavyWork())
        call = asyncio.create_task(ask(lonely, "hi"))
        await llm.wait_for_calls(1)

    assert await call == "upstream_unreachable"
    assert llm.disconnects == 0
    await lonely.close()


@pytest.mark.starts_processes
async def test_it_can_be_a_process_of_its_own_that_logs_every_call(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "answerback.testing.llm", "--port", "0", "--delay-ms", "1", "--log", str(log)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        provider = OpenAICompatible(
            said.removeprefix("listening on ").strip(), None, "m", now=SystemClock().now, heavy=HeavyWork()
        )

        await asyncio.gather(*(ask(provider, f"hi {n}") for n in range(5)))

        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert sorted(line["user"] for line in lines) == [f"hi {n}" for n in range(5)]
        assert {(line["model"], line["messages"]) for line in lines} == {("m", 1)}
        await provider.close()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
