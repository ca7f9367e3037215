"""Reading a streamed completion truthfully: it is whole only once every choice that began has its `finish_reason`, an
error is an error, and no chunk comes before the answer's first token."""

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.json import Json
from answerback.llm import completions
from answerback.llm.content import text_of
from answerback.llm.failures import NO_HEADERS, error_in_body, read_document
from answerback.llm.model import Chunk, name, storable
from answerback.llm.sse import EventParser, EventTooLarge
from answerback.llm.transport import MAX_RESPONSE_BYTES, OpenResponse

DONE = b"[DONE]"

MAX_HELD = 1000
"""How many chunks without a token are held back, waiting for the first token."""

MAX_TEXT_BYTES = MAX_RESPONSE_BYTES
"""A streamed answer may be as long as a plain one: it is kept like one."""


async def chunks(response: OpenResponse, now: Callable[[], int]) -> AsyncGenerator[Chunk, None]:
    """The chunks of a streamed completion; closes the response. Raises ProviderError where the stream breaks.

    Chunks before the first token are held back until it comes: until then a failure, or an empty answer, fails the
    whole call, which may be made again.
    """
    stream = _Stream(now)
    try:
        if _is_stream(response):
            while not stream.done and (received := await response.read_some()):
                for chunk in stream.read(received):
                    yield chunk
        else:
            for chunk in stream.take(_as_chunk(response, await response.read(), now())):
                yield chunk
        stream.end()
    finally:
        response.close()


class _Stream:
    """Turns what is received into chunks."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._events = EventParser()
        self._progress = _Progress()
        self._held: list[Chunk] | None = []
        self._size = 0
        self.done = False

    def read(self, received: bytes) -> Iterator[Chunk]:
        try:
            for data in self._events.feed(received):
                if data.strip() == DONE:
                    self.done = True
                    return
                document = completions.decode(data)
                if not isinstance(document, dict):
                    raise completions.invalid("holds an event that is not a JSON object")
                yield from self.take((data, document))
        except EventTooLarge:
            raise completions.invalid("holds an event that is too large") from None

    def take(self, event: tuple[bytes, dict[str, Json]]) -> Iterator[Chunk]:
        """The chunks that can be sent once this event has come."""
        chunk = _chunk(*event, self._now, self._progress)
        self._size += len(chunk.text.encode())
        if self._size > MAX_TEXT_BYTES:
            raise completions.invalid(f"exceeds {MAX_TEXT_BYTES} bytes")
        if self._held is None:
            yield chunk
            return
        self._held.append(chunk)
        if self._progress.speaks or len(self._held) > MAX_HELD:
            held, self._held = self._held, None
            yield from held

    def end(self) -> None:
        """Raises ProviderError unless the answer is whole."""
        if not self._progress.finished:
            words = "the upstream's stream broke off before the answer was whole"
            raise ProviderError(ErrorCode.UPSTREAM_INVALID, words, retryable=True)
        if not self._progress.speaks:
            raise completions.empty()


class _Progress:
    """How far a stream's choices are."""

    def __init__(self) -> None:
        self._open: set[Any] = set()
        self._ended: set[Any] = set()
        self.speaks = False
        """Whether a token came, or a reason why none will."""

    @property
    def finished(self) -> bool:
        return bool(self._ended) and not self._open

    def note(self, choice: dict[str, Json], finish_reason: str | None) -> None:
        index = choice.get("index", 0)
        index = index if isinstance(index, int) else 0
        if finish_reason is not None:
            self._ended.add(index)
            self._open.discard(index)
        elif index not in self._ended:
            self._open.add(index)
        self.speaks = self.speaks or finish_reason in ("length", "content_filter") or _says(choice.get("delta"))


def _says(delta: object) -> bool:
    return isinstance(delta, dict) and any(value for key, value in delta.items() if key != "role")


def _is_stream(response: OpenResponse) -> bool:
    kind = response.headers.get("Content-Type", "")
    return 200 <= response.status < 300 and not kind.lower().startswith("application/json")


def _as_chunk(response: OpenResponse, body: bytes, now: int) -> tuple[bytes, dict[str, Json]]:
    """A whole completion that came in place of a stream, as a stream's one event: the answer has been paid for."""
    document = read_document(response.status, response.headers, body, now)
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        raise completions.invalid("is not a stream")
    document |= {"object": "chat.completion.chunk", "choices": [_as_delta(choice) for choice in choices]}
    return json.dumps(document, ensure_ascii=True).encode(), document


def _as_delta(choice: Json) -> Json:
    if not isinstance(choice, dict):
        return choice
    delta = dict(message) if isinstance(message := choice.get("message"), dict) else {}
    if isinstance(calls := delta.get("tool_calls"), list):
        # Streamed tool calls have an `index`, by which clients join their pieces.
        delta["tool_calls"] = [{"index": n, **call} if isinstance(call, dict) else call for n, call in enumerate(calls)]
    return {name: value for name, value in choice.items() if name != "message"} | {"delta": delta}


def _chunk(data: bytes, document: dict[str, Json], now: Callable[[], int], progress: _Progress) -> Chunk:
    if document.get("error"):
        raise error_in_body(document["error"], NO_HEADERS, now())
    choices = document.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise completions.invalid("holds an event without choices")
    text, finish_reason = _read(choices, now, progress)
    return Chunk(data, document, text, finish_reason, completions.usage(document.get("usage")))


def _read(choices: Sequence[dict[str, Json]], now: Callable[[], int], progress: _Progress) -> tuple[str, str | None]:
    """The text of choice 0, and the first `finish_reason` of any choice."""
    text, finish_reason = "", None
    for choice in choices:
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise error_in_body(choice.get("error"), NO_HEADERS, now())
        reason = name(choice.get("finish_reason"))
        finish_reason = finish_reason or reason
        progress.note(choice, reason)
        if choice.get("index", 0) == 0:
            text += _delta_text(choice.get("delta"))
    return text, finish_reason


def _delta_text(delta: object) -> str:
    if not isinstance(delta, dict):
        return ""
    try:
        text = text_of(delta.get("content"))
    except ValueError:
        raise completions.invalid("holds an event with content that is not text") from None
    refusal = delta.get("refusal")
    # A refusal comes in a field of its own, and is the model's answer.
    return storable(refusal if not text and isinstance(refusal, str) else text)
