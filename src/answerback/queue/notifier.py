"""Telling a worker pool that a row may be due."""

from typing import Protocol


class Notifier(Protocol):
    """Tells an engine that a row may be due. A lost hint costs latency, never a job."""

    def job_ready(self) -> None: ...

    def delivery_ready(self) -> None: ...

    def job_cancelled(self, job_id: str) -> None: ...
