"""Heavy documents are worked on one at a time, and leave more time to all else."""

import asyncio
import gc
from itertools import pairwise

import pytest

from answerback.kernel.heavy import HEAVY_BYTES, HeavyWork, HeldBytes
from answerback.kernel.json import without_collecting

SECONDS = 0.05


def hold(loop: asyncio.AbstractEventLoop) -> tuple[float, float]:
    """Holds the event loop for a while: from when to when."""
    began = loop.time()
    while loop.time() < began + SECONDS:
        continue
    return began, loop.time()


async def test_of_heavy_documents_that_come_at_once_each_leaves_more_time_than_it_took() -> None:
    heavy = HeavyWork()

    async def work() -> tuple[float, float]:
        async with heavy.on(HEAVY_BYTES):
            return hold(asyncio.get_running_loop())

    held = sorted(await asyncio.gather(*(work() for _ in range(4))))

    assert all(begins - ended >= SECONDS * 1.8 for (_, ended), (begins, _) in pairwise(held))


async def test_small_documents_wait_for_no_heavy_one() -> None:
    heavy = HeavyWork()
    async with heavy.on(HEAVY_BYTES), asyncio.timeout(5), heavy.on(HEAVY_BYTES - 1):
        pass


async def test_work_that_fails_gives_its_turn_to_the_next() -> None:
    heavy = HeavyWork()
    with pytest.raises(ValueError, match="broken"):
        async with heavy.on(HEAVY_BYTES):
            raise ValueError("broken")

    async with asyncio.timeout(5), heavy.on(HEAVY_BYTES):
        pass


async def test_beyond_what_may_be_held_only_the_first_goes_on_until_it_is_released() -> None:
    held, went_on = HeldBytes(10), list[str]()

    async def take(holder: str, *sizes: int) -> None:
        for size in sizes:
            await held.hold(holder, size)
        went_on.append(holder)

    await take("first", 6)
    tasks = [asyncio.create_task(take(name, 3, 6, 9)) for name in ("second", "third")]
    await asyncio.sleep(0)
    await take("first", 50, 100)
    assert went_on == ["first", "first"]

    held.release("first")
    await tasks[0]
    assert went_on[2:] == ["second"]

    held.release("second")
    async with asyncio.timeout(5):
        await tasks[1]


def test_the_collector_goes_on_after_it_was_held_off() -> None:
    with without_collecting():
        assert not gc.isenabled()

    assert gc.isenabled()
