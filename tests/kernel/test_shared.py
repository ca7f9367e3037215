"""What many ask for at one time is made once."""

import asyncio

import pytest

from answerback.kernel.shared import Shared
from answerback.testing.clock import FakeClock


class Made:
    """Counts how often it is made; each time takes `seconds`, and waits until it `may_end`."""

    def __init__(self, clock: FakeClock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.times = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.times += 1
        await self.may_end.wait()
        self.clock.advance(self.seconds)
        if self.error is not None:
            raise self.error
        return self.times


def shared(made: Made) -> Shared[int]:
    return Shared(made, made.clock.monotonic, seconds=2.0, share=0.1)


async def test_all_who_ask_at_one_time_wait_for_one(clock: FakeClock) -> None:
    made = Made(clock)
    made.may_end.clear()
    one = shared(made)

    asking = [asyncio.create_task(one.get()) for _ in range(5)]
    await asyncio.sleep(0)
    assert one.busy
    made.may_end.set()

    assert await asyncio.gather(*asking) == [1] * 5


async def test_it_is_made_again_once_it_is_old(clock: FakeClock) -> None:
    one = shared(Made(clock))
    assert await one.get() == 1
    clock.advance(1.999)
    assert await one.get() == 1
    clock.advance(0.001)
    assert await one.get() == 2


async def test_what_takes_long_is_made_seldom(clock: FakeClock) -> None:
    one = shared(Made(clock, seconds=1.0))
    assert await one.get() == 1
    clock.advance(8.9)
    assert await one.get() == 1
    clock.advance(0.1)
    assert await one.get() == 2


async def test_who_gives_up_leaves_it_to_the_others(clock: FakeClock) -> None:
    made = Made(clock)
    made.may_end.clear()
    one = shared(made)
    asking = [asyncio.create_task(one.get()) for _ in range(2)]
    await asyncio.sleep(0)

    asking[0].cancel()
    await asyncio.wait([asking[0]])
    made.may_end.set()

    assert await asking[1] == 1


async def test_a_failure_is_everybodys_and_is_not_remembered(clock: FakeClock) -> None:
    made = Made(clock)
    one = shared(made)
    made.error = ValueError("not now")
    with pytest.raises(ValueError, match="not now"):
        await one.get()
    made.error = None

    assert await one.get() == 2
