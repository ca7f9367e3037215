"""The vendors' errors as they come over the network: whole, in a stream's place, and in a 200."""

import json

import pytest
from scripting import ask, read
from vendors import EXAMPLES, Example

from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.llm.errors.meaning import Meaning
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

FINAL = {Meaning.AUTH: ErrorCode.UPSTREAM_AUTH, Meaning.CREDIT: ErrorCode.UPSTREAM_CREDIT}
PASSING = {
    Meaning.LIMITED: ErrorCode.UPSTREAM_RATE_LIMITED,
    Meaning.CAPACITY: ErrorCode.UPSTREAM_ERROR,
    Meaning.FAILED: ErrorCode.UPSTREAM_ERROR,
}
IN_EVENTS = [each for each in EXAMPLES if not each.status]


def code_of(meaning: Meaning) -> tuple[ErrorCode, bool]:
    """The code, and whether it may be retried."""
    if meaning in PASSING:
        return PASSING[meaning], True
    return FINAL.get(meaning, ErrorCode.UPSTREAM_REFUSED), False


def reply(example: Example) -> replies.Reply:
    """A status of its own, or an error in a 200."""
    if example.status:
        return replies.status(example.status, example.raw, example.headers)
    wrapped = example.body if "base_resp" in example.body else {"error": example.body}
    return replies.status(200, json.dumps(wrapped).encode())


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_what_follows_is_the_same_whole_and_streamed(
    llm: FakeLLM, provider: OpenAICompatible, example: Example
) -> None:
    for stream in (False, True):
        llm.then(reply(example))
        request = ChatRequest({"messages": [{"role": "user", "content": "hi"}]}, 10, stream=stream)

        with pytest.raises(ProviderError) as raised:
            await (read if stream else ask)(provider, request)

        error = raised.value
        assert (error.failure.code, error.retryable) == code_of(example.meaning)
        assert error.base_url == llm.base_url
        if example.wait is not None:
            assert error.retry_after == pytest.approx(example.wait)
        if example.meaning is Meaning.CONTEXT:
            assert error.failure.upstream_code == "context_length_exceeded"
            assert "maximum context length" in error.failure.message or "too long" in error.failure.message
        if error.failure.code in (ErrorCode.UPSTREAM_AUTH, ErrorCode.UPSTREAM_CREDIT):
            assert error.elsewhere
            assert "model's name" not in error.failure.message
    # Neither was tried again.
    assert llm.total == 2


@pytest.mark.parametrize(
    "example", [each for each in EXAMPLES if not each.status and "error" not in each.body], ids=str
)
async def test_in_a_streams_event_too(llm: FakeLLM, provider: OpenAICompatible, example: Example) -> None:
    llm.then(replies.stream(b"data: " + json.dumps({"error": example.body}).encode() + b"\n\n"))

    with pytest.raises(ProviderError) as raised:
        await read(provider, ChatRequest({"messages": []}, 10, stream=True))

    assert (raised.value.failure.code, raised.value.retryable) == code_of(example.meaning)
