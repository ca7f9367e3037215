"""The mock answers without an LLM and shows that it knew the context."""

import asyncio

import pytest
from scripting import ask

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.mock import MockProvider
from answerback.llm.model import ChatRequest


def request(*said: tuple[str, Json], timeout: float = 5.0) -> ChatRequest:
    return ChatRequest({"messages": [{"role": role, "content": content} for role, content in said]}, timeout)


async def test_it_quotes_what_was_said() -> None:
    answer = await ask(MockProvider(0), request(("system", "be brief"), ("user", "A")))

    assert answer.text == 'You said: "A".'
    assert (answer.model, answer.finish_reason) == ("mock", "stop")


async def test_it_remembers_what_was_said_before() -> None:
    answer = await ask(
        MockProvider(0),
        request(("user", "older"), ("assistant", "…"), ("user", "A"), ("assistant", "…"), ("user", "B")),
    )

    assert answer.text == 'You said: "B". Before that you said: "A".'


async def test_it_gives_the_same_answer_every_time() -> None:
    question = request(("user", "A"))

    assert await ask(MockProvider(0), question) == await ask(MockProvider(0), question)


async def test_it_shortens_long_messages() -> None:
    answer = await ask(MockProvider(0), request(("user", "x" * 200), ("user", "y" * 201)))

    assert answer.text == f'You said: "{"y" * 199}…". Before that you said: "{"x" * 200}".'


async def test_its_usage_is_plausible() -> None:
    short = (await ask(MockProvider(0), request(("user", "A")))).usage
    long = (await ask(MockProvider(0), request(("system", "s" * 400), ("user", "A")))).usage

    assert short is not None
    assert long is not None
    assert long.prompt_tokens - short.prompt_tokens == 105
    assert short.total_tokens == short.prompt_tokens + short.completion_tokens


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}], 'You said: "in parts".'),
        (None, 'You said: "".'),
        (42, 'You said: "".'),
        ("half \ud83d, NUL \0", 'You said: "half \ufffd, NUL \ufffd".'),
    ],
)
async def test_it_takes_any_content(content: Json, text: str) -> None:
    assert (await ask(MockProvider(0), request(("user", content)))).text == text


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": ["hi"]}, {"messages": [{}]}])
async def test_it_answers_even_silence(body: dict[str, Json]) -> None:
    assert (await ask(MockProvider(0), ChatRequest(body, 5))).text == 'You said: "".'


async def test_it_takes_its_time() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await ask(MockProvider(1.5, sleep), request(("user", "A"), timeout=2))

    assert slept == [1.5]


async def test_a_delay_beyond_the_timeout_is_a_timeout() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with pytest.raises(ProviderError) as raised:
        await ask(MockProvider(60, sleep), request(("user", "A"), timeout=2))

    assert (raised.value.failure.code, raised.value.retryable) == (ErrorCode.UPSTREAM_TIMEOUT, True)
    assert slept == [2]


async def test_it_can_be_cancelled() -> None:
    call = asyncio.create_task(ask(MockProvider(3600), request(("user", "A"), timeout=7200)))
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
