"""A process that both serves and works wakes itself, and others for a worker pool that is full."""

from answerback.queue.notifier import Topic
from answerback.queue.notifiers.local import LocalNotifier
from answerback.queue.notifiers.spillover import SpilloverNotifier
from builders import Notifier


def test_a_process_with_room_notifies_no_other() -> None:
    local, remote = Notifier(), Notifier()
    notifier = SpilloverNotifier(local, remote, full=lambda _: False)

    notifier.job_ready()
    notifier.delivery_ready()
    notifier.job_cancelled("job_1")

    assert (local.jobs, local.deliveries) == (2, 1)
    assert (remote.jobs, remote.deliveries) == (0, 0)


def test_a_process_notifies_others_for_a_full_worker_pool() -> None:
    local, remote = LocalNotifier(), Notifier()
    notifier = SpilloverNotifier(local, remote, full=lambda topic: topic is Topic.JOBS)

    notifier.job_ready()
    notifier.delivery_ready()

    assert (remote.jobs, remote.deliveries) == (1, 0)
    assert local.jobs.is_set()
    assert local.deliveries.is_set()
