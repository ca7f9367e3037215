"""What a scripted LLM can answer: from a plain completion to the habits of hostile and overloaded upstreams."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from aiohttp import web

from answerback.testing.behaviours import NOT_HTTP, aborted, garbled
from answerback.testing.completions import DONE, document, encoded, event, events
from answerback.testing.completions import Call as Call

SSE_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}

Reply: TypeAlias = Callable[[web.BaseRequest, Call], Awaitable[web.StreamResponse]]
"""Answers one call. Its body has been read and recorded before."""


def echo() -> Reply:
    """Repeats the last user message and counts the messages: `You said: "hi". I was given 3 messages.`"""

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        count = len(call.messages)
        text = f'You said: "{call.user}". I was given {count} message{"" if count == 1 else "s"}.'
        return await _completion(request, call, text)

    return reply


def embeddings() -> Reply:
    """Embeds each input as two numbers: its length, and its place among them (OpenAI API reference, "Embeddings")."""

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:  # noqa: ARG001
        given = call.body["input"]
        inputs = given if isinstance(given, list) else [given]
        texts = [each if isinstance(each, str | list) else json.dumps(each) for each in inputs]
        data = [
            {"object": "embedding", "index": n, "embedding": [float(len(text)), float(n)]}
            for n, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return _json({"object": "list", "data": data, "model": call.model, "usage": usage})

    return reply


def text_completion() -> Reply:
    """Goes on with the prompt, for each of several in a choice of its own: ` and so on` (OpenAI API reference,
    "Completions"); a chunk a word where a stream was asked for."""

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        prompt = call.body["prompt"]
        count = len(prompt) if isinstance(prompt, list) else 1
        head = {"id": f"cmpl-{call.n}", "object": "text_completion", "created": int(time.time()), "model": call.model}
        usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}

        def choices(text: str, finish: str | None) -> list[Any]:
            return [{"text": text, "index": n, "logprobs": None, "finish_reason": finish} for n in range(count)]

        if not call.streamed:
            return _json({**head, "choices": choices(" and so on", "stop"), "usage": usage})
        said = [event({**head, "choices": choices(word, None)}) for word in (" and", " so", " on")]
        ended = event({**head, "choices": choices("", "stop"), "usage": usage})
        return await _streamed(request, [*said, ended, DONE])

    return reply


def say(text: str) -> Reply:
    """Answers with this text, as a stream word by word where one was asked for."""

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        return await _completion(request, call, text)

    return reply


def completion(**changes: Any) -> Reply:
    """A good completion, never streamed, with some of its fields replaced: `completion(choices=[])`."""

    async def reply(_: web.BaseRequest, call: Call) -> web.StreamResponse:
        return _json({**document(call, "A good answer."), **changes})

    return reply


def message(content: Any, finish_reason: Any = "stop", **fields: Any) -> Reply:
    """A completion whose one message has this `content`: text, None, parts, or nonsense."""
    said = {"role": "assistant", "content": content, **fields}
    return completion(choices=[{"index": 0, "message": said, "finish_reason": finish_reason}])


def status(code: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """A status; the body is sent as it is when it is bytes, else as JSON; by default an error object as OpenAI's."""
    if body is None:
        body = {"error": {"message": f"scripted {code}", "type": "scripted", "param": None, "code": code}}

    async def reply(_: web.BaseRequest, __: Call) -> web.StreamResponse:
        return _json(body, code, headers)

    return reply


def raw(body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    """200 with these bytes, whatever they are."""
    return status(200, body, headers)


def error_in_200(code: Any, text: str = "scripted", **fields: Any) -> Reply:
    """200 with an error object, as OpenRouter reports errors that come late."""
    return status(200, {"error": {"code": code, "message": text, **fields}})


def oversized(size: int = 9 * 1024 * 1024) -> Reply:
    """A good answer of `size` bytes."""
    return message("x" * size)


def delayed(seconds: float, then: Reply | None = None) -> Reply:
    """Answers after `seconds`, by default with an echo."""
    behaviour = then or echo()

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await behaviour(request, call)

    return reply


def hang(until: asyncio.Event | None = None, then: Reply | None = None) -> Reply:
    """Answers when `until` is set, by default with an echo; without an event, never."""
    behaviour = then or echo()

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        await (until or asyncio.Event()).wait()
        return await behaviour(request, call)

    return reply


def hang_up() -> Reply:
    """Closes the connection without a response."""

    async def reply(request: web.BaseRequest, _: Call) -> web.StreamResponse:
        return aborted(request)

    return reply


def break_off(text: str = "This sentence will never be finished.") -> Reply:
    """Begins a good answer, streamed where a stream was asked for, and closes the connection in the middle of it."""

    async def reply(request: web.BaseRequest, call: Call) -> web.StreamResponse:
        data = b"".join(events(call, text)) if call.streamed else encoded(document(call, text))
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(data))})
        if call.streamed:
            response = web.StreamResponse(headers=SSE_HEADERS)
            response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        if request.transport is not None:
            request.transport.close()
        return response

    return reply


def stream(data: bytes, end: Literal["whole", "broken", "never"] = "whole") -> Reply:
    """200 and these bytes as an event stream, whatever they are; then the end of the body, a closed connection without
    that end, or nothing."""

    async def reply(request: web.BaseRequest, _: Call) -> web.StreamResponse:
        response = web.StreamResponse(headers=SSE_HEADERS)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(data)
        if end == "never":
            await asyncio.Event().wait()
        if end == "broken" and request.transport is not None:
            request.transport.close()
        return response

    return reply


def babble(data: bytes = NOT_HTTP) -> Reply:
    """Sends these bytes in place of a response, and closes the connection."""

    async def reply(request: web.BaseRequest, _: Call) -> web.StreamResponse:
        return garbled(request, data)

    return reply


async def _completion(request: web.BaseRequest, call: Call, text: str) -> web.StreamResponse:
    if not call.streamed:
        return _json(document(call, text))
    return await _streamed(request, events(call, text))


async def _streamed(request: web.BaseRequest, data: Sequence[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers=SSE_HEADERS)
    await response.prepare(request)
    for each in data:
        await response.write(each)
    await response.write_eof()
    return response


def _json(body: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    data = body if isinstance(body, bytes) else encoded(body)
    return web.Response(body=data, status=code, headers={"Content-Type": "application/json", **(headers or {})})
