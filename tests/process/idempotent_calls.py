"""The routes that answer at once, and requests to them with an Idempotency-Key."""

import asyncio
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

EVENTS = {"Accept": "text/event-stream"}


def form(text: str, **fields: str) -> dict[str, Any]:
    """A form with a file of prompts, made anew for each request."""
    made = aiohttp.FormData(default_to_multipart=True)
    made.add_field("prompt_file", io.BytesIO(text.encode()), filename="prompts.txt", content_type="text/plain")
    for name, value in {"runs": "1", **fields}.items():
        made.add_field(name, value)
    return {"data": made}


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"json": {"messages": [{"role": "user", "content": text}], **fields}}


@dataclass(frozen=True)
class Route:
    """`body` makes the body of a request about a text, a new one each time."""

    path: str
    body: Callable[[str], dict[str, Any]]
    headers: Mapping[str, str] = field(default_factory=dict)
    openai: bool = False


WHOLE = {
    "ask": Route("/api/ask", lambda text: {"json": {"question": text}}),
    "generate": Route("/generate", lambda text: {"json": {"prompt": text}}),
    "chat": Route("/v1/chat/completions", chat, openai=True),
}
BENCHMARKS = {
    "benchmark": Route("/benchmark", form),
    "page": Route("/benchmark", lambda text: form(text, visualize="true")),
}
STREAMS = {
    "words": Route("/api/streaming", lambda text: {"json": {"question": text}}),
    "events": Route("/api/streaming", lambda text: {"json": {"question": text}}, EVENTS),
    "generate-stream": Route("/generate", lambda text: {"json": {"prompt": text, "stream": True}}),
    "chat-stream": Route("/v1/chat/completions", lambda text: chat(text, stream=True), openai=True),
}
ROUTES = WHOLE | BENCHMARKS | STREAMS


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def stored(self) -> bool:
        """Whether it is the stored response of an earlier request."""
        return self.headers.get("Idempotent-Replayed") == "true"


async def call(
    http: aiohttp.ClientSession,
    route: Route,
    text: str,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Sends a request about a text, whose key is the text by default."""
    sent = {"Idempotency-Key": text if key is None else key, **route.headers, **(headers or {})}
    async with http.post(route.path, headers=sent, **route.body(text)) as response:
        body = await response.read()
        is_json = response.content_type == "application/json"
        return Reply(response.status, response.headers, body, await response.json() if is_json else None)


async def until_settled(http: aiohttp.ClientSession, route: Route, text: str) -> Reply:
    """Sends the request again while the first one is being answered."""
    async with asyncio.timeout(10):
        while (reply := await call(http, route, text)).status == 409:
            assert code_of(reply) == "idempotency_in_progress"
    return reply


def code_of(reply: Reply) -> str:
    return reply.json["error"]["code"]  # type: ignore[no-any-return]
