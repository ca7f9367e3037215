"""A 200 whose body breaks: an answer that has come whole is taken, and what has not counts as what may be charged."""

import gzip
import json
from collections.abc import Callable

import pytest
from scripting import ask, read

from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

Breaks = Callable[[bytes], replies.Reply]

WHOLE = ChatRequest({"messages": []}, 5)
STREAMED = ChatRequest({"messages": []}, 5, stream=True)
ANSWER = json.dumps({"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}).encode()
SILENT = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": null}]}\n\n'
EVENTS = (
    b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": null}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'
)


def http(body: bytes, head: bytes, status: bytes = b"200 OK") -> replies.Reply:
    """This body to the letter; then the connection closes."""
    return replies.babble(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, head, body))


def without_last_chunk(body: bytes) -> replies.Reply:
    return http(b"%x\r\n%b\r\n" % (len(body), body), b"Transfer-Encoding: chunked")


def too_short(body: bytes) -> replies.Reply:
    return http(body, b"Content-Length: %d" % (len(body) + 1))


def compressed(body: bytes) -> replies.Reply:
    return http(gzip.compress(body)[:-4], b"Content-Encoding: gzip\r\nConnection: close")


BREAKS = [without_last_chunk, too_short, compressed]


async def answered(provider: OpenAICompatible, request: ChatRequest) -> str | None:
    if request.stream:
        return "".join(chunk.text for chunk in await read(provider, request))
    return (await ask(provider, request)).text


@pytest.mark.parametrize("breaks", BREAKS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("body", [ANSWER, EVENTS], ids=["json", "events"])
@pytest.mark.parametrize("request_", [WHOLE, STREAMED], ids=["whole", "streamed"])
async def test_an_answer_that_came_whole_is_taken_though_its_body_broke(
    breaks: Breaks, body: bytes, request_: ChatRequest, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(breaks(body))

    assert await answered(provider, request_) == "Hello"
    assert len(llm.calls) == 1


@pytest.mark.parametrize("breaks", [without_last_chunk, too_short], ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", ANSWER[:-1], ANSWER.replace(b"stop", b""), EVENTS[:-1], EVENTS.replace(b"stop", b"")],
    ids=["nothing", "blank", "brace", "json", "json without an end", "half an event", "no end"],
)
@pytest.mark.parametrize("request_", [WHOLE, STREAMED], ids=["whole", "streamed"])
async def test_an_answer_that_has_begun_may_have_been_charged(
    breaks: Breaks, body: bytes, request_: ChatRequest, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(breaks(body))

    with pytest.raises(ProviderError) as failure:
        await answered(provider, request_)

    assert (failure.value.failure.code, failure.value.retryable) == (ErrorCode.UPSTREAM_INVALID, True)


@pytest.mark.parametrize("body", [b"", b": alive\n\n", b'data: {"choices": [', SILENT], ids=repr)
@pytest.mark.parametrize("request_", [WHOLE, STREAMED], ids=["whole", "streamed"])
async def test_a_stream_that_broke_before_its_first_token_has_cost_nothing(
    body: bytes, request_: ChatRequest, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.stream(body, "broken"))

    with pytest.raises(ProviderError) as failure:
        await answered(provider, request_)

    assert (failure.value.failure.code, failure.value.retryable) == (ErrorCode.UPSTREAM_UNREACHABLE, True)


@pytest.mark.parametrize("request_", [WHOLE, STREAMED], ids=["whole", "streamed"])
async def test_an_error_means_the_same_though_its_body_broke(
    request_: ChatRequest, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(http(b'{"error": {"mess', b"Content-Length: 900", b"401 Unauthorized"))

    with pytest.raises(ProviderError) as failure:
        await answered(provider, request_)

    assert failure.value.failure.code is ErrorCode.UPSTREAM_AUTH
