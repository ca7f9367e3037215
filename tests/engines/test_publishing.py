"""Notifier to other processes: few messages for many notifier, and a broker that hangs or dies hinders nobody."""

import threading
import time
from collections.abc import Iterator
from queue import Queue

import pytest

from answerback.observability.metrics import PrometheusMetrics
from answerback.queue.notifiers import publisher as publishing
from answerback.queue.notifiers.local import Kind, LocalNotifier, SpilloverNotifier
from answerback.queue.notifiers.publisher import BrokerUnavailable, Publisher
from builders import Journal, Notifier

PATIENCE = 20.0


class ScriptedBroker:
    """Takes messages while it is `open`, hangs while not; raises `trouble` if there is some."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.called = threading.Semaphore(0)
        self.trouble: Exception | None = None
        self.sent: Queue[tuple[Kind, int]] = Queue()
        self.closed = threading.Event()

    def send(self, kind: Kind, messages: int) -> None:
        self.called.release()
        assert self.open.wait(PATIENCE)
        if self.trouble is not None:
            raise self.trouble
        self.sent.put((kind, messages))

    def close(self) -> None:
        self.closed.set()

    def next(self) -> tuple[Kind, int]:
        return self.sent.get(timeout=PATIENCE)

    def until_called(self) -> None:
        assert self.called.acquire(timeout=PATIENCE)


class LoudJournal(Journal):
    """Lets another thread's test wait for a line."""

    def __init__(self) -> None:
        super().__init__()
        self.said: Queue[str] = Queue()

    def info(self, event: str, /, **fields: object) -> None:
        super().info(event, **fields)
        self.said.put(event)

    def warning(self, event: str, /, **fields: object) -> None:
        super().warning(event, **fields)
        self.said.put(event)


@pytest.fixture
def broker() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def loud() -> LoudJournal:
    return LoudJournal()


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


@pytest.fixture
def publisher(broker: ScriptedBroker, loud: LoudJournal, metrics: PrometheusMetrics) -> Iterator[Publisher]:
    """Connected: its first message has gone out."""
    made = Publisher(broker, loud, metrics)
    made.start()
    assert broker.next() == (Kind.JOBS, 1)
    broker.until_called()
    yield made
    broker.open.set()
    made.close()


def dropped(metrics: PrometheusMetrics) -> float:
    (line,) = [
        line
        for line in metrics.exposition(None).decode().splitlines()
        if line.startswith("answerback_hints_dropped_total ")
    ]
    return float(line.split()[1])


def test_a_hint_becomes_a_message_of_its_kind(publisher: Publisher, broker: ScriptedBroker) -> None:
    publisher.job_ready()
    assert broker.next() == (Kind.JOBS, 1)

    publisher.delivery_ready()
    assert broker.next() == (Kind.DELIVERIES, 1)


def test_a_cancellation_tells_of_the_next_in_line_and_of_the_callback(
    publisher: Publisher, broker: ScriptedBroker
) -> None:
    publisher.job_cancelled("job_1")

    assert {broker.next(), broker.next()} == {(Kind.JOBS, 1), (Kind.DELIVERIES, 1)}


@pytest.mark.parametrize(("notifier", "messages"), [(2, 1), (25, 1), (26, 2), (60, 3), (10_000, 8)])
def test_hints_given_while_the_broker_is_busy_travel_in_few_messages(
    notifier: int, messages: int, publisher: Publisher, broker: ScriptedBroker
) -> None:
    broker.open.clear()
    publisher.delivery_ready()
    broker.until_called()

    for _ in range(notifier):
        publisher.job_ready()
    broker.open.set()

    assert broker.next() == (Kind.DELIVERIES, 1)
    assert broker.next() == (Kind.JOBS, messages)


def test_a_broker_that_hangs_holds_up_neither_hints_nor_the_end(publisher: Publisher, broker: ScriptedBroker) -> None:
    broker.open.clear()
    publisher.job_ready()
    broker.until_called()

    began = time.monotonic()
    for _ in range(1000):
        publisher.job_ready()
    assert time.monotonic() - began < 0.5

    publisher.close()
    assert time.monotonic() - began < publishing.CLOSE_SECONDS + 1
    assert not broker.closed.is_set()


def test_the_end_sends_what_is_left_and_closes(publisher: Publisher, broker: ScriptedBroker) -> None:
    broker.open.clear()
    publisher.job_ready()
    broker.until_called()
    publisher.delivery_ready()
    broker.open.set()

    publisher.close()

    assert broker.closed.is_set()
    assert [broker.next(), broker.next()] == [(Kind.JOBS, 1), (Kind.DELIVERIES, 1)]


def test_a_broker_that_is_away_is_told_of_once_and_found_again(
    publisher: Publisher, broker: ScriptedBroker, loud: LoudJournal, metrics: PrometheusMetrics
) -> None:
    broker.trouble = BrokerUnavailable("ConnectionRefusedError")
    for _ in range(3):
        publisher.job_ready()
        broker.until_called()

    broker.trouble = None
    while broker.sent.empty():
        publisher.job_ready()
        broker.until_called()

    assert [loud.said.get(timeout=PATIENCE), loud.said.get(timeout=PATIENCE)] == [
        "broker_unavailable",
        "broker_reached",
    ]
    assert loud.said.empty()
    assert dropped(metrics) >= 3


def test_a_fault_in_sending_ends_nothing(publisher: Publisher, broker: ScriptedBroker, loud: LoudJournal) -> None:
    broker.trouble = ZeroDivisionError("in send")
    publisher.job_ready()
    broker.until_called()
    assert loud.said.get(timeout=PATIENCE) == "broker_unavailable"

    broker.trouble = None
    publisher.job_ready()

    assert broker.next() == (Kind.JOBS, 1)
    assert "publishing_broke" in loud.events


def test_a_process_with_room_keeps_its_hints_to_itself() -> None:
    here, elsewhere = Notifier(), Notifier()
    notifier = SpilloverNotifier(here, elsewhere, full=lambda _: False)

    notifier.job_ready()
    notifier.delivery_ready()
    notifier.job_cancelled("job_1")

    assert (here.jobs, here.deliveries) == (2, 1)
    assert (elsewhere.jobs, elsewhere.deliveries) == (0, 0)


def test_a_full_process_calls_on_others_for_what_it_has_no_room_for() -> None:
    here, elsewhere = LocalNotifier(), Notifier()
    notifier = SpilloverNotifier(here, elsewhere, full=lambda kind: kind is Kind.JOBS)

    notifier.job_ready()
    notifier.delivery_ready()

    assert (elsewhere.jobs, elsewhere.deliveries) == (1, 0)
    assert here.jobs.is_set()
    assert here.deliveries.is_set()
