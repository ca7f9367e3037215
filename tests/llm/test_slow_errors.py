"""An error whose body does not come, or comes drop by drop: its status and headers are enough."""

import asyncio

import pytest
from aiohttp import web
from scripting import ask, read

from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.llm import transport
from answerback.llm.model import Api, ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import Call, FakeLLM

WHOLE = ChatRequest({"messages": []}, 60)
STREAMED = ChatRequest({"messages": []}, 60, stream=True)
EMBEDDINGS = ChatRequest({"input": "a"}, 60, api=Api.EMBEDDINGS)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ERROR_SECONDS", 0.1)


def silent(status: int, *, drips: bool, begins: bytes = b"") -> replies.Reply:
    """An error of 500 bytes, of which few come."""

    async def reply(request: web.BaseRequest, _: Call) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Retry-After": "7", "Content-Length": "500"})
        await response.prepare(request)
        await response.write(begins)
        while drips:
            await response.write(b" ")
            await asyncio.sleep(0.01)
        await asyncio.Event().wait()
        return response

    return reply


@pytest.mark.parametrize("drips", [False, True], ids=["silence", "a drip"])
@pytest.mark.parametrize("request_", [WHOLE, STREAMED, EMBEDDINGS], ids=["whole", "streamed", "embeddings"])
async def test_is_judged_by_its_status_and_headers(
    llm: FakeLLM, provider: OpenAICompatible, request_: ChatRequest, drips: bool
) -> None:
    llm.then(silent(429, drips=drips, begins=b'{"error": {"message": "Rate li'))

    async with asyncio.timeout(30):
        with pytest.raises(ProviderError) as raised:
            await (read if request_.stream else ask)(provider, request_)

    error = raised.value
    assert (error.failure.code, error.retryable, error.retry_after) == (ErrorCode.UPSTREAM_RATE_LIMITED, True, 7.0)
    assert error.failure.message == "the upstream limits the rate of calls (429)"
    assert error.reason is None


async def test_says_no_half_sentence_where_the_request_is_refused(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(silent(400, drips=False, begins=b'{"error": {"message": "Rate li'))

    with pytest.raises(ProviderError) as raised:
        await ask(provider, WHOLE)

    assert raised.value.failure.code is ErrorCode.UPSTREAM_REFUSED
    assert raised.value.failure.message.startswith("the upstream refused the request with 400")


async def test_is_read_where_all_of_its_json_came(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(silent(429, drips=False, begins=b'{"error": {"message": "no", "code": "insufficient_quota"}}'))

    with pytest.raises(ProviderError) as raised:
        await ask(provider, WHOLE)

    assert raised.value.failure.code is ErrorCode.UPSTREAM_CREDIT


async def test_of_a_list_of_models_is_judged_alike(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.list_reply = silent(401, drips=False, begins=b"Unauth")

    with pytest.raises(ProviderError) as raised:
        await provider.models()

    assert raised.value.failure.code is ErrorCode.UPSTREAM_AUTH
    assert raised.value.reason is None
