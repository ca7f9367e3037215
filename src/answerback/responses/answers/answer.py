"""The answer to a request as it streams: chunks of a chat completion in, items and OpenAI's events out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from answerback.kernel.json import Json
from answerback.llm.answers import completions, thoughts
from answerback.llm.answers.content import text_of
from answerback.llm.answers.progress import ANSWER
from answerback.llm.model import Chunk, FinishReason, storable
from answerback.responses import ids
from answerback.responses.answers.calls import Calls
from answerback.responses.answers.end import status_of
from answerback.responses.answers.output import Event, OpenItem, OpenMessage, OpenReasoning
from answerback.responses.items.annotations import citations_in
from answerback.responses.model import Asked, Item
from answerback.responses.tools.toolbox import NO_TOOLS, Toolbox

_OF_TEXT = frozenset({"role", "content"})
"""Fields of a delta that says nothing but a text, as nearly all do."""


class Answer:
    """Thoughts and text are items in the order in which they come; calls are open until the end, since their pieces may
    be mixed."""

    def __init__(self, response_id: str, asked: Asked, toolbox: Toolbox) -> None:
        self._response_id = response_id
        self._logprobs = asked.logprobs
        self._summarised = asked.summarises
        self._calls = Calls(toolbox, self._make_room)
        self._room = 0
        self._open: OpenMessage | OpenReasoning | None = None
        self._done: list[tuple[int, Item]] = []
        self._speaks = self._shows = False
        self.usage: Json = None
        """What the upstream counted, as it came."""

    @property
    def output(self) -> list[Item]:
        """Every item, as far as it has come."""
        unfinished: list[OpenItem] = [*self._calls.items, *([self._open] if self._open is not None else ())]
        return [item for _, item in sorted(self._done + [(each.index, each.item("incomplete")) for each in unfinished])]

    def take(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds. Raises ProviderError."""
        if chunk.usage is not None:
            self.usage = chunk.document.get("usage")
        # The text is that of the answer's choice already.
        text = chunk.text
        for choice in chunk.document.get("choices") or ():
            delta = choice.get("delta")
            if choice.get("index") == ANSWER and isinstance(delta, dict):
                yield from self.say(delta, text, choice.get("logprobs"))
                text = ""

    def end(self, finish: FinishReason) -> Iterator[Event]:
        """Closes what is open. Raises ProviderError for a call that names no tool, and where an image or a sound is
        all."""
        if self._shows and not (self._speaks or self._calls.items):
            raise completions.other_than_text()
        status = status_of(finish)
        yield from self._close(status)
        yield from self._calls.close(status)
        self._done += [(each.index, each.item(status)) for each in self._calls.items]
        self._calls = Calls(NO_TOOLS, self._make_room)

    def say(self, delta: Mapping[str, Json], text: str, logprobs: Json) -> Iterable[Event]:
        """What a delta adds, of which `text` is the text. Raises ProviderError."""
        known = _read_logprobs(logprobs) if self._logprobs else ()
        if delta.keys() <= _OF_TEXT and isinstance(delta.get("content"), str):
            return self._speak(text, "", known) if text else ()
        return self._say_all(delta, text, known)

    def _say_all(self, delta: Mapping[str, Json], text: str, logprobs: Sequence[Item]) -> Iterator[Event]:
        if (thought := thoughts.thought_in(delta)) is not None:
            if not isinstance(self._open, OpenReasoning):
                yield from self._close("completed")
                self._open = OpenReasoning(*self._make_room("reasoning"), summarised=self._summarised)
                yield from self._open.begin()
            yield from self._open.think(thoughts.Thought(storable(thought.text), thought.field, thought.details))
        refusal = delta.get("refusal")
        refusal = refusal if isinstance(refusal, str) else ""
        if refusal and not text_of(delta.get("content")):
            # The text of such a delta is its refusal.
            text, refusal = "", text
        if text or refusal:
            yield from self._speak(text, storable(refusal), logprobs)
        elif completions.shows_or_sounds(delta):
            self._shows = True
        if isinstance(self._open, OpenMessage) and "annotations" in delta:
            self._open.annotate(citations_in(delta))
        yield from self._calls.take(delta)

    def _speak(self, text: str, refusal: str, logprobs: Sequence[Item]) -> Iterator[Event]:
        self._speaks = True
        if not isinstance(self._open, OpenMessage):
            yield from self._close("completed")
            self._open = OpenMessage(*self._make_room("message"))
            yield self._open.begin()
        if text:
            yield from self._open.say(text, logprobs)
        if refusal:
            yield from self._open.refuse(refusal)

    def _close(self, status: str) -> Iterator[Event]:
        if self._open is not None:
            yield from self._open.close(status)
            self._done.append((self._open.index, self._open.item(status)))
            self._open = None

    def _make_room(self, kind: str) -> tuple[str, int]:
        index, self._room = self._room, self._room + 1
        return ids.item_id(self._response_id, kind, ids.OUTPUT, index), index


def _read_logprobs(given: Json) -> Sequence[Item]:
    """Those of a chunk's tokens, in the shape of an item."""
    content = given.get("content") if isinstance(given, dict) else None
    content = content if isinstance(content, list) else []
    return [_logprob(each) | {"top_logprobs": _top(each)} for each in content if _is_logprob(each)]


def _top(token: Mapping[str, Json]) -> list[Item]:
    top = token.get("top_logprobs")
    return [_logprob(each) for each in top if _is_logprob(each)] if isinstance(top, list) else []


def _is_logprob(given: Json) -> bool:
    return (
        isinstance(given, dict) and isinstance(given.get("token"), str) and type(given.get("logprob")) in (int, float)
    )


def _logprob(given: Mapping[str, Json]) -> Item:
    token, spelt = storable(given["token"]), given.get("bytes")
    spelt = spelt if isinstance(spelt, list) else list(token.encode())
    return {"token": token, "bytes": spelt, "logprob": given["logprob"]}
