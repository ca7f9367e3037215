"""Notifier to other processes, as messages that cost whoever gives them next to nothing."""

import threading
from collections import Counter
from typing import Protocol

from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, Metrics
from answerback.queue.notifiers.local import Kind

PAUSE_SECONDS = 0.02
"""The least time between two rounds: under load one message stands for all notifications since the last."""
ROWS_PER_MESSAGE = 25
MESSAGES_AT_ONCE = 8
"""A message wakes one worker, which claims all it has room for; a burst wakes several, which share it."""
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0
CLOSE_SECONDS = 1.0
MEANWHILE = "workers find what is due by polling"


class BrokerUnavailable(Exception):
    """The broker did not take a message; the text names the kind of trouble and the place."""


class Broker(Protocol):
    """Where messages go. Each method may block for some seconds; all are called by one thread."""

    def send(self, kind: Kind, messages: int) -> None:
        """Raises BrokerUnavailable, after which the next call connects anew."""

    def close(self) -> None: ...


class Publisher:
    """Implements `Notifier` with a thread that sends what was hinted at, many rows in one message.

    While the broker is away notifications are dropped: workers also poll.
    """

    def __init__(self, broker: Broker, log: Log, metrics: Metrics = UNMEASURED) -> None:
        self._broker = broker
        self._log = log
        self._metrics = metrics
        self._lock = threading.Lock()
        # The first message goes out at once, so that the connection is there before anybody waits for it.
        self._hinted = Counter({Kind.JOBS: 1})
        self._woken = threading.Event()
        self._woken.set()
        self._closing = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Sends what is left if the broker takes it within a second; blocks no longer than that."""
        self._closing.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def job_ready(self) -> None:
        self._hint(Kind.JOBS)

    def delivery_ready(self) -> None:
        self._hint(Kind.DELIVERIES)

    def job_cancelled(self, job_id: str) -> None:  # noqa: ARG002
        # Whoever runs it learns of it by the next heartbeat.
        self._hint(Kind.JOBS)
        self._hint(Kind.DELIVERIES)

    def _hint(self, kind: Kind) -> None:
        with self._lock:
            self._hinted[kind] += 1
        if not self._woken.is_set():
            self._woken.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._woken.wait()
            self._woken.clear()
            self._closing.wait(self._round())
        if not self._failures:
            self._round()
        self._broker.close()

    def _round(self) -> float:
        """Sends what was hinted at; returns the seconds until the next round."""
        with self._lock:
            hinted, self._hinted = self._hinted, Counter()
        try:
            for kind, rows in hinted.items():
                self._broker.send(kind, min(-(-rows // ROWS_PER_MESSAGE), MESSAGES_AT_ONCE))
        except BrokerUnavailable as error:
            return self._failed(hinted.total(), str(error))
        except Exception as error:  # noqa: BLE001 - without this thread, no hint would ever be sent again
            self._log.exception("publishing_broke")
            return self._failed(hinted.total(), type(error).__name__)
        if self._failures and hinted:
            self._failures = 0
            self._log.info("broker_reached")
        return PAUSE_SECONDS

    def _failed(self, rows: int, reason: str) -> float:
        self._metrics.notifications_dropped(rows)
        if self._failures == 0:
            self._log.warning("broker_unavailable", reason=reason, note=MEANWHILE)
        self._failures += 1
        return min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures - 1, 8))
