"""Notifications of a process that both serves and works."""

from collections.abc import Callable

from answerback.queue.notifier import Notifier, Topic


class SpilloverNotifier:
    """Implements `Notifier`: wakes this process's worker pools, and other processes for a pool that is full."""

    def __init__(self, local: Notifier, remote: Notifier, full: Callable[[Topic], bool]) -> None:
        self._local = local
        self._remote = remote
        self._full = full

    def job_ready(self) -> None:
        self._local.job_ready()
        if self._full(Topic.JOBS):
            self._remote.job_ready()

    def delivery_ready(self) -> None:
        self._local.delivery_ready()
        if self._full(Topic.DELIVERIES):
            self._remote.delivery_ready()

    def job_cancelled(self, job_id: str) -> None:
        self._local.job_cancelled(job_id)
        if self._full(Topic.DELIVERIES):
            self._remote.delivery_ready()
