"""Work goes on when its caller gives up, and its error then is nobody's."""

import asyncio
import gc

import pytest

from answerback.kernel.shielded import shielded


class Work:
    """Ends at `end` with 1, or with its `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.end = asyncio.Event()

    async def run(self) -> int:
        await self.end.wait()
        if self._error is not None:
            raise self._error
        return 1


async def waiting(work: asyncio.Future[int]) -> asyncio.Task[int]:
    """A caller that waits by now."""

    async def wait() -> int:
        return await shielded(work)

    caller = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return caller


async def test_the_other_callers_get_its_result() -> None:
    work = Work()
    running = asyncio.ensure_future(work.run())
    gives_up, stays = await waiting(running), await waiting(running)

    gives_up.cancel()
    work.end.set()

    assert await stays == 1


async def test_its_error_is_the_callers() -> None:
    work = Work(ValueError("no"))
    work.end.set()

    with pytest.raises(ValueError, match="no"):
        await shielded(asyncio.ensure_future(work.run()))


async def test_an_error_that_nobody_waits_for_any_more_is_not_logged() -> None:
    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    work = Work(ValueError("no"))
    running = asyncio.ensure_future(work.run())
    caller = await waiting(running)
    caller.cancel()
    await asyncio.wait([caller])
    work.end.set()

    await asyncio.wait([running])
    del running
    gc.collect()

    assert logged == []
