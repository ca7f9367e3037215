"""What a supervisor does for its processes, without processes."""

from typing import Any

import pytest

from answerback.accounts.ratelimit import MovingWindows
from answerback.observability.summing import Figures
from answerback.siblings.hub import REPORT_SECONDS, Hub
from answerback.siblings.messages import Decoder, Message
from answerback.testing.clock import FakeClock


class Processes:
    """Numbered processes of a hub, and what each has received since it was last looked at."""

    def __init__(self, hub: Hub, *numbers: int) -> None:
        self._received: dict[int, list[Message]] = {}
        for number in numbers:
            self._received[number] = []
            hub.join(number, lambda data, number=number: self._received[number].extend(Decoder().feed(data)))

    def received(self, number: int) -> list[Message]:
        taken, self._received[number] = self._received[number], []
        return taken


@pytest.fixture
def hub(clock: FakeClock) -> Hub:
    return Hub(MovingWindows(clock.monotonic).count, clock.monotonic)


def jobs(count: float) -> Figures:
    return [("jobs", "Jobs.", "counter", [("jobs_total", [], count)])]


def shown(messages: list[Message]) -> float:
    """The jobs that an answer's figures count together."""
    [[name, _, *figures]] = messages
    assert name == "answer"
    samples: list[Any] = [sample for each in figures for family in each for sample in family[3]]
    return float(sum(value for _, _, value in samples))


def test_a_notification_reaches_all_others(hub: Hub) -> None:
    processes = Processes(hub, 1, 2, 3)

    hub.received(1, ["wake", "jobs"])
    hub.received(2, ["cancelled", "job_1"])

    assert processes.received(1) == [["cancelled", "job_1"]]
    assert processes.received(2) == [["wake", "jobs"]]
    assert processes.received(3) == [["wake", "jobs"], ["cancelled", "job_1"]]


def test_requests_are_counted_for_all_processes_together(hub: Hub) -> None:
    processes = Processes(hub, 1, 2)

    for ticket in range(2):
        hub.received(1, ["hit", ticket, "key", 3, 60, 1])
        hub.received(2, ["hit", ticket, "key", 3, 60, 1])

    assert [message[2:4] for message in processes.received(1)] == [[True, 2], [True, 0]]
    assert [message[2:4] for message in processes.received(2)] == [[True, 1], [False, 0]]


def test_figures_are_gathered_from_all_others(hub: Hub) -> None:
    processes = Processes(hub, 1, 2, 3)

    hub.received(1, ["sum", 5, jobs(1)])
    assert processes.received(1) == []
    assert processes.received(2) == processes.received(3) == [["report"]]
    hub.received(2, ["figures", jobs(10)])
    assert processes.received(1) == []
    hub.received(3, ["figures", jobs(100)])

    assert shown(processes.received(1)) == 110


def test_a_single_process_is_answered_at_once(hub: Hub) -> None:
    processes = Processes(hub, 1)

    hub.received(1, ["sum", 5, jobs(1)])

    assert shown(processes.received(1)) == 0


def test_what_a_process_counted_outlives_it(hub: Hub) -> None:
    processes = Processes(hub, 1, 2)
    hub.received(1, ["sum", 1, jobs(1)])
    hub.received(2, ["figures", jobs(10)])
    processes.received(1)

    hub.leave(2)
    hub.received(1, ["sum", 2, jobs(1)])
    assert shown(processes.received(1)) == 10
    Processes(hub, 2)
    hub.received(1, ["sum", 3, jobs(1)])
    hub.received(2, ["figures", jobs(5)])

    assert shown(processes.received(1)) == 15


def test_what_a_process_showed_itself_outlives_it_too(hub: Hub) -> None:
    processes = Processes(hub, 1, 2)
    hub.received(1, ["sum", 1, jobs(7)])
    hub.received(2, ["figures", jobs(0)])

    hub.leave(1)
    processes.received(2)
    hub.received(2, ["sum", 1, jobs(0)])

    assert shown(processes.received(2)) == 7


def test_a_process_that_ends_is_not_waited_for(hub: Hub) -> None:
    processes = Processes(hub, 1, 2)
    hub.received(1, ["sum", 1, jobs(1)])

    hub.leave(2)

    assert shown(processes.received(1)) == 0
    assert hub.due is None


def test_a_frozen_process_is_waited_for_a_second_and_its_last_figures_count(hub: Hub, clock: FakeClock) -> None:
    processes = Processes(hub, 1, 2)
    hub.received(1, ["sum", 1, jobs(1)])
    hub.received(2, ["figures", jobs(10)])
    processes.received(1)
    hub.received(1, ["sum", 2, jobs(1)])
    hub.expire()
    assert processes.received(1) == []
    assert hub.due == clock.monotonic() + REPORT_SECONDS

    clock.advance(REPORT_SECONDS)
    hub.expire()

    assert shown(processes.received(1)) == 10
    assert hub.due is None
