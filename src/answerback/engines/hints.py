"""Hints within one process: events that its lanes wait on."""

import asyncio
from collections.abc import Callable


class ProcessHints:
    """Implements `answerback.ports.Hints` for an engine in the same event loop."""

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
