"""Notifications: a worker pool need not wait for its next poll."""

from enum import StrEnum
from typing import Protocol


class Topic(StrEnum):
    """The rows that a notification is about, and so the worker pool that it wakes."""

    JOBS = "jobs"
    DELIVERIES = "deliveries"


class Notifier(Protocol):
    """Says that a row may be due. A lost notification costs latency, never a job: worker pools also poll.

    Called after the commit that made the row due. Every method returns at once and never raises.
    """

    def job_ready(self) -> None: ...

    def delivery_ready(self) -> None: ...

    def job_cancelled(self, job_id: str) -> None: ...
