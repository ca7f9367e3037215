"""Reading a whole completion, as it came: as a document, or as a stream that nobody asked for."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping

from answerback.kernel.json import Json
from answerback.llm import completions
from answerback.llm.assembling import Assembly
from answerback.llm.blank_errors import without_blank_error
from answerback.llm.choices import conforming_whole
from answerback.llm.failures import read_document
from answerback.llm.framing import is_event_stream
from answerback.llm.model import Chunk
from answerback.llm.sse import first_data
from answerback.llm.streams import ChunkReader, chunks
from answerback.llm.transport import OpenResponse

COMPLETION = "chat.completion"
"""The `object` of a completion."""


async def read_completion(
    response: OpenResponse, now: Callable[[], int], *, several: bool
) -> tuple[bytes, dict[str, Json]]:
    """The completion's bytes and the same decoded. `several` says that more than one choice was asked for. Raises
    ProviderError for an error in its place, and for a stream that is not whole. JSON says itself where it ends: a
    document is whole, though its connection broke before the body's end."""
    good = 200 <= response.status < 300
    if good and await is_event_stream(response):
        assembly = Assembly(several=several)
        async for chunk in chunks(response, now, several=several):
            assembly.add(chunk)
        return _encoded(assembly)
    body, broken = await response.read_what_came()
    body = completions.in_utf8(body)
    document = completions.decode(body) if good else None
    if isinstance(document, dict):
        document = without_blank_error(document)
    if isinstance(document, dict) and document.get("choices") and not document.get("error"):
        # OpenAI's SDK for Node cannot parse a byte order mark.
        return _conforming(body.removeprefix(BOM_UTF8), document)
    reader = ChunkReader(now, several=several)
    if good and not isinstance(document, dict) and (read := list(_chunks(reader, body))):
        assembly = Assembly(several=several)
        for chunk in read:
            assembly.add(chunk)
        return _encoded(assembly)
    if good and broken is not None and document is None:
        raise completions.broken_within(broken)
    if good:
        completions.check_structure(body)
    return body, read_document(response.status, response.headers, body if good else first_data(body), now())


def _conforming(body: bytes, document: dict[str, Json]) -> tuple[bytes, dict[str, Json]]:
    """The completion as it came, unless OpenAI's clients could not read it for a number, a name or a word."""
    changes = _changes(document)
    if not changes and not isinstance(document, completions.Mended):
        return body, document
    document = {**document, **changes}
    return json.dumps(document).encode(), document


def _changes(document: Mapping[str, Json]) -> dict[str, Json]:
    choices, changes = document["choices"], dict[str, Json]()
    if document.get("object", COMPLETION) != COMPLETION:
        changes["object"] = COMPLETION
    if isinstance(choices, list):
        readable = [conforming_whole(each, position) for position, each in enumerate(choices)]
        if readable != choices:
            changes["choices"] = readable
    return changes


def _chunks(reader: ChunkReader, body: bytes) -> Iterator[Chunk]:
    """The chunks of JSON lines, or of a completion with events behind it."""
    yield from reader.read_whole(body)
    if reader.began:
        reader.check_whole()


def _encoded(assembly: Assembly) -> tuple[bytes, dict[str, Json]]:
    document = assembly.completion()
    document |= _changes(document)
    return json.dumps(document).encode(), document
