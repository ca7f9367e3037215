"""The provider that answers when there is none: deterministic, free, and proof of what context travelled."""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import asdict

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.llm.content import text_of
from answerback.llm.model import Answer, ChatRequest, Chunk, Json, Model, Relayed, Usage, estimate_tokens, storable

MODEL = "mock"
QUOTE_LIMIT = 200


class MockProvider:
    """Implements `ports.Provider`. Quotes the last user message, and the one before it when it knows one; asked for
    JSON, it makes the quote a review's feedback.

    Every call takes `delay_seconds`; `sleep` is what waits.
    """

    name = "mock"

    def __init__(self, delay_seconds: float = 0.0, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._delay = delay_seconds
        self._sleep = sleep

    async def complete(self, request: ChatRequest) -> Answer:
        """Raises ProviderError (`upstream_timeout`) when the delay exceeds the request's timeout."""
        if self._delay > request.timeout:
            await self._sleep(request.timeout)
            words = f"the mock provider takes {self._delay:g} s and was given {request.timeout:g} s"
            raise ProviderError(ErrorCode.UPSTREAM_TIMEOUT, words, retryable=True)
        await self._sleep(self._delay)
        said = _texts(request.body.get("messages"))
        answer = _answer([text for role, text in said if role == "user"])
        if _wants_json(request.body.get("response_format")):
            answer = json.dumps({"score": 0.5, "feedback": answer}, ensure_ascii=False)
        prompt = sum(estimate_tokens(text) for _, text in said)
        completion = estimate_tokens(answer)
        return Answer(answer, MODEL, Usage(prompt, completion, prompt + completion), "stop")

    async def relay(self, request: ChatRequest) -> Relayed:
        """The answer as an OpenAI document."""
        answer = await self.complete(request)
        choice = {"index": 0, "message": {"role": "assistant", "content": answer.text}, "finish_reason": "stop"}
        document = _document("chat.completion", choice) | {"usage": asdict(answer.usage) if answer.usage else None}
        return Relayed(json.dumps(document, ensure_ascii=False).encode(), MODEL, answer.usage)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The answer word by word, then its usage."""
        answer = await self.complete(request)
        for word in re.findall(r"\s*\S+", answer.text):
            yield _event(word, None)
        yield _event("", "stop")
        last: dict[str, Json] = {"choices": [], "usage": asdict(answer.usage) if answer.usage else None}
        document = _document("chat.completion.chunk", {}) | last
        data = json.dumps(document, ensure_ascii=False).encode()
        yield Chunk(data, "", None, answer.usage, has_choices=False, model=MODEL)

    async def models(self) -> Sequence[Model]:
        """Itself."""
        return [Model(MODEL, "Mock", "Repeats what it is told; costs nothing.", 0, "answerback")]

    async def close(self) -> None:
        """Nothing is held."""


def _document(kind: str, choice: dict[str, Json]) -> dict[str, Json]:
    return {"id": "chatcmpl-mock", "object": kind, "created": int(time.time()), "model": MODEL, "choices": [choice]}


def _event(text: str, finish_reason: str | None) -> Chunk:
    delta = {"role": "assistant", "content": text} if text else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    document = _document("chat.completion.chunk", choice) | {"usage": None}
    data = json.dumps(document, ensure_ascii=False).encode()
    return Chunk(data, text, finish_reason, None, has_choices=True, model=MODEL)


def _texts(messages: Json) -> list[tuple[Json, str]]:
    """Role and text of each message; one without readable text counts as silent."""
    said: list[tuple[Json, str]] = []
    for message in messages if isinstance(messages, list | tuple) else ():
        if not isinstance(message, dict):
            continue
        try:
            text = text_of(message.get("content"))
        except ValueError:
            text = ""
        said.append((message.get("role"), storable(text)))
    return said


def _wants_json(response_format: Json) -> bool:
    return isinstance(response_format, dict) and response_format.get("type") in ("json_object", "json_schema")


def _answer(user: Sequence[str]) -> str:
    answer = f"You said: {_quote(user[-1] if user else '')}."
    return answer + f" Before that you said: {_quote(user[-2])}." if len(user) > 1 else answer


def _quote(text: str) -> str:
    return f'"{text if len(text) <= QUOTE_LIMIT else text[: QUOTE_LIMIT - 1] + "…"}"'
