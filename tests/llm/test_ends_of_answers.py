"""How a whole answer ended: only what the provider says it ended is an answer, and it says how."""

import json

import pytest
from scripting import ask

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.usage import Usage
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.provider import send_whole
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

REQUEST = ChatRequest({"messages": [{"role": "user", "content": "hi"}]}, timeout=10)
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


async def failure_of(provider: OpenAICompatible) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(provider, REQUEST)
    return caught.value


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("FinishReason.STOP", "stop"),
        ({"type": "stop", "matched": 7}, "stop"),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("BLOCKLIST", "content_filter"),
    ],
    ids=str,
)
async def test_a_finish_reason_of_another_dialect_is_openais_word_on_all_routes(
    reason: Json, finish_reason: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": "An answer."}, "finish_reason": reason} for n in (0, 1)
    ]
    llm.then(replies.completion(choices=choices))

    reply = await send_whole(provider, REQUEST)

    assert (reply.answer().finish_reason, reply.finish_reason) == (finish_reason, finish_reason)
    assert [each["finish_reason"] for each in json.loads(reply.body)["choices"]] == [finish_reason] * 2


@pytest.mark.parametrize("field", ["native_finish_reason", "finishReason"])
async def test_an_end_in_another_field_is_shown_in_openais(
    field: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.completion(choices=[{"message": {"content": "An answer."}, field: "MAX_TOKENS"}]))

    assert json.loads((await send_whole(provider, REQUEST)).body)["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("field", ["native_finish_reason", "finishReason"])
@pytest.mark.parametrize(
    ("own", "said"),
    [("MAX_TOKENS", "length"), ("length", "length"), ("pause_turn", "length"), ("SAFETY", "content_filter")],
)
@pytest.mark.parametrize("reason", ["stop", "STOP", "tool_calls", "a reason of its own"])
async def test_an_answer_shown_as_done_is_not_whole_where_the_models_own_word_says_so(
    reason: str, own: str, said: str, field: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "An ans"}, "finish_reason": reason, field: own}
    llm.then(replies.completion(choices=[choice]))

    reply = await send_whole(provider, REQUEST)

    (shown,) = json.loads(reply.body)["choices"]
    assert (reply.finish_reason, reply.answer().finish_reason) == (said, said)
    assert (shown["finish_reason"], shown[field]) == (said, own)


@pytest.mark.parametrize("own", ["MALFORMED_FUNCTION_CALL", "network_error", "OTHER", "abort"])
async def test_an_answer_shown_as_done_is_none_where_the_models_own_word_says_that_it_failed(
    own: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    choice = {"message": {"content": "half"}, "finish_reason": "stop", "native_finish_reason": own}
    llm.then(replies.completion(choices=[choice]))

    failure = await failure_of(provider)

    assert (failure.failure.code, failure.retryable) == (ErrorCode.UPSTREAM_ERROR, True)


@pytest.mark.parametrize(
    ("reason", "own", "said"),
    [
        ("stop", "STOP", "stop"),
        ("stop", "end_turn", "stop"),
        ("stop", "a reason of its own", "stop"),
        ("stop", "", "stop"),
        ("stop", "FINISH_REASON_UNSPECIFIED", "stop"),
        ("length", "stop", "length"),
        ("content_filter", "STOP", "content_filter"),
        ("", "STOP", "stop"),
        ("null", "MAX_TOKENS", "length"),
    ],
)
async def test_any_other_word_of_the_models_own_counts_only_where_there_is_no_finish_reason(
    reason: str, own: str, said: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    choice = {"message": {"content": "An answer."}, "finish_reason": reason, "native_finish_reason": own}
    llm.then(replies.completion(choices=[choice]))

    reply = await send_whole(provider, REQUEST)

    assert (reply.finish_reason, json.loads(reply.body)["choices"][0]["finish_reason"]) == (said, said)


@pytest.mark.parametrize(("reason", "said"), [("STOP", "tool_calls"), ("tool_use", "tool_calls"), ("stop", "stop")])
async def test_calls_end_in_openais_word_for_calls_unless_the_upstream_said_another_of_openais(
    reason: str, said: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.message(None, reason, tool_calls=[CALL]))

    assert json.loads((await send_whole(provider, REQUEST)).body)["choices"][0]["finish_reason"] == said


async def test_a_finish_reason_of_no_known_meaning_is_shown_as_it_came(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    reason, finish_reason = "a reason of its own", "stop"
    llm.then(replies.message("An answer.", reason))

    reply = await send_whole(provider, REQUEST)

    assert (reply.answer().finish_reason, reply.finish_reason) == (finish_reason, finish_reason)
    assert reply.finish_word == reason
    assert json.loads(reply.body)["choices"][0]["finish_reason"] == reason


@pytest.mark.parametrize(
    ("calls", "reason", "finish_reason"),
    [
        ([CALL], "stop", "tool_calls"),
        ([CALL], "length", "length"),
        (None, "tool_calls", "stop"),
        ([], "TOOL_USE", "stop"),
    ],
)
async def test_whether_an_answer_calls_tools_is_said_by_its_calls(
    calls: Json, reason: str, finish_reason: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.message("Let me see.", reason, tool_calls=calls))

    answer = await ask(provider, REQUEST)

    assert (len(answer.tool_calls), answer.finish_reason) == (len(calls or ()), finish_reason)


async def test_a_tool_call_that_is_announced_and_does_not_come_is_no_answer(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.message(None, "tool_calls", tool_calls=[]))

    assert (await failure_of(provider)).failure.code is ErrorCode.UPSTREAM_EMPTY


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"finish_reason": "network_error"}, ErrorCode.UPSTREAM_ERROR),
        ({"finish_reason": "abort"}, ErrorCode.UPSTREAM_ERROR),
        ({"finish_reason": None}, ErrorCode.UPSTREAM_INVALID),
        ({"finish_reason": "null"}, ErrorCode.UPSTREAM_INVALID),
        ({}, ErrorCode.UPSTREAM_INVALID),
    ],
    ids=str,
)
@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
async def test_a_choice_that_broke_off_or_does_not_say_why_it_ends_is_no_answer(
    choice: dict[str, Json], code: ErrorCode, second: bool, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    good = {"index": 0, "message": {"content": "whole"}, "finish_reason": "stop"}
    bad = {"index": int(second), "message": {"content": "half"}, **choice}
    llm.then(replies.completion(choices=[good, bad] if second else [bad]))

    failure = await failure_of(provider)

    assert (failure.failure.code, failure.retryable) == (code, True)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("SAFETY", ErrorCode.UPSTREAM_REFUSED),
        ("sensitive", ErrorCode.UPSTREAM_REFUSED),
        ("MAX_TOKENS", ErrorCode.UPSTREAM_EMPTY),
        ("model_length", ErrorCode.UPSTREAM_EMPTY),
    ],
)
async def test_an_answer_that_a_filter_or_a_limit_left_empty_is_relayed_and_final_for_readers(
    reason: str, code: ErrorCode, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.message("", reason))

    reply = await send_whole(provider, REQUEST)

    with pytest.raises(ProviderError) as caught:
        reply.answer()
    assert (caught.value.failure.code, caught.value.retryable) == (code, False)


@pytest.mark.parametrize("index", [None, "", False])
async def test_what_strict_clients_could_not_read_is_mended_and_all_else_is_as_it_came(
    index: Json, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    message = {"role": "assistant", "content": "h\u00e9"}
    odd = {"index": index, "message": {**message, "role": index}, "finish_reason": "stop"}
    choice = b'{"index":0,"message":{"role":"assistant","content":"h\\u00e9"},"finish_reason":"stop"}'
    good = b'{"object":"chat.completion","id":"c","model":"m","created":1,"choices":[%b], "x_own": 1.50}' % choice
    llm.then(replies.completion(choices=[odd], object=None), replies.raw(good))

    mended, untouched = [(await send_whole(provider, REQUEST)).body for _ in range(2)]

    assert json.loads(mended)["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert json.loads(mended)["object"] == "chat.completion"
    assert untouched == good


@pytest.mark.parametrize("place", ["choices", "x_groq"])
async def test_usage_is_found_where_upstreams_put_it(place: str, llm: FakeLLM, provider: OpenAICompatible) -> None:
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    choice = {"message": {"content": "counted"}, "finish_reason": "stop"}
    fields = {"x_groq": usage} if place == "x_groq" else {}
    llm.then(replies.completion(usage=None, choices=[choice | ({} if fields else usage)], **fields))

    assert (await ask(provider, REQUEST)).usage == Usage(1, 2, 3)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "reasoning_details"])
async def test_reasoning_alone_is_an_answer_to_relay_but_not_one_to_read(
    field: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.message("", **{field: [{"text": "hm"}] if field == "reasoning_details" else "hm"}))

    reply = await send_whole(provider, REQUEST)

    with pytest.raises(ProviderError) as caught:
        reply.answer()
    assert caught.value.failure.code is ErrorCode.UPSTREAM_EMPTY


async def test_the_answer_is_the_first_choice_by_its_index(llm: FakeLLM, provider: OpenAICompatible) -> None:
    choices = [{"index": n, "message": {"content": f"answer {n}"}, "finish_reason": "stop"} for n in (1, 0)]
    llm.then(replies.completion(choices=choices))

    assert (await ask(provider, REQUEST)).text == "answer 0"
