"""A worker in a thread of its own: what it says at its start, and a message that reaches it while it stops."""

import asyncio
from pathlib import Path

import pytest

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


def test_the_start_names_the_database_and_what_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = tmp_path / "answerback.db"
    work = WorkerThread(Settings(_env_file=None, database_url=f"sqlite:///{database}", mock_mode=True))  # type: ignore[arg-type]

    work.start()
    work.begin_stop()
    work.join()

    (line,) = [line for line in capsys.readouterr().out.splitlines() if " working " in line]
    assert line.endswith(f"database={database} provider=mock model=mock mock=true")
