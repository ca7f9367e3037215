"""Notifications within one process."""

import asyncio
from collections.abc import Callable
from typing import assert_never

from answerback.queue.notifier import Topic


class LocalNotifier:
    """Implements `Notifier` for worker pools in the same event loop: each waits for the event of its topic."""

    def __init__(self) -> None:
        self.jobs = asyncio.Event()
        self.deliveries = asyncio.Event()
        self._drop_job: Callable[[str], None] | None = None

    def on_job_cancelled(self, drop: Callable[[str], None]) -> None:
        """`drop` stops the run of a cancelled job."""
        self._drop_job = drop

    def wake(self, topic: Topic) -> None:
        match topic:
            case Topic.JOBS:
                self.jobs.set()
            case Topic.DELIVERIES:
                self.deliveries.set()
            case _:
                assert_never(topic)

    def job_cancelled(self, job_id: str) -> None:
        if self._drop_job is not None:
            self._drop_job(job_id)
