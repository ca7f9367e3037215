"""A streamed answer that is asked for again after its first events were stored: what comes again as it was is left
out, what comes otherwise stands in new items."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from answerback.responses import ids
from answerback.responses.answers.output import Event
from answerback.responses.model import Item

ADDED, DONE = "response.output_item.added", "response.output_item.done"
_PARTS = {"response.content_part.added": "content", "response.reasoning_summary_part.added": "summary"}
"""Which list of an item an event adds a part to."""
_OF_PART = {
    "response.reasoning_text.delta": "text",
    "response.reasoning_summary_text.delta": "text",
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
}
"""Which field of its last part a delta adds to."""
_OF_CALL = {
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}


@dataclass(slots=True)
class _Emitted:
    """An item that readers know, by its events."""

    index: int
    events: list[Event]

    @property
    def added(self) -> Item:
        item: Item = self.events[0]["item"]
        return item

    @property
    def done(self) -> Item | None:
        last = self.events[-1]
        return last["item"] if last["type"] == DONE else None

    @property
    def left(self) -> bool:
        """Whether an earlier try ended it without its text being whole."""
        return self.done is not None and self.done["status"] == "incomplete"

    def so_far(self) -> Item:
        """The item as readers have it."""
        if self.done is not None:
            return self.done
        item = {**self.added, "status": "incomplete"}
        parts: list[Item] = []
        for event in _merged(self.events):
            kind = event["type"]
            if kind in _PARTS:
                parts.append(dict(event["part"]))
                item[_PARTS[kind]] = parts
            elif kind in _OF_PART:
                parts[-1][_OF_PART[kind]] += event["delta"]
            elif kind in _OF_CALL:
                item[_OF_CALL[kind]] += event["delta"]
        return item


@dataclass(slots=True)
class _Repeated:
    """An item of the new answer that has been as `past` until now: up to event `at`, and `offset` characters of its
    delta."""

    past: _Emitted
    seen: list[Event] = field(default_factory=list)
    at: int = 0
    offset: int = 0

    def take(self, event: Event) -> Event | None:
        """What of it is new; None where all of it was emitted. Raises _Differs."""
        self.seen.append(event)
        new = self._new(event)
        if new is not None:
            self.past.events.append(new)
            self.at = len(self.past.events)
        return new

    def _new(self, event: Event) -> Event | None:
        events = self.past.events
        if self.at < len(events) and self.offset and "delta" not in event:
            if self.offset < len(events[self.at]["delta"]):
                raise _Differs
            self.at, self.offset = self.at + 1, 0
        if self.at == len(events):
            return event
        if not _is_alike(events[self.at], event):
            raise _Differs
        if "delta" not in event:
            self.at += 1
            return None
        return self._rest(event)

    def _rest(self, event: Event) -> Event | None:
        """The end of a delta that readers do not have."""
        text: str = event["delta"]
        past: str = self.past.events[self.at]["delta"]
        if past.startswith(text, self.offset):
            self.offset += len(text)
            if self.at == len(self.past.events) - 1 and self.offset == len(past):
                self.at, self.offset = self.at + 1, 0
            return None
        expected = past[self.offset :]
        if self.at < len(self.past.events) - 1 or not text.startswith(expected):
            raise _Differs
        self.at, self.offset = self.at + 1, 0
        rest = {**event, "delta": text[len(expected) :]}
        # Those of the text before cannot be taken out.
        return rest | {"logprobs": []} if "logprobs" in rest else rest


class _Differs(Exception):
    """The new answer goes another way than the earlier one."""


class Continuation:
    """Between one answer, whose items are numbered from 0, and readers who may know items of earlier tries."""

    def __init__(self, response_id: str, stored: Iterable[Event]) -> None:
        self._response_id = response_id
        emitted = items_in(stored)
        self._repeats = bool(emitted)
        self._known = [each for each in emitted if not each.left]
        self._count = len(emitted)
        self._repeated: dict[int, _Repeated] = {}
        self._shown: dict[int, tuple[int, Item]] = {}
        """The index and the first form of each of the answer's items as readers know it."""

    def take(self, event: Event) -> Iterable[Event]:
        """What readers get for it."""
        return self._compared(event) if self._repeats else (event,)

    def _compared(self, event: Event) -> Iterator[Event]:
        place = event["output_index"]
        if event["type"] == ADDED and place < len(self._known) and place not in self._shown:
            past = self._known[place]
            self._repeated[place] = _Repeated(past)
            self._shown[place] = past.index, past.added
        repeated = self._repeated.get(place)
        if repeated is None:
            yield self._named(event)
            return
        try:
            new = repeated.take(event)
        except _Differs:
            yield from self._leave(place)
            return
        if new is not None:
            yield self._named(new)

    def end(self) -> Iterator[Event]:
        """Closes what the answer does not have any more."""
        if len(self._shown) < len(self._known):
            yield from self._leave(len(self._shown))

    def output(self, items: Sequence[Item]) -> list[Item]:
        """The answer's items with the ids that readers know."""
        return [
            _item_renamed(item, self._shown[place][1]) if place in self._shown else item
            for place, item in enumerate(items)
        ]

    def _leave(self, place: int) -> Iterator[Event]:
        """From this item on nothing is as it was."""
        for past in self._known[place:]:
            if past.done is None:
                yield {"type": DONE, "output_index": past.index, "item": past.so_far()}
        del self._known[place:]
        anew = [each for each in sorted(self._repeated) if each >= place]
        for each in anew:
            seen = self._repeated.pop(each).seen
            del self._shown[each]
            for event in seen:
                yield self._named(event)

    def _named(self, event: Event) -> Event:
        place = event["output_index"]
        if place not in self._shown:
            self._shown[place] = self._make_room(event["item"])
        index, first = self._shown[place]
        return _renamed(event, index, first)

    def _make_room(self, item: Item) -> tuple[int, Item]:
        index, self._count = self._count, self._count + 1
        return index, {**item, "id": ids.item_id(self._response_id, item["type"], ids.OUTPUT, index)}


def items_in(events: Iterable[Event]) -> list[_Emitted]:
    """The items that these events are of, by their indexes."""
    found: dict[int, list[Event]] = {}
    for event in events:
        found.setdefault(event["output_index"], []).append(event)
    return [_Emitted(index, _merged(found[index])) for index in sorted(found)]


def partial_output(events: Iterable[Event]) -> list[Item]:
    """What came of a response that has failed, without what its last try left."""
    return [each.so_far() for each in items_in(events) if not each.left]


def _merged(events: Iterable[Event]) -> list[Event]:
    """With one delta in place of several that follow each other."""
    made: list[Event] = []
    for (_, grows), group in groupby(events, lambda event: (event["type"], "delta" in event)):
        if not grows:
            made += group
            continue
        first, *others = group
        made.append({**first, "delta": "".join(each["delta"] for each in (first, *others))})
    return made


def _is_alike(past: Event, event: Event) -> bool:
    """As far as the deltas before do not say it."""
    if past["type"] != event["type"]:
        return False
    if "part" in event:
        return bool(past["part"]["type"] == event["part"]["type"])
    if "item" in event:
        return all(
            past["item"].get(each) == event["item"].get(each) for each in ("type", "name", "namespace", "status")
        )
    return True


def _renamed(event: Event, index: int, first: Item) -> Event:
    event = {**event, "output_index": index}
    if "item_id" in event:
        event["item_id"] = first["id"]
    if "item" in event:
        event["item"] = _item_renamed(event["item"], first)
    return event


def _item_renamed(item: Item, first: Item) -> Item:
    named = {"id": first["id"]} | ({"call_id": first["call_id"]} if "call_id" in item else {})
    return {**item, **named}
