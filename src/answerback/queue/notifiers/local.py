"""Notifier within one process: events that its pools wait on, and messages for what it has no room for."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

from answerback.queue.notifier import Notifier


class Kind(StrEnum):
    """What may be due: the pool that a hint is for."""

    JOBS = "jobs"
    DELIVERIES = "deliveries"


class LocalNotifier:
    """Implements `Notifier` for an engine in the same event loop."""

    def __init__(self) -> None:
        self.jobs = asyncio.Event()
        self.deliveries = asyncio.Event()
        self._drop_job: Callable[[str], None] | None = None

    def on_job_cancelled(self, drop: Callable[[str], None]) -> None:
        """Names who stops a running job."""
        self._drop_job = drop

    def job_ready(self) -> None:
        self.jobs.set()

    def delivery_ready(self) -> None:
        self.deliveries.set()

    def job_cancelled(self, job_id: str) -> None:
        if self._drop_job is not None:
            self._drop_job(job_id)
        self.jobs.set()
        self.deliveries.set()


class SpilloverNotifier:
    """Implements `Notifier` for doors whose process works too: what it has room for it takes itself, and
    for the rest it calls on others."""

    def __init__(self, here: Notifier, elsewhere: Notifier, full: Callable[[Kind], bool]) -> None:
        self._here = here
        self._elsewhere = elsewhere
        self._full = full

    def job_ready(self) -> None:
        self._here.job_ready()
        if self._full(Kind.JOBS):
            self._elsewhere.job_ready()

    def delivery_ready(self) -> None:
        self._here.delivery_ready()
        if self._full(Kind.DELIVERIES):
            self._elsewhere.delivery_ready()

    def job_cancelled(self, job_id: str) -> None:
        self._here.job_cancelled(job_id)
        if self._full(Kind.DELIVERIES):
            self._elsewhere.delivery_ready()
