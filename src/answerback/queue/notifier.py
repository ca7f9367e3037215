"""Notifications: a worker pool need not wait for its next poll."""

from enum import StrEnum
from typing import Protocol


class Topic(StrEnum):
    """The rows that a notification is about, and so the worker pool that it wakes."""

    JOBS = "jobs"
    DELIVERIES = "deliveries"


class Notifier(Protocol):
    """Wakes worker pools. A lost notification costs latency, never a job: worker pools also poll.

    Every method returns at once and never raises.
    """

    def wake(self, topic: Topic) -> None:
        """Rows may be due: called after the commit that made one so."""

    def job_cancelled(self, job_id: str) -> None:
        """Stops the run of a job, where that can be reached."""
