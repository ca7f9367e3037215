"""Bytes of a stream that carry nothing are counted: heartbeats are taken for hours, a flood of them ends the call."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from answerback.kernel.allowance import Allowance
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HeavyWork
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers import filler
from answerback.llm.answers.documents import read_completion
from answerback.llm.answers.streams import chunks
from answerback.llm.model import Expected

SILENT = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
HELLO = {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}]}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
WORDS = [
    b": x\n\n",
    b"id: 1\n\n",
    b"id: 1\n",
    b"retry: 5\n\n",
    b"event: ping\n\n",
    b"event: ping\n",
    b"event: ping\ndata: {}\n\n",
    b"data:\n\n",
    b"data: ping\n\n",
    b'data: {"type": "ping"}\n\n',
    b'data: {"object": "chat.completion.chunk"}\n\n',
    b"\n",
    b"\r\n",
    b"what is no field\n\n",
]


class Flood:
    """A stream of these events, and then of this word without an end: it never pauses."""

    status = 200
    headers: Mapping[str, str] = {"Content-Type": "text/event-stream"}
    seconds_left = 60.0

    def __init__(self, word: bytes, *events: object, times: int | None = None, end: bytes = b"") -> None:
        self._first = b": begins\n\n" + b"".join(map(sse, events))
        self._flood = word * (32_768 // len(word))
        self._times = times
        self._end = end
        self.sent = 0
        self.streamed = Allowance(1e9, 1e9)

    async def read_some(self) -> bytes:
        if self._first:
            received, self._first = self._first, b""
        elif self._times == 0:
            received, self._end = self._end, b""
        else:
            received = self._flood
            self._times = None if self._times is None else self._times - 1
        self.sent += len(received)
        return received

    def unread(self, received: bytes) -> None:
        self._first = received

    def close(self) -> None: ...


def sse(document: object) -> bytes:
    return b"data: %b\n\n" % (document if isinstance(document, bytes) else json.dumps(document).encode())


async def streamed(flood: Flood) -> str:
    stream = chunks(flood, lambda: 0, Expected("m"))  # type: ignore[arg-type]
    return "".join([chunk.text async for chunk in stream])


@pytest.mark.parametrize("events", [(), (HELLO,)], ids=["at once", "after a token"])
@pytest.mark.parametrize("word", WORDS, ids=repr)
async def test_a_flood_that_carries_nothing_ends_the_call(
    word: bytes, events: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filler, "MAX_FILLER", 128 * 1024)
    flood = Flood(word, *events)

    with pytest.raises(ProviderError) as failure:
        await streamed(flood)

    assert failure.value.failure.code is ErrorCode.UPSTREAM_INVALID
    assert flood.sent < 1.5 * filler.MAX_FILLER


async def test_a_flood_ends_a_call_for_a_whole_answer_too() -> None:
    with pytest.raises(ProviderError) as failure:
        await read_completion(Flood(b": x\n\n", HELLO), lambda: 0, Expected("m"), HeavyWork())  # type: ignore[arg-type]

    assert failure.value.failure.code is ErrorCode.UPSTREAM_INVALID


async def test_chunks_that_say_nothing_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filler, "MAX_SILENT", 128 * 1024)

    with pytest.raises(ProviderError, match="carry nothing"):
        await streamed(Flood(sse(SILENT), HELLO))


@pytest.mark.parametrize("end", [(HELLO, END), (HELLO, END, b"[DONE]")], ids=["stop", "done"])
@pytest.mark.parametrize("word", [b": x\n\n", b"x" * 1000], ids=["comments", "a line without an end"])
async def test_a_flood_behind_a_whole_answer_costs_nothing_of_it(word: bytes, end: tuple[Any, ...]) -> None:
    assert await streamed(Flood(word, *end)) == "Hello"


@pytest.mark.parametrize("word", WORDS, ids=repr)
async def test_a_flood_of_short_lines_ends_by_their_number(word: bytes) -> None:
    flood = Flood(word)

    with pytest.raises(ProviderError, match="carry nothing"):
        await streamed(flood)

    assert flood.sent < filler.MAX_LINES * len(word) + 32_768 * 2


async def test_an_hour_of_heartbeats_and_hidden_thoughts_are_no_flood() -> None:
    end = sse(HELLO) + sse(END)

    assert await streamed(Flood(b": OPENROUTER PROCESSING\n\n", times=6, end=end)) == "Hello"
    assert await streamed(Flood(sse(SILENT), times=40, end=end)) == "Hello"
    assert await streamed(Flood(b": x\n" * 10 + sse(HELLO), times=40, end=sse(END)))


async def test_one_event_of_megabytes_is_no_filler() -> None:
    large = sse({"choices": [{"index": 0, "delta": {"content": "x" * 5_000_000}, "finish_reason": None}]})
    parts = [large[at : at + 32_768] for at in range(0, len(large), 32_768)] + [sse(END)]

    class InParts(Flood):
        async def read_some(self) -> bytes:
            return parts.pop(0) if parts else b""

        def unread(self, received: bytes) -> None:
            parts.insert(0, received)

    assert len(await streamed(InParts(b":"))) == 5_000_000
