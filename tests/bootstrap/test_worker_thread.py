"""A message that reaches a worker while it stops."""

import asyncio

from answerback.bootstrap.worker import WorkerThread
from answerback.queue.notifier import Topic
from answerback.settings import Settings


class Full:
    """A service whose worker pools have no room."""

    async def wake(self, topic: Topic) -> None:
        await asyncio.Event().wait()


def test_a_wake_that_comes_as_the_loop_ends_raises_nothing() -> None:
    """Celery would log an error as a failed task."""
    work = WorkerThread(Settings(_env_file=None))
    work._started.set_result(Full())  # type: ignore[arg-type]

    with asyncio.Runner() as runner:
        work._loop = runner.get_loop()
        work.wake(Topic.JOBS)
        runner.run(asyncio.sleep(0))
