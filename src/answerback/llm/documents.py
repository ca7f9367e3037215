"""Reading a whole completion, as it came: as a document, or as a stream that nobody asked for."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator

from answerback.kernel.json import Json
from answerback.llm import completions
from answerback.llm.assembling import Assembly
from answerback.llm.blank_errors import without_blank_error
from answerback.llm.chunk_reader import ChunkReader
from answerback.llm.conforming import conforming_whole
from answerback.llm.failures import read_document
from answerback.llm.framing import is_event_stream
from answerback.llm.heads import COMPLETION, Head
from answerback.llm.model import Chunk
from answerback.llm.sse import first_data
from answerback.llm.streams import chunks
from answerback.llm.transport import OpenResponse


async def read_completion(
    response: OpenResponse, now: Callable[[], int], model: str, *, several: bool
) -> tuple[bytes, dict[str, Json]]:
    """The completion's bytes and the same decoded. `model` was asked for; `several` says that more than one choice was.
    Raises ProviderError for an error in its place, and for a stream that is not whole. JSON says itself where it ends:
    a document is whole, though its connection broke before the body's end."""
    good = 200 <= response.status < 300
    head = Head(COMPLETION, model, now)
    if good and await is_event_stream(response):
        assembly = Assembly(several=several)
        async for chunk in chunks(response, now, model, several=several):
            assembly.add(chunk)
        return _encoded(assembly, head)
    body, broken = await response.read_what_came()
    body = completions.in_utf8(body)
    document = completions.decode(body) if good else None
    if isinstance(document, dict):
        document = without_blank_error(document)
    if isinstance(document, dict) and document.get("choices") and not document.get("error"):
        return _conforming(body, document, head)
    reader = ChunkReader(now, model, several=several)
    if good and not isinstance(document, dict) and (read := list(_chunks(reader, body))):
        assembly = Assembly(several=several)
        for chunk in read:
            assembly.add(chunk)
        return _encoded(assembly, head)
    if good and broken is not None and document is None:
        raise completions.broken_within(broken)
    if good:
        completions.check_structure(body)
    return body, read_document(response.status, response.headers, body if good else first_data(body), now())


def _conforming(body: bytes, document: dict[str, Json], head: Head) -> tuple[bytes, dict[str, Json]]:
    """The completion as it came, unless OpenAI's clients could not read it."""
    document = _readable(document, head)
    if isinstance(document, completions.Mended):
        return json.dumps(document).encode(), document
    # OpenAI's SDK for Node cannot parse a byte order mark.
    return body.removeprefix(BOM_UTF8), document


def _readable(document: dict[str, Json], head: Head) -> dict[str, Json]:
    """The completion itself, or a `Mended` one. Raises ProviderError for a tool call that names no tool."""
    document = head.conforming(document)
    choices = document["choices"]
    if isinstance(choices, list):
        readable = [conforming_whole(each, position) for position, each in enumerate(choices)]
        if readable != choices:
            return completions.Mended({**document, "choices": readable})
    return document


def _chunks(reader: ChunkReader, body: bytes) -> Iterator[Chunk]:
    """The chunks of JSON lines, or of a completion with events behind it."""
    yield from reader.read_whole(body)
    if reader.began:
        reader.check_whole()


def _encoded(assembly: Assembly, head: Head) -> tuple[bytes, dict[str, Json]]:
    document = _readable(assembly.completion(), head)
    return json.dumps(document).encode(), document
