"""A streamed completion as the client gets it: the upstream's bytes, rebuilt only where they do not conform."""

import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any, Protocol

from starlette.responses import Response

from answerback.chat.ends import HeldEnds
from answerback.http.errors import ErrorContent
from answerback.http.keep_alive import stream
from answerback.http.openai_errors import openai_problem
from answerback.http.sse import DONE, data_event, sse_response
from answerback.kernel.json import Json
from answerback.llm.model import Chunk
from answerback.llm.reply import StreamedReply

_NO_USAGE = re.compile(rb'"usage"\s*:\s*null')


class Chunks(Protocol):
    """A StreamedReply, or its chunks in another shape. Raises ProviderError if it breaks."""

    def __aiter__(self) -> "Chunks": ...
    async def __anext__(self) -> Chunk: ...
    async def aclose(self) -> None: ...


def _as_they_are(reply: StreamedReply) -> Chunks:
    return reply


async def streamed_response(
    opening: Coroutine[Any, Any, StreamedReply],
    body: Mapping[str, Json],
    shaped: Callable[[StreamedReply], Chunks] = _as_they_are,
) -> Response:
    """The response to a request for a stream, which `opening` asks the upstream for. Raises ProviderError."""
    options = body.get("stream_options") or {}
    include_usage = options.get("include_usage") is True
    return sse_response(await stream(opening, lambda reply: events(shaped(reply), include_usage)), error_chunk)


async def events(reply: Chunks, include_usage: bool) -> AsyncGenerator[bytes, None]:
    """The stream as OpenAI sends it.

    With `include_usage` every chunk has `"usage": null` and a last one without choices has the counts, if the upstream
    counted; otherwise none has. `[DONE]` comes after a whole answer only. The end of a choice waits for that of the
    stream: clients stop at any.
    """
    counted: Chunk | None = None
    ends = HeldEnds()
    try:
        async for chunk in reply:
            if chunk.usage is not None:
                # Upstreams send `usage` in different chunks, some more than once: the last one counts.
                counted = chunk
            if chunk.usage is not None and not chunk.has_choices:
                continue
            rest = chunk if chunk.finish_reason is None else ends.without(chunk)
            if rest is not None:
                yield _event(rest, include_usage)
            # It may be long, and the next one be late.
            del chunk, rest
        for each in ends.chunks:
            yield _event(each, include_usage)
        if include_usage and counted is not None:
            yield data_event(_counts(counted))
        yield DONE
    finally:
        await reply.aclose()


def _event(chunk: Chunk, include_usage: bool) -> bytes:
    has_none = chunk.usage is None and not include_usage
    return data_event(chunk.data if has_none else _without_usage(chunk, include_usage))


def error_chunk(content: ErrorContent) -> bytes:
    """The last event of a stream that broke."""
    return data_event(openai_problem(content.status, content.code, content.message, content.param))


def _counts(counted: Chunk) -> bytes | dict[str, Json]:
    """The chunk of the usage, as it came where it has no choices."""
    if counted.document.get("choices") == []:
        return counted.data
    return {**counted.document, "choices": []}


def _without_usage(chunk: Chunk, include_usage: bool) -> bytes:
    if chunk.usage is None and _NO_USAGE.search(chunk.data):
        return chunk.data
    document = {name: value for name, value in chunk.document.items() if name != "usage"}
    # In ASCII: a piece may end within a character, and that half could not be sent as UTF-8.
    return json.dumps(document | {"usage": None} if include_usage else document, separators=(",", ":")).encode()
