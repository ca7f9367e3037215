"""Reading a whole completion, as it came: as a document, or as a stream that nobody asked for."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable

from answerback.kernel.heavy import HeavyWork
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers import completions
from answerback.llm.answers.assembling import Assembly
from answerback.llm.answers.blank_errors import error_of_choice, without_blank_error
from answerback.llm.answers.charsets import in_utf8
from answerback.llm.answers.chunk_reader import ChunkReader
from answerback.llm.answers.conforming import conforming_whole
from answerback.llm.answers.envelopes import unwrapped
from answerback.llm.answers.finish_reasons import check_end, reason_of
from answerback.llm.answers.framing import is_event_stream
from answerback.llm.answers.heads import COMPLETION, Head
from answerback.llm.answers.odd_json import Mended, decode
from answerback.llm.answers.plain import is_plain
from answerback.llm.answers.sse import first_data
from answerback.llm.answers.streams import chunks, in_turn
from answerback.llm.errors.error_bodies import read_error
from answerback.llm.errors.failures import error_in_body, read_document
from answerback.llm.errors.in_answers import error_beside
from answerback.llm.model import Expected
from answerback.llm.transport import OpenResponse


async def read_completion(
    response: OpenResponse, now: Callable[[], int], expected: Expected, heavy: HeavyWork
) -> tuple[bytes, dict[str, Json]]:
    """The completion's bytes and the same decoded. Raises ProviderError for what holds no answer, for an error in its
    place, and for a stream that is not whole. JSON says itself where it ends: a document is whole, though its
    connection broke before the body's end."""
    if 200 <= response.status < 300 and await is_event_stream(response):
        assembly = Assembly(asked=expected.choices)
        async for chunk in chunks(response, now, expected):
            assembly.add(chunk)
        return _conforming(b"", assembly.completion(), expected, now)
    body, broken = await response.read_what_came()
    body = in_utf8(body, response.headers)
    # Two turns: others go on between the look at the bytes and what is made of them.
    async with heavy.on(len(body)):
        completions.check_values(body)
    async with heavy.on(len(body)):
        return await _read_document(response, body, broken, now, expected)


async def _read_document(
    response: OpenResponse, body: bytes, broken: ProviderError | None, now: Callable[[], int], expected: Expected
) -> tuple[bytes, dict[str, Json]]:
    good = 200 <= response.status < 300
    document = decode(body) if good else None
    if is_plain(document):
        return body.removeprefix(BOM_UTF8), document
    if isinstance(document, dict):
        document = unwrapped(document)
        document = completions.cut_if_incomplete(completions.without_nulls(without_blank_error(document)))
    if isinstance(document, dict) and document.get("choices") and not document.get("error"):
        if (error := error_beside(document)) is not None:
            raise error_in_body(error, now(), response.headers)
        return _conforming(body, document, expected, now)
    if good and not isinstance(document, dict):
        reader, assembly = ChunkReader(now, expected), Assembly(asked=expected.choices)
        if await _assemble(assembly, reader, body):
            return _conforming(b"", assembly.completion(), expected, now)
    if good and broken is not None and document is None:
        raise completions.broken_within(broken)
    if good:
        completions.check_structure(body)
    document = read_document(response, body if good else first_data(body), now(), broken)
    if not document.get("choices") and read_error(document).message:
        # It says why it is no answer.
        raise error_in_body(document, now(), response.headers)
    _check(document, now)
    return body, document


def _conforming(
    body: bytes, document: dict[str, Json], expected: Expected, now: Callable[[], int]
) -> tuple[bytes, dict[str, Json]]:
    """The completion as it came, unless OpenAI's clients could not read it."""
    document = _readable(document, Head(COMPLETION, expected.model, now))
    _check(document, now)
    if isinstance(document, Mended):
        return json.dumps(document).encode(), document
    # OpenAI's SDK for Node cannot parse a byte order mark.
    return body.removeprefix(BOM_UTF8), document


def _readable(document: dict[str, Json], head: Head) -> dict[str, Json]:
    """The completion itself, or a `Mended` one. Raises ProviderError for a tool call that names no tool."""
    document = head.conforming(document)
    choices = document["choices"]
    if isinstance(choices, list):
        readable = [conforming_whole(each, position) for position, each in enumerate(choices)]
        if all(isinstance(each, dict) for each in readable):
            # The first one is the answer.
            readable.sort(key=lambda each: each["index"])
        if readable != choices:
            return Mended({**document, "choices": readable})
    return document


async def _assemble(assembly: Assembly, reader: ChunkReader, body: bytes) -> bool:
    """Joins JSON lines, or a completion with events behind it; whether the body holds any. Raises ProviderError."""
    async for chunk in in_turn(reader.read_whole(body)):
        assembly.add(chunk)
    if reader.began:
        reader.check_whole()
    return reader.began


def _check(document: dict[str, Json], now: Callable[[], int]) -> None:
    """Raises ProviderError for a document without an answer."""
    choices = document.get("choices")
    completions.check_withheld(document)
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise completions.invalid("holds no choices")
    choice = choices[0]
    for each in choices:
        if isinstance(each, dict) and (error := error_of_choice(each)) is not None:
            raise error_in_body(error, now())
    completions.check(choice)
    for other in choices[1:]:
        check_end(reason_of(other) if isinstance(other, dict) else None)
