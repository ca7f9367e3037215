"""The doors that answer at once, and calls at them that carry a key."""

import asyncio
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

EVENTS = {"Accept": "text/event-stream"}


def form(text: str, **fields: str) -> dict[str, Any]:
    """Each has a boundary of its own."""
    made = aiohttp.FormData(default_to_multipart=True)
    made.add_field("prompt_file", io.BytesIO(text.encode()), filename="prompts.txt", content_type="text/plain")
    for name, value in {"runs": "1", **fields}.items():
        made.add_field(name, value)
    return {"data": made}


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"json": {"messages": [{"role": "user", "content": text}], **fields}}


@dataclass(frozen=True)
class Door:
    """`body` makes what a request about a text is sent with, anew each time."""

    path: str
    body: Callable[[str], dict[str, Any]]
    headers: Mapping[str, str] = field(default_factory=dict)
    openai: bool = False


WHOLE = {
    "ask": Door("/api/ask", lambda text: {"json": {"question": text}}),
    "generate": Door("/generate", lambda text: {"json": {"prompt": text}}),
    "chat": Door("/v1/chat/completions", chat, openai=True),
}
BENCHMARKS = {
    "benchmark": Door("/benchmark", form),
    "page": Door("/benchmark", lambda text: form(text, visualize="true")),
}
STREAMS = {
    "words": Door("/api/streaming", lambda text: {"json": {"question": text}}),
    "events": Door("/api/streaming", lambda text: {"json": {"question": text}}, EVENTS),
    "generate-stream": Door("/generate", lambda text: {"json": {"prompt": text, "stream": True}}),
    "chat-stream": Door("/v1/chat/completions", lambda text: chat(text, stream=True), openai=True),
}
DOORS = WHOLE | BENCHMARKS | STREAMS


@dataclass(frozen=True)
class Heard:
    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotent-Replayed") == "true"


async def call(
    http: aiohttp.ClientSession, door: Door, text: str, key: str | None = None, headers: Mapping[str, str] | None = None
) -> Heard:
    """Asks about a text, by default with the text for a key."""
    sent = {"Idempotency-Key": text if key is None else key, **door.headers, **(headers or {})}
    async with http.post(door.path, headers=sent, **door.body(text)) as response:
        body = await response.read()
        is_json = response.content_type == "application/json"
        return Heard(response.status, response.headers, body, await response.json() if is_json else None)


async def until_settled(http: aiohttp.ClientSession, door: Door, text: str) -> Heard:
    """Asks again for as long as the first request is being answered."""
    async with asyncio.timeout(10):
        while (heard := await call(http, door, text)).status == 409:
            assert code_of(heard) == "idempotency_in_progress"
    return heard


def code_of(heard: Heard) -> str:
    return heard.json["error"]["code"]  # type: ignore[no-any-return]
