"""Work that is done again and again."""

import asyncio

from answerback.kernel.repeated import Repeated


async def test_work_is_done_at_the_start_and_again_until_it_is_closed() -> None:
    done, enough = 0, asyncio.Event()

    async def work() -> float:
        nonlocal done
        done += 1
        if done == 3:
            enough.set()
            return 3600.0
        return 0.0

    repeated = Repeated(work)
    repeated.start()
    await enough.wait()
    await repeated.close()

    assert done == 3


async def test_what_was_never_started_can_be_closed() -> None:
    await Repeated(lambda: asyncio.sleep(0, 0.0)).close()
