"""Reading a streamed completion truthfully: it is whole only once every choice that began has its `finish_reason`, an
error is an error, and no chunk comes before the answer's first token."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.json import Json
from answerback.llm import completions
from answerback.llm.content import text_of
from answerback.llm.events import Sign, error_of, read_event
from answerback.llm.failures import NO_HEADERS, error_in_body, read_document
from answerback.llm.finish_reasons import Finish, classify, word_of
from answerback.llm.framing import is_event_stream
from answerback.llm.model import Chunk, name, storable
from answerback.llm.progress import Progress
from answerback.llm.sse import Event, EventParser, EventTooLarge, first_data
from answerback.llm.transport import MAX_RESPONSE_BYTES, OpenResponse
from answerback.llm.usage_fields import usage_of

MAX_HELD = 1000
"""How many chunks without a token are held back, waiting for the first token."""

MAX_TEXT_BYTES = MAX_RESPONSE_BYTES
"""A streamed answer may be as long as a plain one: it is kept like one."""

TAIL_SECONDS = 1.0
"""How long the usage of an answer is waited for after `[DONE]`."""


async def chunks(
    response: OpenResponse, now: Callable[[], int], *, several: bool = False
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a streamed completion; closes the response. `several` says that more than one choice was asked for.
    Raises ProviderError where the stream breaks.

    Chunks before the first token are held back until it comes: until then a failure, or an empty answer, fails the
    whole call, which may be made again.
    """
    stream = ChunkReader(now, several=several)
    try:
        if not 200 <= response.status < 300:
            read_document(response.status, response.headers, first_data(await response.read()), now())
        if await is_event_stream(response):
            tail_ends: float | None = None
            while received := await _more(response, stream, tail_ends):
                for chunk in stream.read(received):
                    yield chunk
                if stream.done and tail_ends is None:
                    tail_ends = asyncio.get_running_loop().time() + TAIL_SECONDS
            for chunk in stream.end():
                yield chunk
        else:
            body = await response.read()
            for chunk in stream.read_whole(body):
                yield chunk
            if not stream.began:
                read_document(response.status, response.headers, body, now())
        stream.check_whole()
    finally:
        response.close()


async def _more(response: OpenResponse, stream: "ChunkReader", tail_ends: float | None) -> bytes:
    """What comes next. After `[DONE]` it is waited for only for the sake of the usage, and until `tail_ends`; whatever
    happens to it, the answer is whole."""
    if tail_ends is None:
        return await response.read_some()
    if stream.counted:
        return b""
    try:
        async with asyncio.timeout_at(tail_ends):
            return await response.read_some()
    except (TimeoutError, ProviderError):
        return b""


class ChunkReader:
    """Turns what is received into chunks. `began` says whether any event has come, `done` whether `[DONE]` has, and
    `counted` whether the usage has."""

    def __init__(self, now: Callable[[], int], *, several: bool) -> None:
        self._now = now
        self._events = EventParser()
        self._progress = Progress(several=several)
        self._held: list[Chunk] | None = []
        self._held_bytes = 0
        self._size = 0
        self._came_whole = False
        self.began = False
        self.done = False
        self.counted = False

    def read(self, received: bytes) -> Iterator[Chunk]:
        """The chunks that can be sent now. Raises ProviderError."""
        try:
            for event in self._events.feed(received):
                yield from self._take(event)
        except EventTooLarge:
            if not self.done:
                raise completions.invalid("holds an event that is too large") from None

    def end(self) -> Iterator[Chunk]:
        """The last ones, once the body has ended. Raises ProviderError."""
        for event in self._events.end():
            yield from self._take(event)

    def read_whole(self, body: bytes) -> Iterator[Chunk]:
        """The chunks of a body that begins with JSON: a completion, whatever follows it, or JSON lines. There are none
        where it is neither, or where it is an error. Raises ProviderError."""
        document = completions.decode(body)
        if document is None:
            yield from self.read(body)
            yield from self.end()
        elif isinstance(document, dict) and not document.get("error"):
            yield from self._take_document(body, document)

    def check_whole(self) -> None:
        """Raises ProviderError unless the answer is whole."""
        ended = self.done or self._came_whole or not self._progress.doubtful
        if not self._progress.finished or not ended:
            words = "the upstream's stream broke off before the answer was whole"
            raise ProviderError(ErrorCode.UPSTREAM_INVALID, words, retryable=True)
        if not self._progress.speaks:
            raise completions.empty()

    def _take(self, event: Event) -> Iterator[Chunk]:
        self.began = True
        match read_event(event):
            case Sign.LIVENESS:
                return
            case Sign.DONE:
                self.done = True
            case Sign.ERROR if not self.done:
                raise error_in_body(error_of(event), NO_HEADERS, self._now())
            case Sign.NOISE if not self.done:
                raise completions.invalid("holds an event that is not a JSON object")
            case dict() as document:
                yield from self._take_document(event.data, document)

    def _take_document(self, data: bytes, document: dict[str, Json]) -> Iterator[Chunk]:
        self.began = True
        if self.done:
            # The answer is whole: only its usage may still come.
            usage = usage_of(document)
            document = {**document, "choices": []} if usage else {}
            chunk = Chunk(json.dumps(document).encode(), document, "", None, usage)
        else:
            chunk = self._chunk(data, document)
        self.counted = self.counted or chunk.usage is not None
        if chunk.usage is not None or isinstance(document.get("choices"), list):
            yield from self._released(chunk)

    def _released(self, chunk: Chunk) -> Iterator[Chunk]:
        """The chunks that can be sent once this one has come."""
        self._size += len(chunk.text.encode())
        if self._size > MAX_TEXT_BYTES:
            raise completions.invalid(f"exceeds {MAX_TEXT_BYTES} bytes")
        if self._held is None:
            yield chunk
            return
        self._held.append(chunk)
        self._held_bytes += len(chunk.data)
        if self._progress.speaks or len(self._held) > MAX_HELD or self._held_bytes > MAX_RESPONSE_BYTES:
            held, self._held = self._held, None
            yield from held

    def _chunk(self, data: bytes, document: dict[str, Json]) -> Chunk:
        """Raises ProviderError for an event that is an error, and for one that is nothing of a completion."""
        if document.get("error"):
            raise error_in_body(document["error"], NO_HEADERS, self._now())
        usage, choices = usage_of(document), document.get("choices")
        if not choices and (isinstance(choices, list) or usage is not None or _names_itself(document)):
            return Chunk(data, document, "", None, usage)
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise completions.invalid("holds an event without choices")
        for choice in choices:
            if choice.get("error"):
                raise error_in_body(choice["error"], NO_HEADERS, self._now())
        if any("message" in choice and not choice.get("delta") for choice in choices):
            # A whole completion in place of a stream, or in its one event: it has been paid for.
            self._came_whole = True
            choices = [_as_delta(choice) for choice in choices]
            document = {**document, "object": "chat.completion.chunk", "choices": choices}
            data = json.dumps(document, ensure_ascii=True).encode()
        text = "".join(_text(choice.get("delta")) for choice in self._progress.note(choices))
        return Chunk(data, document, text, _finish_word(choices), usage)


def _names_itself(document: Mapping[str, Json]) -> bool:
    return str(document.get("object")).startswith("chat.completion")


def _finish_word(choices: Sequence[Mapping[str, Json]]) -> str | None:
    """The first word that ends a choice."""
    for choice in choices:
        word = word_of(choice.get("finish_reason"))
        if word is not None and classify(word) is not Finish.NONE:
            return name(word)
    return None


def _as_delta(choice: Mapping[str, Json]) -> dict[str, Json]:
    delta = dict(message) if isinstance(message := choice.get("message"), dict) else {}
    if isinstance(calls := delta.get("tool_calls"), list):
        # Streamed tool calls have an `index`, by which clients join their pieces.
        delta["tool_calls"] = [{"index": n, **call} if isinstance(call, dict) else call for n, call in enumerate(calls)]
    return {name: value for name, value in choice.items() if name != "message"} | {"delta": delta}


def _text(delta: Json) -> str:
    if not isinstance(delta, dict):
        return ""
    try:
        text = text_of(delta.get("content"))
    except ValueError:
        raise completions.invalid("holds an event with content that is not text") from None
    refusal = delta.get("refusal")
    # A refusal comes in a field of its own, and is the model's answer.
    return storable(refusal if not text and isinstance(refusal, str) else text)
