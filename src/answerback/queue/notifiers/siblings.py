"""Notifications between the processes of one `serve`."""

from collections.abc import Callable

from answerback.queue.notifier import Notifier, Topic
from answerback.siblings.link import Link


class SiblingNotifier:
    """Implements `Notifier`: notifies `own`, and siblings of what this process has no room for. A cancelled job is
    stopped at once, whichever of them runs it."""

    def __init__(self, own: Notifier, link: Link, full: Callable[[Topic], bool]) -> None:
        self._own = own
        self._link = link
        self._full = full

    def job_ready(self) -> None:
        self._own.job_ready()
        if self._full(Topic.JOBS):
            self._link.wake(Topic.JOBS)

    def delivery_ready(self) -> None:
        self._own.delivery_ready()
        if self._full(Topic.DELIVERIES):
            self._link.wake(Topic.DELIVERIES)

    def job_cancelled(self, job_id: str) -> None:
        self._own.job_cancelled(job_id)
        self._link.cancelled(job_id)
