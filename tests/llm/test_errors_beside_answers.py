"""An upstream that says in a field of its own that it broke an answer off, beside a choice that looks whole."""

import json
from typing import Any

import pytest
from scripting import ask, read

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

WHOLE = ChatRequest({"messages": []}, 10)
STREAMED = ChatRequest({"messages": []}, 10, stream=True)
HEAD = {"id": "x", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}

GROQ = {"x_groq": {"id": "r", "error": "over capacity"}}
REPORTS: list[tuple[dict[str, Json], ErrorCode]] = [
    (GROQ, ErrorCode.UPSTREAM_ERROR),
    ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, ErrorCode.UPSTREAM_RATE_LIMITED),
    ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, ErrorCode.UPSTREAM_CREDIT),
    ({"base_resp": {"status_code": 1027, "status_msg": "output is sensitive"}}, ErrorCode.UPSTREAM_REFUSED),
    ({"errors": [{"code": 3040, "message": "no capacity"}]}, ErrorCode.UPSTREAM_ERROR),
    ({"error_code": 336100, "error_msg": "try again later"}, ErrorCode.UPSTREAM_ERROR),
    ({"status": "failed"}, ErrorCode.UPSTREAM_ERROR),
]
NO_REPORTS: list[dict[str, Json]] = [
    {"x_groq": {"id": "r", "error": None}},
    {"x_groq": {"error": ""}},
    {"x_groq": None},
    {"base_resp": {"status_code": 0, "status_msg": "success"}},
    {"base_resp": None},
    {"errors": []},
    {"errors": None},
    {"error_code": 0, "error_msg": ""},
    {"status": "completed"},
    {"status": "incomplete", "incomplete_details": None},
    {"status": "in_progress"},
    {"success": False},
    {"code": 5, "message": "a sentence"},
]


def whole(finish: str = "stop", **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello"}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return {**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE, **fields}


def piece(text: str | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    delta = {} if text is None else {"role": "assistant", "content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {**HEAD, "object": "chat.completion.chunk", "choices": choices, **fields}


def sse(*events: Any) -> replies.Reply:
    return replies.stream(
        b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in events) + b"data: [DONE]\n\n"
    )


@pytest.mark.parametrize(("report", "code"), REPORTS, ids=str)
async def test_is_no_answer(llm: FakeLLM, provider: OpenAICompatible, report: dict[str, Json], code: ErrorCode) -> None:
    ended = piece(finish="stop")
    streams = [
        sse(piece("Hel"), piece("lo"), piece(finish="stop", **report)),
        sse(piece("Hello", "stop", **report)),
        sse(piece("Hel"), piece("lo"), ended, {**HEAD, "choices": [], **report}),
        sse(piece("Hello"), ended, report),
    ]

    for request, answers in (
        (WHOLE, [replies.raw(json.dumps(whole(**report)).encode()), *streams]),
        (STREAMED, streams),
    ):
        for answer in answers:
            llm.then(answer)
            with pytest.raises(ProviderError) as raised:
                await (read if request.stream else ask)(provider, request)

            assert raised.value.failure.code is code


INSTEAD: list[tuple[dict[str, Json], ErrorCode]] = [
    ({"message": "Unauthorized", "request_id": "x"}, ErrorCode.UPSTREAM_AUTH),
    ({"message": "Request was rejected: TPM limit reached.", "data": None}, ErrorCode.UPSTREAM_RATE_LIMITED),
    ({"status": "failure", "message": "Portkey Error: Invalid API Key. Error Code: 03"}, ErrorCode.UPSTREAM_AUTH),
    ({"fault": {"faultstring": "Invalid ApiKey", "detail": {"errorcode": "x"}}}, ErrorCode.UPSTREAM_AUTH),
    ({"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "…"}}}, ErrorCode.UPSTREAM_RATE_LIMITED),
    ({"Error": {"Code": "AuthFailure.SignatureFailure", "Message": "…"}}, ErrorCode.UPSTREAM_AUTH),
    ({"status": {"code": "42901", "message": "Too many requests - rate exceeded"}}, ErrorCode.UPSTREAM_RATE_LIMITED),
    ({"statusCode": 403, "message": "Forbidden"}, ErrorCode.UPSTREAM_AUTH),
]


@pytest.mark.parametrize(("report", "code"), INSTEAD, ids=str)
async def test_is_an_error_in_place_of_an_answer_in_any_envelope(
    llm: FakeLLM, provider: OpenAICompatible, report: dict[str, Json], code: ErrorCode
) -> None:
    for request, answer in (
        (WHOLE, replies.raw(json.dumps(report).encode())),
        (STREAMED, replies.raw(json.dumps(report).encode())),
        (STREAMED, sse(piece("Hel"), report)),
    ):
        llm.then(answer)
        with pytest.raises(ProviderError) as raised:
            await (read if request.stream else ask)(provider, request)

        assert raised.value.failure.code is code


@pytest.mark.parametrize(
    "said",
    [
        *("completed", "Retrieving documents from the index"),
        *({"id": "x", "message": {"role": "assistant"}}, {"data": {"message": "Retrieving documents", "code": 1}}),
    ],
    ids=str,
)
async def test_is_no_error_where_a_gateway_only_says_how_far_it_is(
    llm: FakeLLM, provider: OpenAICompatible, said: Json
) -> None:
    event = said if isinstance(said, dict) else {"id": "x", "message": said}
    llm.then(sse(event, piece("Hello"), event, piece(finish="stop"), event))

    assert "".join(chunk.text for chunk in await read(provider, STREAMED)) == "Hello"


@pytest.mark.parametrize("field", ["description", "title", "userMessage", "info"])
async def test_a_reason_is_passed_on_whatever_its_field_is_called(
    llm: FakeLLM, provider: OpenAICompatible, field: str
) -> None:
    body = {"tpe": "fail", "errors": [{field: "The image is no PNG", "key": "fail.image", "id": "4711"}]}
    llm.then(replies.status(400, body))

    with pytest.raises(ProviderError) as raised:
        await ask(provider, WHOLE)

    assert raised.value.failure.message == "The image is no PNG"


@pytest.mark.parametrize("report", NO_REPORTS, ids=str)
async def test_is_an_answer_where_it_says_that_nothing_is_wrong(
    llm: FakeLLM, provider: OpenAICompatible, report: dict[str, Json]
) -> None:
    llm.then(replies.raw(json.dumps(whole(**report)).encode()), sse(piece("Hello"), piece(finish="stop", **report)))

    assert (await ask(provider, WHOLE)).text == "Hello"
    assert "".join(chunk.text for chunk in await read(provider, STREAMED)) == "Hello"


@pytest.mark.parametrize(
    ("reason", "end"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("of_its_own", "stop")]
)
async def test_is_cut_where_it_is_incomplete(llm: FakeLLM, provider: OpenAICompatible, reason: str, end: str) -> None:
    report = {"status": "incomplete", "incomplete_details": {"reason": reason}}
    llm.then(replies.raw(json.dumps(whole(**report)).encode()), sse(piece("Hello"), piece(finish="stop", **report)))

    answer = await ask(provider, WHOLE)
    assert (answer.text, answer.finish_reason) == ("Hello", end)
    ends = [choice["finish_reason"] for chunk in await read(provider, STREAMED) for choice in chunk.document["choices"]]
    assert ends == [None, end]
