"""What is counted in memory is written every so often, and at the end, which waits for no database."""

import asyncio

import pytest

from answerback.kernel import late_writes
from answerback.kernel.late_writes import LateWrites


async def test_it_is_written_again_and_again() -> None:
    written = asyncio.Semaphore(0)

    async def write() -> None:
        written.release()

    writes = LateWrites(write, 0.001)
    writes.start()
    async with asyncio.timeout(5):
        for _ in range(3):
            await written.acquire()
    await writes.close()


async def test_what_is_left_is_written_at_the_end() -> None:
    written = 0

    async def write() -> None:
        nonlocal written
        written += 1

    writes = LateWrites(write, 3_600.0)
    writes.start()

    assert await writes.close()
    assert written == 1


async def test_an_end_does_not_wait_for_a_database_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_writes, "LAST_SECONDS", 0.01)

    async def write() -> None:
        await asyncio.Event().wait()

    writes = LateWrites(write, 3_600.0)
    writes.start()

    assert not await writes.close()
