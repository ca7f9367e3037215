"""A Celery worker whose tasks are notifications: each wakes the worker pools in another thread of the same process."""

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

from celery import Celery
from celery.apps.worker import Worker
from celery.concurrency.thread import TaskPool
from celery.events.dispatcher import EventDispatcher
from celery.worker import state
from celery.worker.consumer.connection import Connection
from celery.worker.consumer.consumer import Consumer, Evloop
from celery.worker.consumer.control import Control
from celery.worker.consumer.events import Events
from celery.worker.consumer.heart import Heart
from celery.worker.consumer.tasks import Tasks
from kombu.exceptions import KombuError

from answerback.kernel.log import Log
from answerback.queue.notifier import Topic
from answerback.queue.notifiers.celery_broker import configure, host_of, task_name
from answerback.queue.notifiers.remote import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, MEANWHILE

LEAVE_SECONDS = 3.0
"""From the request to stop until the process ends without Celery, which a dead broker would hold for ever."""
LEAST_LEAVE_SECONDS = 0.3
"""Celery gets at least this long to leave its broker, however long the worker pools took to stop."""


class Work(Protocol):
    """The worker pools in a thread of their own."""

    def start(self, ended: Callable[[], None]) -> None:
        """Returns once they run. `ended` is called from their thread when they have stopped, for whatever reason.
        Raises SystemExit when they cannot start."""

    def begin_stop(self) -> None:
        """Safe to call from any thread and signal handler, any number of times."""

    def wake(self, topic: Topic) -> None:
        """Returns when the topic's worker pool has room for another claim, or stops."""

    def join(self) -> int:
        """Waits for the end; returns the exit code."""


class NotifiedWorker(Worker):
    """Celery's worker; the worker pools start before its first message and stop after its last."""

    exitcode: int | None

    def __init__(self, app: Celery | None = None, **options: Any) -> None:
        # Mingle and gossip exchange revoked tasks and logical clocks, of which notifications have none.
        super().__init__(app, **{**options, "without_mingle": True, "without_gossip": True})

    def on_init_blueprint(self) -> None:
        if self.pool_cls is not TaskPool:
            raise SystemExit("answerback: a worker holds its jobs in one event loop: run Celery with -P threads")
        super().on_init_blueprint()

    def setup_logging(self, colorize: bool | None = None) -> bool:  # noqa: ARG002
        """True: logging is set up already."""
        return True

    def install_platform_tweaks(self, worker: Worker) -> None:  # noqa: ARG002
        # Celery's handlers would end in a cold shutdown at the second signal, with nothing given back.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._asked_to_stop)

    def start(self) -> None:
        work: Work = self.app.work
        self._asked_at: float | None = None
        self.install_platform_tweaks(self)
        work.start(ended=self._work_ended)
        try:
            super().start()
        finally:
            work.begin_stop()
            code = work.join()
            self.exitcode = self.exitcode or code

    def _asked_to_stop(self, *_: object) -> None:
        self._asked_at = self._asked_at or time.monotonic()
        self.app.work.begin_stop()
        state.should_stop = os.EX_OK

    def _work_ended(self) -> None:
        state.should_stop = os.EX_OK
        # A daemon thread: it does not outlive a Celery that ends in time.
        since = time.monotonic() - self._asked_at if self._asked_at else 0.0
        leaving = threading.Timer(max(LEAST_LEAVE_SECONDS, LEAVE_SECONDS - since), self._leave)
        leaving.daemon = True
        leaving.start()

    def _leave(self) -> None:
        self.app.journal.warning("broker_not_left", note="Celery hangs on its broker; the process ends without it")
        os._exit(self.app.work.join())


class NotifiedConsumer(Consumer):
    """Celery's consumer, without the thirty queues that it would make on RabbitMQ for tasks with an ETA."""

    class Blueprint(Consumer.Blueprint):
        default_steps = (Connection, Events, Heart, Control, Tasks, Evloop)

    outage_logged: bool = False

    def ensure_connected(self, connection: Any) -> Any:
        # Celery's own waits grow to half a minute, and it logs an error for each.
        return connection.ensure_connection(
            self._unavailable,
            interval_start=FIRST_RETRY_SECONDS,
            interval_step=FIRST_RETRY_SECONDS,
            interval_max=LONGEST_RETRY_SECONDS,
            callback=state.maybe_shutdown,
        )

    def on_connection_error_before_connected(self, error: Exception) -> None:
        # Such as a wrong password, which kombu does not retry by itself.
        self._unavailable(error, LONGEST_RETRY_SECONDS)
        for _ in range(int(LONGEST_RETRY_SECONDS)):
            state.maybe_shutdown()
            time.sleep(1)

    def _unavailable(self, error: Exception, interval: float) -> None:  # noqa: ARG002
        if not self.outage_logged:
            reason = f"{type(error).__name__} at {host_of(self.app.conf.broker_url)}"
            self.app.journal.warning("notifier_unavailable", reason=reason, note=MEANWHILE)
        self.outage_logged = True

    def on_ready(self) -> None:
        super().on_ready()
        self.outage_logged = False
        self.app.journal.info("notifications_awaited")


class ImpatientDispatcher(EventDispatcher):
    """Sends Celery's monitoring events without ever waiting for the broker, which would block the consumer's thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "buffer_while_offline": False})

    def send(self, type: str, *arguments: Any, **options: Any) -> None:
        try:
            super().send(type, *arguments, **{**options, "retry": False})
        except (OSError, KombuError, *self.connection.connection_errors):
            # The last event of a worker whose broker is gone needs no traceback.
            if type != "worker-offline":
                raise


class NotifiedApp(Celery):
    """The Celery application, with a task for each topic that wakes `work`."""

    def __init__(self, broker_url: str, work: Work, log: Log) -> None:
        super().__init__("answerback", set_as_current=False)
        configure(self, broker_url)
        self.conf.worker_consumer = NotifiedConsumer
        self.events.dispatcher_cls = ImpatientDispatcher
        self.work = work
        self.journal = log
        for topic in Topic:
            self.task(_task(work, topic), name=task_name(topic))

    @cached_property
    def Worker(self) -> type[NotifiedWorker]:  # noqa: N802 (Celery's name)
        worker: type[NotifiedWorker] = self.subclass_with_self(NotifiedWorker)
        return worker


def _task(work: Work, topic: Topic) -> Callable[[], None]:
    def wake() -> None:
        work.wake(topic)

    return wake
