"""A client that hangs up stops its call of the LLM, on every route: nobody pays for what nobody reads."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from troubles import chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Route:
    """`named` is the field that holds what is asked."""

    path: str
    named: str
    more: Mapping[str, Any] = field(default_factory=dict)
    accept: str = "*/*"

    def ask(self, http: aiohttp.ClientSession, text: str) -> Any:
        said = [{"role": "user", "content": text}] if self.named == "messages" else text
        return http.post(self.path, json={self.named: said, **self.more}, headers={"Accept": self.accept})


STREAMED = {"stream": True}
WHOLE = {
    "ask": Route("/api/ask", "question"),
    "generate": Route("/generate", "prompt"),
    "chat": Route("/v1/chat/completions", "messages"),
}
STREAMS = {
    "text": Route("/api/streaming", "question"),
    "events": Route("/api/streaming", "question", accept="text/event-stream"),
    "generate-stream": Route("/generate", "prompt", STREAMED),
    "chat-stream": Route("/v1/chat/completions", "messages", STREAMED),
}
TEXT = "never mind"


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    """The call's own timeout, which would hang up as well, is far away."""
    return {"LLM_TIMEOUT_SECONDS": "600"}


@pytest.mark.parametrize("route", (WHOLE | STREAMS).values(), ids=WHOLE | STREAMS)
async def test_before_the_first_word_the_call_ends(http: aiohttp.ClientSession, llm: FakeLLM, route: Route) -> None:
    llm.on(TEXT, replies.hang())
    gone, asked = llm.disconnects, llm.total
    asking = asyncio.ensure_future(route.ask(http, TEXT).__aenter__())
    await llm.wait_for_calls(asked + 1)

    asking.cancel()

    await llm.wait_for_disconnects(gone + 1)


@pytest.mark.parametrize("route", STREAMS.values(), ids=STREAMS)
async def test_in_the_middle_of_a_stream_the_call_ends(http: aiohttp.ClientSession, llm: FakeLLM, route: Route) -> None:
    text = f"{TEXT} of it"
    llm.on(text, replies.stream(sse(chunk("once upon"), done=False), "never"))
    gone = llm.disconnects

    async with route.ask(http, text) as response:
        await response.content.readany()

    await llm.wait_for_disconnects(gone + 1)


async def test_what_was_never_read_is_in_no_history_and_no_log(http: aiohttp.ClientSession, service: Service) -> None:
    async with http.get("/api/history") as response:
        assert (await response.json())["items"] == []
    assert TEXT not in service.logs
    assert "Traceback" not in service.logs
    # Nor a word of the server's about a stream that was broken off on purpose.
    assert "ASGI" not in service.logs
