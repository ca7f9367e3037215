"""A streamed completion as the client gets it: the upstream's bytes, rebuilt only where they do not conform."""

import re
from collections.abc import AsyncGenerator

from answerback.http.openai_errors import openai_problem
from answerback.http.sse import DONE, data_event
from answerback.kernel.json import Json
from answerback.llm.model import Chunk
from answerback.llm.reply import StreamedReply

_NO_USAGE = re.compile(rb'"usage"\s*:\s*null')


async def events(reply: StreamedReply, include_usage: bool) -> AsyncGenerator[bytes, None]:
    """The stream as OpenAI sends it.

    With `include_usage` every chunk has `"usage": null` and a last one without choices has the counts; otherwise none
    has. `[DONE]` comes after a whole answer only.
    """
    counted: Chunk | None = None
    try:
        async for chunk in reply:
            if chunk.usage is not None:
                # Upstreams send `usage` in different chunks, some more than once: the last one counts.
                counted = chunk
            if chunk.has_choices or chunk.usage is None:
                yield data_event(_without_usage(chunk, include_usage))
        if include_usage and counted is not None:
            yield data_event(_without_choices(counted))
        yield DONE
    finally:
        await reply.aclose()


def error_chunk(status: int, code: str, message: str) -> bytes:
    """The last event of a stream that broke."""
    return data_event(openai_problem(status, code, message))


def _without_choices(chunk: Chunk) -> bytes | dict[str, Json]:
    return {**chunk.document, "choices": []} if chunk.has_choices else chunk.data


def _without_usage(chunk: Chunk, include_usage: bool) -> bytes | dict[str, Json]:
    if chunk.usage is None and (not include_usage or _NO_USAGE.search(chunk.data)):
        return chunk.data
    document = {name: value for name, value in chunk.document.items() if name != "usage"}
    return document | {"usage": None} if include_usage else document
