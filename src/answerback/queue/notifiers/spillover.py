"""Notifications of a process that works, and is not the only one."""

from collections.abc import Callable

from answerback.queue.notifier import Notifier, Topic


class SpilloverNotifier:
    """Implements `Notifier`: notifies `own`, and `others` of what this process has no room for. A cancelled job is
    stopped whichever of them runs it."""

    def __init__(self, own: Notifier, others: Notifier, full: Callable[[Topic], bool]) -> None:
        self._own = own
        self._others = others
        self._full = full

    def wake(self, topic: Topic) -> None:
        self._own.wake(topic)
        if self._full(topic):
            self._others.wake(topic)

    def job_cancelled(self, job_id: str) -> None:
        self._own.job_cancelled(job_id)
        self._others.job_cancelled(job_id)
