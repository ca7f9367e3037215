"""Notifications to other processes travel in few messages, and a transport that hangs or fails delays nothing else."""

import threading
import time
from collections.abc import Iterator
from queue import Queue

import pytest
from exposed import counted

from answerback.kernel.instruments import Instruments
from answerback.observability.metrics import PrometheusMetrics
from answerback.queue.notifier import Topic
from answerback.queue.notifiers.remote import RemoteNotifier, TransportUnavailable
from builders import Journal

PATIENCE = 20.0


class ScriptedTransport:
    """Implements `Transport`: sends while it is `open`, hangs while not; raises `trouble` if there is some."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.called = threading.Semaphore(0)
        self.trouble: Exception | None = None
        self.sent: Queue[tuple[Topic, int]] = Queue()
        self.closed = threading.Event()

    def send(self, topic: Topic, rows: int) -> None:
        self.called.release()
        assert self.open.wait(PATIENCE)
        if self.trouble is not None:
            raise self.trouble
        self.sent.put((topic, rows))

    def close(self) -> None:
        self.closed.set()

    def next(self) -> tuple[Topic, int]:
        return self.sent.get(timeout=PATIENCE)

    def until_called(self) -> None:
        assert self.called.acquire(timeout=PATIENCE)


class LoudJournal(Journal):
    """Lets a test wait for a line that another thread logs."""

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
def transport() -> ScriptedTransport:
    return ScriptedTransport()


@pytest.fixture
def loud() -> LoudJournal:
    return LoudJournal()


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


@pytest.fixture
def notifier(transport: ScriptedTransport, loud: LoudJournal, metrics: PrometheusMetrics) -> Iterator[RemoteNotifier]:
    """Connected: its first message has gone out."""
    made = RemoteNotifier(transport, Instruments(loud, metrics=metrics))
    made.start()
    assert transport.next() == (Topic.JOBS, 1)
    transport.until_called()
    yield made
    transport.open.set()
    made.close()


def test_a_notification_is_sent_under_its_topic(notifier: RemoteNotifier, transport: ScriptedTransport) -> None:
    notifier.wake(Topic.JOBS)
    assert transport.next() == (Topic.JOBS, 1)

    notifier.wake(Topic.DELIVERIES)
    assert transport.next() == (Topic.DELIVERIES, 1)


def test_notifications_given_while_the_transport_is_busy_travel_together(
    notifier: RemoteNotifier, transport: ScriptedTransport
) -> None:
    transport.open.clear()
    notifier.wake(Topic.DELIVERIES)
    transport.until_called()

    for _ in range(1000):
        notifier.wake(Topic.JOBS)
    transport.open.set()

    assert transport.next() == (Topic.DELIVERIES, 1)
    assert transport.next() == (Topic.JOBS, 1000)


def test_a_transport_that_hangs_holds_up_neither_notifications_nor_the_end(
    notifier: RemoteNotifier, transport: ScriptedTransport
) -> None:
    transport.open.clear()
    notifier.wake(Topic.JOBS)
    transport.until_called()

    began = time.monotonic()
    for _ in range(1000):
        notifier.wake(Topic.JOBS)
    notifier.close()
    assert time.monotonic() - began < PATIENCE / 2
    assert not transport.closed.is_set()


def test_the_end_sends_what_is_left_and_closes(notifier: RemoteNotifier, transport: ScriptedTransport) -> None:
    transport.open.clear()
    notifier.wake(Topic.JOBS)
    transport.until_called()
    notifier.wake(Topic.DELIVERIES)
    transport.open.set()

    notifier.close()

    assert transport.closed.is_set()
    assert [transport.next(), transport.next()] == [(Topic.JOBS, 1), (Topic.DELIVERIES, 1)]


def test_an_outage_is_logged_once_and_counted_and_its_end_is_found(
    notifier: RemoteNotifier, transport: ScriptedTransport, loud: LoudJournal, metrics: PrometheusMetrics
) -> None:
    transport.trouble = TransportUnavailable("ConnectionRefusedError")
    for _ in range(3):
        notifier.wake(Topic.JOBS)
        transport.until_called()

    transport.trouble = None
    while transport.sent.empty():
        notifier.wake(Topic.JOBS)
        transport.until_called()

    assert [loud.said.get(timeout=PATIENCE), loud.said.get(timeout=PATIENCE)] == [
        "notifier_unavailable",
        "notifier_available",
    ]
    assert loud.said.empty()
    assert counted(metrics, "answerback_notifications_dropped_total") >= 3


def test_a_fault_in_sending_ends_nothing(
    notifier: RemoteNotifier, transport: ScriptedTransport, loud: LoudJournal
) -> None:
    transport.trouble = ZeroDivisionError("in send")
    notifier.wake(Topic.JOBS)
    transport.until_called()
    assert loud.said.get(timeout=PATIENCE) == "notifier_unavailable"

    transport.trouble = None
    notifier.wake(Topic.JOBS)

    assert transport.next() == (Topic.JOBS, 1)
    assert "notifying_broke" in loud.events
