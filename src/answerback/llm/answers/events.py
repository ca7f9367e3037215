"""What an event of a stream is: a document, or one of the few signs beside documents."""

import json
import re
from enum import Enum, auto

from answerback.kernel.json import Json
from answerback.llm.answers.completions import check_values
from answerback.llm.answers.odd_json import decode
from answerback.llm.answers.sse import Event

LIVENESS_WORDS = frozenset({"ping", "heartbeat", "keepalive", "keep-alive", "keep_alive"})
"""Names, types or data of events that only say that the upstream lives."""

DONE = b"[DONE]"
"""The end of a stream as OpenAI writes it; no list."""
END_NAMES = frozenset({b"done", b"end"})
END_WORDS = frozenset({b"done", b"end", b"finished"})
_SIGNS = re.compile(rb"\\[nr]|[^a-z]")
_SAYS_MUCH = re.compile(
    rb"err|fail|exception|abort|fatal|cancel|time.?out|chunk|delta|completion|^data$|token|text|content|message|answer|output",
    re.IGNORECASE,
)
"""Names of events that speak of a failure, or may hold a piece of the answer."""


class Sign(Enum):
    """LIVENESS: the upstream lives. DONE: the stream is whole, as `[DONE]` says. ERROR: it broke. NOISE: neither a
    JSON object nor a sign."""

    LIVENESS = auto()
    DONE = auto()
    ERROR = auto()
    NOISE = auto()


def read_event(event: Event) -> dict[str, Json] | Sign:
    """The document that the event holds, or what else it is."""
    if event.name == b"error":
        return Sign.ERROR
    data = event.data
    if len(data) < 16 and (sign := _sign(data)) is not None:
        return sign
    document = decode(data)
    if isinstance(document, dict) and "choices" in document:
        return document
    if _lives(event.name, document):
        return Sign.LIVENESS
    if event.name in END_NAMES or document == {"done": True}:
        return Sign.DONE
    if isinstance(document, dict):
        return document
    return Sign.LIVENESS if _is_aside(event, document) else Sign.NOISE


def apart(events: list[Event]) -> list[Event]:
    """The events, where lines of data that are a document each are an event each, and so are documents in a list: some
    upstreams leave out the blank lines between events, others put lists around them. Raises ProviderError."""
    are_apart = True
    for event in events:
        check_values(event.data)
        if event.data != DONE and (b"\n" in event.data or event.data.startswith((b"[", b"data:"))):
            are_apart = False
    if are_apart:
        return events
    return [part for event in events for part in _parts(_unwrapped(event))]


def _unwrapped(event: Event) -> Event:
    """An event that some gateway took for data, and put into another."""
    data = event.data
    while data.startswith(b"data:"):
        data = data.removeprefix(b"data:").lstrip()
    return event if data is event.data else event._replace(data=data)


def _parts(event: Event) -> list[Event]:
    document = decode(event.data) if event.data.lstrip().startswith(b"[") else None
    if isinstance(document, list) and document and all(isinstance(each, dict) for each in document):
        return [Event(json.dumps(each).encode(), event.name) for each in document]
    lines = event.data.split(b"\n") if b"\n" in event.data and decode(event.data) is None else ()
    parts = [Event(line, event.name) for line in lines]
    return parts if parts and all(read_event(part) is not Sign.NOISE for part in parts) else [event]


def error_of(event: Event) -> Json:
    """What an `event: error` reports: its `error`, or the whole of its data."""
    document = decode(event.data)
    return document.get("error") or document if isinstance(document, dict) else None


def _sign(data: bytes) -> Sign | None:
    word = data.strip(b' \t"').lower()
    if not word or word.decode("latin-1") in LIVENESS_WORDS:
        return Sign.LIVENESS
    # `[DONE]`, and what others make of it: `DONE`, `<done>`, `[END]`.
    return Sign.DONE if _SIGNS.sub(b"", word) in END_WORDS else None


def _is_aside(event: Event, document: Json) -> bool:
    """Whether the event is of a type of its own (`event: close`), and its data is no broken document: by the standard
    of such streams those who read messages do not see it."""
    if not event.name or _SAYS_MUCH.search(event.name) is not None:
        return False
    return document is not None or not event.data.lstrip().startswith((b"{", b"["))


def _lives(name: bytes, document: Json) -> bool:
    if name.decode("latin-1").lower() in LIVENESS_WORDS:
        return True
    fields = document if isinstance(document, dict) else {}
    return any(str(fields.get(field)).lower() in LIVENESS_WORDS for field in ("type", "object", "event"))
