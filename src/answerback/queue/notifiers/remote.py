"""Notifications to other processes."""

import threading
from collections import Counter
from typing import Protocol

from answerback.kernel.instruments import Instruments
from answerback.queue.notifier import Topic

PAUSE_SECONDS = 0.02
"""The least time between two rounds: under load one message stands for every notification since the last round."""
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0
CLOSE_SECONDS = 1.0
MEANWHILE = "workers find due rows by polling"


class TransportUnavailable(Exception):
    """The transport did not take a message; the text says why, and which server it is."""


class Transport(Protocol):
    """Carries messages to other processes. Each method may block for some seconds; one thread calls them all."""

    def send(self, topic: Topic, rows: int) -> None:
        """Announces that so many rows may be due. Raises TransportUnavailable; the next call connects anew."""

    def close(self) -> None: ...


class Listener(Protocol):
    """Wakes worker pools of this process, in their event loop, when another process notifies it."""

    def start(self) -> None: ...

    async def close(self) -> None: ...


class RemoteNotifier:
    """Implements `Notifier` with a thread that sends what has gathered since its last round.

    While the transport is away notifications are dropped, and counted.
    """

    def __init__(self, transport: Transport, instruments: Instruments) -> None:
        self._transport = transport
        self._log = instruments.log
        self._metrics = instruments.metrics
        self._lock = threading.Lock()
        # The first message goes out at once, so that the connection is there before the first row.
        self._pending = Counter({Topic.JOBS: 1})
        self._woken = threading.Event()
        self._woken.set()
        self._closing = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Sends what is left if the transport takes it within a second; blocks no longer than that."""
        self._closing.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def wake(self, topic: Topic) -> None:
        with self._lock:
            self._pending[topic] += 1
        if not self._woken.is_set():
            self._woken.set()

    def job_cancelled(self, job_id: str) -> None:
        """Sends nothing: a worker that runs the job learns of it by its next heartbeat."""

    def _run(self) -> None:
        while not self._closing.is_set():
            self._woken.wait()
            self._woken.clear()
            self._closing.wait(self._send_pending())
        if not self._failures:
            self._send_pending()
        self._transport.close()

    def _send_pending(self) -> float:
        """Returns the seconds until the next round."""
        with self._lock:
            pending, self._pending = self._pending, Counter()
        try:
            for topic, rows in pending.items():
                self._transport.send(topic, rows)
        except TransportUnavailable as error:
            return self._failed(pending.total(), str(error))
        except Exception as error:  # noqa: BLE001 - without this thread, no notification would ever be sent again
            self._log.exception("notifying_broke")
            return self._failed(pending.total(), type(error).__name__)
        if self._failures and pending:
            self._failures = 0
            self._log.info("notifier_available")
        return PAUSE_SECONDS

    def _failed(self, rows: int, reason: str) -> float:
        self._metrics.notifications_dropped(rows)
        if self._failures == 0:
            self._log.warning("notifier_unavailable", reason=reason, note=MEANWHILE)
        self._failures += 1
        return min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures - 1, 8))
