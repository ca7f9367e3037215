"""A streamed completion as the client gets it: the upstream's bytes, rebuilt only where they do not conform."""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import asdict

from answerback.http.openai_errors import openai_problem
from answerback.http.sse import DONE, data_event
from answerback.kernel.json import Json
from answerback.llm.model import Chunk
from answerback.llm.reply import StreamedReply

HEAD = ("id", "object", "created", "model")
"""What every chunk of an answer has in common."""

_NO_USAGE = re.compile(rb'"usage"\s*:\s*null')


async def events(reply: StreamedReply, include_usage: bool) -> AsyncGenerator[bytes, None]:
    """The stream as OpenAI sends it.

    With `include_usage` every chunk has `"usage": null` and a last one without choices has the counts, if the upstream
    counted; otherwise none has. `[DONE]` comes after a whole answer only.
    """
    first: Chunk | None = None
    counted: Chunk | None = None
    try:
        async for chunk in reply:
            first = first or chunk
            if chunk.usage is not None:
                # Upstreams send `usage` in different chunks, some more than once: the last one counts.
                counted = chunk
            if chunk.has_choices or chunk.usage is None:
                yield data_event(_without_usage(chunk, include_usage))
        if include_usage and first is not None and counted is not None:
            yield data_event(_counts(first, counted))
        yield DONE
    finally:
        await reply.aclose()


def error_chunk(status: int, code: str, message: str, param: str | None = None) -> bytes:
    """The last event of a stream that broke."""
    return data_event(openai_problem(status, code, message, param))


def _counts(first: Chunk, counted: Chunk) -> bytes | dict[str, Json]:
    """The chunk of the usage, as it came where it is as OpenAI's."""
    document, counts = counted.document, asdict(counted.usage) if counted.usage else {}
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    conforms = all(type(usage.get(name)) is int for name in counts)
    if conforms and document.get("choices") == [] and all(document.get(name) for name in HEAD):
        return counted.data
    head = {name: first.document[name] for name in HEAD if name in first.document}
    return {**head, **document, "choices": [], "usage": usage if conforms else {**usage, **counts}}


def _without_usage(chunk: Chunk, include_usage: bool) -> bytes:
    if chunk.usage is None and (not include_usage or _NO_USAGE.search(chunk.data)):
        return chunk.data
    document = {name: value for name, value in chunk.document.items() if name != "usage"}
    # In ASCII: a piece may end within a character, and that half could not be sent as UTF-8.
    return json.dumps(document | {"usage": None} if include_usage else document, separators=(",", ":")).encode()
