"""OpenAI's events as they are sent and stored."""

import json
from collections.abc import Iterable, Iterator, Sequence

from answerback.http.sse import DONE, named_event
from answerback.kernel.json import Json
from answerback.responses.answers.output import Event
from answerback.responses.body import shown
from answerback.responses.model import Asked

_LIFECYCLE = (("response.created", "queued"), ("response.queued", "queued"), ("response.in_progress", "in_progress"))
_WAITED_FOR = (("response.created", "in_progress"), ("response.in_progress", "in_progress"))

_END, _DATA = b"\n\n", b"\ndata: "


def first_events(asked: Asked, *, claimed: bool = True) -> Sequence[tuple[str, str]]:
    """The types of the events before those of the items, each with the status that the response then has. They, and the
    last one, follow from a response's row; only the others are stored. `claimed` is whether a worker ever had it."""
    if not asked.background:
        return _WAITED_FOR
    return _LIFECYCLE if claimed else _LIFECYCLE[:-1]


def encoded(event: Event, number: int, *, sealed: bool) -> bytes:
    """`sealed` shows the `encrypted_content` of its item."""
    if "item" in event:
        event = {**event, "item": shown([event["item"]], sealed=sealed)[0]}
    return named_event(event["type"], {**event, "sequence_number": number})


def decoded(stored: Iterable[bytes]) -> Iterator[Event]:
    """Those of `encoded`, joined in any way."""
    for data in stored:
        for each in data.split(_END)[:-1]:
            yield json.loads(each.partition(_DATA)[2])


def behind(number: int, data: bytes, last: int) -> bytes:
    """Those of the events in `data` that come after this number; the number of the last one is `last`."""
    wanted = last - number
    if wanted <= 0:
        return b""
    count = data.count(_END)
    return data if wanted >= count else data.split(_END, count - wanted)[-1]


def error_event(number: int, code: str, message: str) -> bytes:
    """The end of a stream whose response is no more. SDKs raise what is nested, and read what is flat."""
    said: dict[str, Json] = {"code": code, "message": message, "param": None}
    event = {"type": "error", "sequence_number": number, **said, "error": {"type": "invalid_request_error", **said}}
    return named_event("error", event) + DONE
