"""A process that works wakes itself, and others for a worker pool that is full; a cancelled job is stopped wherever it
runs."""

import pytest

from answerback.queue.notifier import Topic
from answerback.queue.notifiers.local import LocalNotifier
from answerback.queue.notifiers.spillover import SpilloverNotifier
from builders import Notifier


def test_a_process_with_room_wakes_no_other() -> None:
    own, others = Notifier(), Notifier()
    notifier = SpilloverNotifier(own, others, full=lambda _: False)

    notifier.wake(Topic.JOBS)
    notifier.wake(Topic.DELIVERIES)

    assert (own.jobs, own.deliveries) == (1, 1)
    assert (others.jobs, others.deliveries) == (0, 0)


@pytest.mark.parametrize(("full", "woken"), [(Topic.JOBS, (1, 0)), (Topic.DELIVERIES, (0, 1))])
def test_a_process_wakes_others_for_a_full_worker_pool(full: Topic, woken: tuple[int, int]) -> None:
    local, others = LocalNotifier(), Notifier()
    notifier = SpilloverNotifier(local, others, full=lambda topic: topic is full)

    notifier.wake(Topic.JOBS)
    notifier.wake(Topic.DELIVERIES)

    assert (others.jobs, others.deliveries) == woken
    assert local.jobs.is_set()
    assert local.deliveries.is_set()


def test_all_learn_of_every_cancelled_job_whatever_room_there_is() -> None:
    own, others = Notifier(), Notifier()
    notifier = SpilloverNotifier(own, others, full=lambda _: False)

    notifier.job_cancelled("job_1")

    assert (own.cancelled, others.cancelled) == (["job_1"], ["job_1"])
