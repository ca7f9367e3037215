"""The bytes of a streamed completion, read truthfully as chunks: it is whole only once every choice that began has its
`finish_reason`, an error is an error, and no chunk comes before the answer's first token."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers import completions
from answerback.llm.answers.alike import AlikeChunks
from answerback.llm.answers.blank_errors import without_blank_error
from answerback.llm.answers.call_pieces import CallPieces
from answerback.llm.answers.choices import as_delta, checked, finish_word, text_in
from answerback.llm.answers.conforming import conforming_chunk
from answerback.llm.answers.envelopes import unwrapped
from answerback.llm.answers.events import Sign, apart, error_of, read_event
from answerback.llm.answers.filler import Filler, TooMuchFiller
from answerback.llm.answers.finish_reasons import CERTAIN_ENDS, classify, reason_of
from answerback.llm.answers.heads import CHUNK, Head
from answerback.llm.answers.odd_json import Mended, decode
from answerback.llm.answers.pieces import TextPieces
from answerback.llm.answers.progress import ANSWER, Progress, says
from answerback.llm.answers.sse import Event, EventParser, EventTooLarge
from answerback.llm.answers.tool_calls import calls_tools
from answerback.llm.answers.usage_fields import usage_of
from answerback.llm.errors.error_bodies import read_error
from answerback.llm.errors.failures import error_in_body
from answerback.llm.errors.in_answers import error_in
from answerback.llm.model import Chunk, Expected, Usage
from answerback.llm.transport import MAX_RESPONSE_BYTES, READ_BYTES

MAX_HELD = 1000
"""How many chunks without a token are held back, waiting for the first token."""

MAX_TEXT_BYTES = MAX_RESPONSE_BYTES
"""A streamed answer may be as long as a plain one: it is kept like one."""


class ChunkReader:
    """Turns what is received into chunks. `began` says whether any event has come, `done` whether `[DONE]` has,
    `counted` whether the usage has, and `filled` whether more than enough of nothing has come behind a whole answer."""

    def __init__(self, now: Callable[[], int], expected: Expected) -> None:
        self._now = now
        self._tools = expected.tools
        self._head = Head(CHUNK, expected.model, now)
        self._several = expected.choices > 1
        self._events = EventParser()
        self._progress = Progress(asked=expected.choices)
        self._calls: dict[int, CallPieces] = {}
        self._calling: set[int] = set()
        self._in_a_role: set[int] = set()
        """Choices of which some chunk has said the role; clients of OpenAI's for Node read none without it."""
        self._pieces = TextPieces()
        self._alike = AlikeChunks()
        self._held: list[Chunk] | None = []
        self._held_bytes = 0
        self._size = 0
        self._filler = Filler()
        self._came_whole = False
        self._aside: dict[str, Json] = {}
        """The first event of nothing of a completion."""
        self.began = False
        self.done = False
        self.counted = False
        self.filled = False

    def read(self, received: bytes) -> Iterator[Chunk]:
        """The chunks that can be sent now. Raises ProviderError."""
        try:
            for event in apart(self._events.feed(received)):
                if (chunk := self._take(event)) is not None:
                    self._filler.brought(len(event.data), speaks=bool(chunk.text) or _shows(chunk))
                    yield from self._released(chunk)
            self._filler.received(received, self._events.pending)
        except (TooMuchFiller, EventTooLarge) as error:
            if not self.done and not self.complete:
                large = isinstance(error, EventTooLarge)
                what = "holds an event that is too large" if large else "is drowned in bytes that carry nothing"
                raise completions.invalid(what) from None
            self.filled = True

    def end(self) -> Iterator[Chunk]:
        """The last ones, once the body has ended. Half an event counts for nothing: whether the answer is whole, the
        others say. Raises ProviderError."""
        for event in apart(self._events.end()):
            if read_event(event) is not Sign.NOISE and (chunk := self._take(event)) is not None:
                yield from self._released(chunk)

    def read_whole(self, body: bytes) -> Iterator[Chunk]:
        """The chunks of a body that begins with JSON: a completion, whatever follows it, or JSON lines. There are none
        where it is neither, or where it is an error. Raises ProviderError."""
        document = decode(body)
        if document is None:
            for at in range(0, len(body), READ_BYTES):
                yield from self.read(body[at : at + READ_BYTES])
            yield from self.end()
        elif isinstance(document, dict) and error_in(without_blank_error(unwrapped(document)), whole=True) is None:
            self.began = True
            if (chunk := self._chunk(body, document)) is not None:
                yield from self._released(chunk)
        elif isinstance(document, list) and all(isinstance(each, dict) and "choices" in each for each in document):
            # A stream as one list.
            for each in document:
                yield from self.read(b"data: %b\n\n" % json.dumps(each).encode())

    @property
    def complete(self) -> bool:
        """Whether the answer has come to its end, though not the body."""
        return self._progress.complete

    @property
    def speaks(self) -> bool:
        """Whether a token has come."""
        return self._progress.speaks

    @property
    def lacks_a_newline(self) -> bool:
        """Whether the answer's last event has come but for its own end: all of its JSON, which says why the only choice
        ends. One that is longer than a read is not looked at: it would be, at each of its bytes."""
        if self._several or not 0 < self._events.pending <= READ_BYTES or self._progress.finished:
            return False
        return any(map(_ends, self._events.unended()))

    def check_whole(self) -> None:
        """Raises ProviderError unless the answer is whole."""
        ended = self.done or self._came_whole or not self._progress.doubtful
        if not self._progress.finished or not ended:
            if read_error(self._aside).message:
                raise error_in_body(self._aside, self._now())
            if not self._progress.begun:
                raise completions.invalid("holds no choices")
            words = "the upstream's stream broke off before the answer was whole"
            raise ProviderError(ErrorCode.UPSTREAM_INVALID, words, retryable=True)
        if not self._progress.speaks:
            raise completions.empty()

    def _take(self, event: Event) -> Chunk | None:
        """The chunk that the event holds; None for a sign. Raises ProviderError."""
        self.began = True
        if not event.name and not self.done and (alike := self._alike.document(event.data)) is not None:
            document, text = alike
            text = text if self._progress.note_text(document["choices"]) else ""
            return Chunk(event.data, document, self._pieces.next(text, last=False), None, None)
        match read_event(event):
            case dict() as document:
                return self._last(document) if self.done else self._chunk(event.data, document)
            case Sign.DONE:
                self.done = True
            case Sign.ERROR if not self.done:
                raise error_in_body(error_of(event), self._now())
            case Sign.NOISE if not self.done:
                raise completions.invalid("holds an event that is not a JSON object")
        return None

    def _last(self, document: dict[str, Json]) -> Chunk | None:
        """What comes after `[DONE]`: the answer is whole, and only its usage may still come."""
        if (usage := usage_of(document)) is None:
            return None
        self.counted = True
        return _made(b"", self._head.conforming(Mended({**document, "choices": []})), "", None, usage)

    def _released(self, chunk: Chunk) -> Sequence[Chunk]:
        """The chunks that can be sent once this one has come."""
        if chunk.text:
            self._size += len(chunk.text.encode())
            if self._size > MAX_TEXT_BYTES:
                raise completions.invalid(f"exceeds {MAX_TEXT_BYTES} bytes")
        if self._held is None:
            return (chunk,)
        self._held.append(chunk)
        self._held_bytes += len(chunk.data)
        if not self._progress.speaks and len(self._held) <= MAX_HELD and self._held_bytes <= MAX_RESPONSE_BYTES:
            return ()
        held, self._held = self._held, None
        return held

    def _chunk(self, data: bytes, document: dict[str, Json]) -> Chunk | None:
        """None for an event of neither choices nor usage: gateways say various things beside an answer. Raises
        ProviderError for one that is an error."""
        document = without_blank_error(unwrapped(document))
        if (error := error_in(document)) is not None:
            raise error_in_body(error, self._now())
        document = completions.without_nulls(completions.cut_if_incomplete(document))
        usage, choices = usage_of(document), document.get("choices")
        completions.check_withheld(document)
        self.counted = self.counted or usage is not None
        if not choices and not isinstance(choices, list) and usage is None:
            if not document:
                raise completions.invalid("holds an event of nothing")
            self._aside = self._aside or document
            return None
        document = self._head.conforming(document)
        if not choices:
            return _made(data, document, "", None, usage)
        choices, ordinary = checked(choices, self._now)
        if ordinary and self._progress.keeps_zero and ANSWER in self._in_a_role:
            chunk = self._ordinary(data, document, usage)
            if usage is None and len(choices) == 1 and chunk.data is data:
                self._alike.learn(chunk)
            return chunk
        choices = self._of_messages(choices)
        of_answer = self._progress.note(choices)
        indexes = [self._progress.index_of(each, of_answer) for each in choices]
        last = self._progress.finished
        text = self._pieces.next(_text(of_answer), last=last)
        joinable = [self._joinable(each, index) for each, index in zip(choices, indexes, strict=True)]
        if last:
            for calls in self._calls.values():
                calls.check_whole()
        if joinable != document["choices"]:
            document = Mended({**document, "choices": joinable})
        return _made(data, document, text, finish_word(choices if self._several else of_answer), usage)

    def _ordinary(self, data: bytes, document: dict[str, Json], usage: Usage | None) -> Chunk:
        """Of choices that are pieces of the answer, and neither its end nor odd. Raises ProviderError."""
        text = self._pieces.next(_text(self._progress.note(document["choices"])), last=False)
        return _made(data, document, text, None, usage)

    def _of_messages(self, choices: list[dict[str, Json]]) -> list[dict[str, Json]]:
        """The choices, where one that holds a whole message is that of a chunk. Raises ProviderError."""
        if not any("message" in choice and not choice.get("delta") for choice in choices):
            return choices
        # A whole completion in place of a stream, or in its one event: it has been paid for.
        if self._came_whole:
            raise completions.invalid("holds more than one whole completion")
        # Behind its own pieces it repeats them.
        repeats = not self._several and bool(self._size or self._calling)
        self._came_whole = not repeats
        return [as_delta({**each, "message": None} if repeats else each) for each in choices]

    def _joinable(self, choice: dict[str, Json], index: Json) -> dict[str, Json]:
        key = index if isinstance(index, int) else 0
        delta = choice.get("delta")
        if calls_tools(delta):
            self._calling.add(key)
        calls = self._calls.setdefault(key, CallPieces(self._tools))
        begins = key not in self._in_a_role and (says(delta) or reason_of(choice) is not None)
        if begins or (isinstance(delta, dict) and delta.get("role") is not None):
            self._in_a_role.add(key)
        return conforming_chunk(choice, index, calls, begins=begins, calling=key in self._calling)


def _ends(event: Event) -> bool:
    document = read_event(event)
    choices = document.get("choices") if isinstance(document, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return False
    return classify(reason_of(choices[0])) in CERTAIN_ENDS


def _text(choices: Sequence[Mapping[str, Json]]) -> str:
    return "".join([text_in(choice) for choice in choices])


def _made(
    data: bytes, document: Mapping[str, Json], text: str, finish_reason: str | None, usage: Usage | None
) -> Chunk:
    if isinstance(document, Mended):
        data = json.dumps(document).encode()
    return Chunk(data, document, text, finish_reason, usage)


def _shows(chunk: Chunk) -> bool:
    """Whether it says anything, in text or otherwise."""
    return any(says(choice.get("delta")) for choice in chunk.document.get("choices") or ())
