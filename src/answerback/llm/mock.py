"""The provider that answers when none is configured: deterministic and free; its answers show the context it got."""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import asdict

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.usage import Usage, estimate_tokens
from answerback.llm.answers.content import text_of
from answerback.llm.mock_embeddings import mock_embeddings
from answerback.llm.model import Api, ChatRequest, Chunk, Model, ModelList, storable
from answerback.llm.reply import EmbeddingsReply, Reply, StreamedReply, WholeReply

MODEL = "mock"
QUOTE_LIMIT = 200


class MockProvider:
    """Implements `Provider`. Quotes the last user message, and the one before it if there is one; if JSON is asked
    for, the quote becomes a review's feedback. Embeddings are numbers made of the text's hash.

    Every call takes `delay_seconds`; tests replace `sleep`.
    """

    name = "mock"

    def __init__(self, delay_seconds: float = 0.0, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._delay = delay_seconds
        self._sleep = sleep

    async def send(self, request: ChatRequest) -> Reply:
        """A whole answer, or word by word and then its usage. Raises ProviderError (`upstream_timeout`) when the delay
        exceeds the request's timeout."""
        if self._delay > request.timeout:
            await self._sleep(request.timeout)
            words = f"the mock provider takes {self._delay:g} s and was given {request.timeout:g} s"
            raise ProviderError(ErrorCode.UPSTREAM_TIMEOUT, words, retryable=True)
        deadline = asyncio.get_running_loop().time() + request.timeout
        await self._sleep(self._delay)
        if request.api is Api.EMBEDDINGS:
            made = mock_embeddings(request.body, MODEL)
            return EmbeddingsReply(_encode(made), made, MODEL)
        said = _texts(request.body.get("messages")) or _prompted(request.body.get("prompt"))
        text = _answer([text for role, text in said if role == "user"])
        if _wants_json(request.body.get("response_format")):
            text = json.dumps({"score": 0.5, "feedback": text}, ensure_ascii=False)
        prompt, completion = sum(estimate_tokens(text) for _, text in said), estimate_tokens(text)
        usage = Usage(prompt, completion, prompt + completion)
        if request.stream:
            return await StreamedReply.open(_chunks(text, usage), request.timeout, deadline)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        document = _document("chat.completion", [choice], asdict(usage))
        return WholeReply(_encode(document), document, MODEL)

    async def models(self) -> ModelList:
        mock = Model(MODEL, "Mock", "Repeats what is said to it; costs nothing.", 0, "answerback")
        return ModelList((mock,), complete=True)

    async def close(self) -> None:
        """Does nothing: the provider holds no resources."""


async def _chunks(text: str, usage: Usage) -> AsyncGenerator[Chunk, None]:
    for word in re.findall(r"\s*\S+", text):
        yield _chunk([{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}], word)
    yield _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}], finish_reason="stop")
    yield _chunk([], usage=usage)


def _chunk(
    choices: list[Json], text: str = "", *, finish_reason: str | None = None, usage: Usage | None = None
) -> Chunk:
    document = _document("chat.completion.chunk", choices, asdict(usage) if usage else None)
    return Chunk(_encode(document), document, text, finish_reason, usage)


def _document(kind: str, choices: list[Json], usage: Json) -> dict[str, Json]:
    made = {"id": "chatcmpl-mock", "object": kind, "created": int(time.time()), "model": MODEL}
    return {**made, "choices": choices, "usage": usage}


def _encode(document: dict[str, Json]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


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


def _prompted(prompt: Json) -> list[tuple[Json, str]]:
    """The prompt of a plain completion as what a user said; of several, the first."""
    while isinstance(prompt, list) and prompt and isinstance(prompt[0], str):
        prompt = prompt[0]
    return [("user", storable(prompt) if isinstance(prompt, str) else "")]


def _wants_json(response_format: Json) -> bool:
    return isinstance(response_format, dict) and response_format.get("type") in ("json_object", "json_schema")


def _answer(user: Sequence[str]) -> str:
    answer = f"You said: {_quote(user[-1] if user else '')}."
    return answer + f" Before that you said: {_quote(user[-2])}." if len(user) > 1 else answer


def _quote(text: str) -> str:
    return f'"{text if len(text) <= QUOTE_LIMIT else text[: QUOTE_LIMIT - 1] + "…"}"'
