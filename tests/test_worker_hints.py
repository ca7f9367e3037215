"""What a worker's threads may still ask of it while it ends."""

import asyncio

from answerback.bootstrap.worker import Work
from answerback.queue.notifiers.local import Kind
from answerback.settings import Settings


class Full:
    """A service that has no room."""

    async def wake(self, kind: Kind) -> None:
        await asyncio.Event().wait()


def test_a_hint_that_comes_as_the_loop_ends_is_taken_quietly() -> None:
    """Whoever gave it hears nothing of it: an error would be told as the broker's."""
    work = Work(Settings(_env_file=None))
    work._started.set_result(Full())  # type: ignore[arg-type]

    with asyncio.Runner() as runner:
        work._loop = runner.get_loop()
        work.wake(Kind.JOBS)
        runner.run(asyncio.sleep(0))
