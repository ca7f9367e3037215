"""A process wakes its siblings for a worker pool that is full, and a cancelled job is stopped wherever it runs."""

import pytest

from answerback.queue.notifier import Topic
from answerback.queue.notifiers.siblings import SiblingNotifier
from builders import Notifier


class Sent:
    """Stands in for the link to siblings."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def wake(self, topic: str) -> None:
        self.messages.append(topic)

    def cancelled(self, job_id: str) -> None:
        self.messages.append(job_id)


@pytest.mark.parametrize(("full", "sent"), [(None, []), (Topic.JOBS, ["jobs"]), (Topic.DELIVERIES, ["deliveries"])])
def test_siblings_are_woken_for_a_full_worker_pool(full: Topic | None, sent: list[str]) -> None:
    own, link = Notifier(), Sent()
    notifier = SiblingNotifier(own, link, full=lambda topic: topic is full)

    notifier.job_ready()
    notifier.delivery_ready()

    assert (own.jobs, own.deliveries) == (1, 1)
    assert link.messages == sent


def test_siblings_learn_of_every_cancelled_job() -> None:
    link = Sent()
    notifier = SiblingNotifier(Notifier(), link, full=lambda _: False)

    notifier.job_cancelled("job_1")

    assert link.messages == ["job_1"]
