"""Streams that never pause are read at a rate, by what they cost: those of one provider together, too."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from answerback.kernel.allowance import Allowance
from answerback.llm.answers import streams
from answerback.llm.answers.streams import A_TURN, BYTES_OF_A_CHUNK, chunks
from answerback.llm.model import Expected

AT_ONCE, A_SECOND = 200, 500
SECONDS = 0.5


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHUNKS_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(streams, "CHUNKS_A_SECOND", A_SECOND)


class Endless:
    """A stream of one event without end."""

    status = 200
    headers: Mapping[str, str] = {"Content-Type": "text/event-stream"}

    def __init__(self, event: Mapping[str, Any], of_all: Allowance | None = None, seconds_left: float = 60.0) -> None:
        self._piece = b"data: %b\n\n" % json.dumps(event).encode()
        self.streamed = of_all or Allowance(1_000_000, 1_000_000)
        self.seconds_left = seconds_left
        self.events = 0

    async def read_some(self) -> bytes:
        self.events += 1
        return self._piece

    def unread(self, received: bytes) -> None:
        self._piece = received

    def close(self) -> None:
        pass


async def read(*responses: Endless) -> float:
    """For how many seconds they were read, SECONDS at least."""

    async def one(response: Endless) -> None:
        async for _ in chunks(response, lambda: 0, Expected("m", choices=200)):  # type: ignore[arg-type]
            pass

    loop = asyncio.get_running_loop()
    began = loop.time()
    _, late = await asyncio.wait([loop.create_task(one(each)) for each in responses], timeout=SECONDS)
    assert len(late) == len(responses)
    took = loop.time() - began
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return took


def event(choices: int = 1, text: str = "a", **more: str) -> Mapping[str, Any]:
    return {"choices": [{"index": index, "delta": {"content": text}} for index in range(choices)], **more}


@pytest.mark.parametrize(
    ("said", "pieces"),
    [
        (event(), 1),
        (event(choices=50), 50),
        (event(more="x" * 20 * BYTES_OF_A_CHUNK), 20),
        ({**event(), "created": float("nan"), "more": "x" * 20 * BYTES_OF_A_CHUNK}, 20),
    ],
    ids=["tokens", "many choices", "many bytes", "many bytes that are read otherwise"],
)
async def test_a_chunk_counts_as_it_costs(said: Mapping[str, Any], pieces: int) -> None:
    endless = Endless(said)
    took = await read(endless)
    assert endless.events * pieces < AT_ONCE + A_SECOND * took + A_TURN + 2 * pieces


async def test_streams_of_one_provider_share_a_rate() -> None:
    of_all = Allowance(A_SECOND, AT_ONCE)
    flood = [Endless(event(), of_all) for _ in range(20)]
    took = await read(*flood)
    # Each may bring some at once; then all of them bring as many as one would.
    at_once = len(flood) * (AT_ONCE + 2 * A_TURN)
    assert sum(each.events for each in flood) < at_once + AT_ONCE + A_SECOND * took


async def test_a_stream_rests_no_longer_than_its_call_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHUNKS_A_SECOND", 0.001)
    endless = Endless(event(), seconds_left=0.0)
    await read(endless)
    assert endless.events > AT_ONCE + 2 * A_TURN
