"""A call that goes well: what is sent, what is read from the answer, and over which connection."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripting import ask

from answerback.kernel.clock import SystemClock
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HeavyWork
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import Answer, ChatRequest, Json, Usage
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.provider import send_whole
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

HI = [{"role": "user", "content": "hi"}]


ANSWER = b'{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}'


def request(**fields: Any) -> ChatRequest:
    return ChatRequest({"messages": HI, **fields}, timeout=10)


async def test_a_question_gets_its_answer(llm: FakeLLM, provider: OpenAICompatible) -> None:
    said = [{"role": "system", "content": "be kind"}, *HI, {"role": "assistant", "content": "yes?"}, *HI]

    answer = await ask(provider, ChatRequest({"messages": said}, timeout=10))

    assert answer.text == 'You said: "hi". I was given 4 messages.'
    assert answer.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert llm.calls[0].messages == said


async def test_the_default_model_answers_where_none_is_named(llm: FakeLLM, provider: OpenAICompatible) -> None:
    first = await ask(provider, request())
    second = await ask(provider, request(model="other/model"))

    assert [call.body["model"] for call in llm.calls] == ["house/model", "other/model"]
    assert [first.model, second.model] == ["house/model", "other/model"]


async def test_unknown_fields_pass_through_untouched(llm: FakeLLM, provider: OpenAICompatible) -> None:
    fields = {"models": ["a", "b"], "provider": {"order": ["x"], "n": None}, "temperature": 0.1, "größe": "日本語 🌍"}

    await ask(provider, request(model="m", **fields))

    assert llm.calls[0].body == {"messages": HI, "model": "m", **fields}


async def test_a_whole_answer_is_asked_for_even_by_those_who_wanted_a_stream(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    wish = request(stream=True, stream_options={"include_usage": True})

    answer = await ask(provider, wish)

    assert "hi" in answer.text
    assert not {"stream", "stream_options"} & llm.calls[0].body.keys()
    assert wish.body["stream"] is True, "the caller's request must stay as it is"


async def test_half_a_character_in_the_question_does_not_stop_it(llm: FakeLLM, provider: OpenAICompatible) -> None:
    await ask(provider, ChatRequest({"messages": [{"role": "user", "content": "a\ud800b"}]}, timeout=10))

    assert llm.calls[0].user == "a?b"


async def test_the_upstream_learns_who_calls(llm: FakeLLM, provider: OpenAICompatible) -> None:
    await ask(provider, request())

    headers = llm.calls[0].headers
    assert headers["authorization"] == "Bearer sk-secret"
    assert headers["x-openrouter-title"] == "Answerback"
    assert headers["http-referer"] == "http://localhost:8080"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("answerback/")


async def test_without_a_key_no_credentials_are_sent(llm: FakeLLM) -> None:
    provider = OpenAICompatible(llm.base_url + "/", None, "m", now=SystemClock().now, heavy=HeavyWork())

    await ask(provider, request())
    await provider.close()

    assert "authorization" not in llm.calls[0].headers


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://eu.openrouter.ai/api/v1", "openrouter"),
        ("https://notopenrouter.ai/v1", "notopenrouter.ai"),
        ("http://127.0.0.1:11434/v1", "127.0.0.1"),
    ],
)
def test_a_provider_is_named_after_its_host(base_url: str, name: str) -> None:
    assert OpenAICompatible(base_url, None, "m", now=SystemClock().now, heavy=HeavyWork()).name == name
    assert OpenAICompatible(base_url, None, "m", now=SystemClock().now, heavy=HeavyWork(), name="mine").name == "mine"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ("  kept as it is\n", "  kept as it is\n"),
        ("NUL\0 shows", "NUL\ufffd shows"),
        ("half \ud83d gone", "half \ufffd gone"),
        ("whole 🌍 stays", "whole 🌍 stays"),
        ([{"type": "text", "text": "two "}, {"type": "text", "text": "parts"}], "two parts"),
        ([{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "so"}], "so"),
        ([{"type": "text", "text": None}, "bare"], "bare"),
    ],
)
async def test_an_answer_reads_as_storable_text(
    content: Json, text: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.message(content))

    assert (await ask(provider, request())).text == text


async def test_a_refusal_in_the_models_own_words_is_an_answer(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.message(None, refusal="I cannot help with that."))

    assert (await ask(provider, request())).text == "I cannot help with that."


async def test_whitespace_that_keeps_the_connection_alive_is_skipped(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.raw(b'\n\n   \n{"choices": [{"message": {"content": "late"}, "finish_reason": "stop"}]}'))

    answer = await ask(provider, request())

    assert answer == Answer("late", "house/model", None, "stop")


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, Usage(1, 2, 3)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9, "cost": 0.1}, Usage(1, 2, 9)),
        ({"prompt_tokens": 1, "completion_tokens": 2}, Usage(1, 2, 3)),
        ({"prompt_tokens": "1", "completion_tokens": 2.0, "total_tokens": "3.0"}, Usage(1, 2, 3)),
        ({"input_tokens": 1, "output_tokens": 2}, Usage(1, 2, 3)),
        ({"prompt_tokens": 1.5, "completion_tokens": 2, "total_tokens": 3}, None),
        ({"prompt_tokens": "one", "completion_tokens": 2, "total_tokens": 3}, None),
        ({"prompt_tokens": "9" * 30, "completion_tokens": 2, "total_tokens": 3}, None),
        ({"prompt_tokens": True, "completion_tokens": 2, "total_tokens": 3}, None),
        ({"prompt_tokens": -1, "completion_tokens": 2, "total_tokens": 1}, None),
        ({"prompt_tokens": 2**63, "completion_tokens": 2, "total_tokens": 3}, None),
        ({"prompt_tokens": 2**63 - 1, "completion_tokens": 2}, None),
        ({"completion_tokens": 2}, None),
        ({}, None),
        ([1, 2, 3], None),
        ("many", None),
        (None, None),
    ],
)
async def test_usage_is_read_only_when_it_makes_sense(
    usage: Json, read: Usage | None, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.completion(usage=usage))

    assert (await ask(provider, request())).usage == read


@pytest.mark.parametrize(("named", "model"), [("a/b", "a/b"), ("", "m"), (None, "m"), (7, "m"), ("\0x", "\ufffdx")])
async def test_the_model_that_answered_is_named(
    named: Json, model: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.completion(model=named))

    assert (await ask(provider, request(model="m"))).model == model


async def test_an_empty_error_field_is_no_error(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.completion(error=None))

    assert (await ask(provider, request())).text == "A good answer."


async def test_calls_share_one_session_and_its_connections(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.status(500), replies.status(200, {"choices": []}))
    for _ in range(2):
        with pytest.raises(ProviderError):
            await ask(provider, request())
    for _ in range(3):
        await ask(provider, request())

    assert (llm.total, len(llm.connections)) == (5, 1)


async def test_hundreds_of_calls_wait_for_the_llm_at_once(llm: FakeLLM, provider: OpenAICompatible) -> None:
    release = asyncio.Event()
    llm.on("hi", replies.hang(release))
    calls = [asyncio.create_task(ask(provider, request())) for _ in range(300)]
    await llm.wait_for_calls(300)

    release.set()
    answers = await asyncio.gather(*calls)

    assert len(answers) == 300
    assert llm.peak == 300


async def test_cookies_are_not_kept(llm: FakeLLM) -> None:
    # By name: aiohttp would not keep an address's cookies anyway.
    provider = OpenAICompatible(f"http://localhost:{llm.port}/v1", None, "m", now=SystemClock().now, heavy=HeavyWork())
    llm.then(replies.raw(ANSWER, {"Set-Cookie": "who=you; Path=/"}))
    await ask(provider, request())

    await ask(provider, request())

    await provider.close()
    assert "cookie" not in llm.calls[1].headers


async def test_the_environments_proxy_is_not_used(
    llm: FakeLLM, provider: OpenAICompatible, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert (await ask(provider, request())).text


async def test_a_closed_provider_has_closed_its_connections(llm: FakeLLM, provider: OpenAICompatible) -> None:
    await ask(provider, request())

    await provider.close()
    await provider.close()
    await ask(provider, request())

    assert len(llm.connections) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
MESSAGES = st.fixed_dictionaries({}, optional={"content": VALUES, "refusal": VALUES, "role": VALUES})
CHOICES = st.fixed_dictionaries({}, optional={"message": MESSAGES | VALUES, "finish_reason": VALUES, "error": VALUES})
METADATA = st.fixed_dictionaries({}, optional={"headers": VALUES, "reasons": VALUES, "error_type": VALUES})
CODES = VALUES | st.integers(300, 600) | st.sampled_from(["429", "rate_limit_exceeded"])
ERRORS = st.fixed_dictionaries({}, optional={"code": CODES, "metadata": METADATA | VALUES, "type": VALUES})
DOCUMENTS = VALUES | st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICES | VALUES, max_size=2),
        "error": ERRORS | VALUES,
        "usage": VALUES,
        "model": VALUES,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=DOCUMENTS | st.binary(max_size=200))
async def test_any_body_whatever_gives_an_answer_or_a_provider_error(
    body: Json, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.raw(body) if isinstance(body, bytes) else replies.status(200, body))

    outcome = await outcome_of(provider)

    if isinstance(outcome, Answer):
        assert outcome.text.strip()
        assert "\0" not in outcome.text + outcome.model
        assert (outcome.text + outcome.model + (outcome.finish_reason or "")).encode()


async def outcome_of(provider: OpenAICompatible) -> Answer | ProviderError:
    try:
        return await ask(provider, request())
    except ProviderError as error:
        return error


CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


async def test_an_answer_that_calls_tools_needs_no_text(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.message(None, "tool_calls", tool_calls=[CALL]))

    answer = await ask(provider, request())

    assert (answer.text, answer.tool_calls, answer.finish_reason) == (None, (CALL,), "tool_calls")


async def test_tool_calls_come_beside_text_and_hold_what_databases_can(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    odd = {"id": "c1", "function": {"name": "f", "arguments": "NUL\0 and half \ud83d"}}
    llm.then(replies.message("Let me see.", "tool_calls", tool_calls=[odd]))

    answer = await ask(provider, request())

    assert answer.text == "Let me see."
    assert answer.tool_calls == (
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "NUL\ufffd and half \ufffd"}},
    )


async def test_an_image_is_an_answer_to_relay_but_not_one_to_read(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.message([{"type": "image_url", "image_url": {"url": "data:,"}}]))

    reply = await send_whole(provider, request())

    assert b"image_url" in reply.body
    with pytest.raises(ProviderError) as caught:
        reply.answer()
    assert caught.value.failure.code is ErrorCode.UPSTREAM_EMPTY
