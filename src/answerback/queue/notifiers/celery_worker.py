"""A Celery worker whose tasks are notifier: each wakes the engine that runs beside Celery in the same process."""

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
from answerback.queue.notifiers.celery_broker import configure, place_of, task_of
from answerback.queue.notifiers.local import Kind
from answerback.queue.notifiers.publisher import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, MEANWHILE
from answerback.queue.notifiers.queue_repair import ensure_answering

PATIENCE_SECONDS = 3.0
"""How long Celery may take to leave its broker, besides the time that the work takes to stop: a dead broker would hold
it for ever."""
LEAST_SECONDS = 0.3


class Work(Protocol):
    """The engine in a thread of its own."""

    def start(self, ended: Callable[[], None]) -> None:
        """Returns once it works. `ended` is called from its thread when it has stopped, for whatever reason. Raises
        SystemExit when it cannot."""

    def begin_stop(self) -> None:
        """Safe to call from any thread and signal handler, any number of times."""

    def wake(self, kind: Kind) -> None:
        """Returns when there is room for what may be due, or the work stops."""

    def join(self) -> int:
        """Waits for the end; returns the exit code."""


class NotifiedWorker(Worker):
    """Celery's worker, with the work started before its first message and stopped after its last."""

    exitcode: int | None

    def __init__(self, app: Celery | None = None, **options: Any) -> None:
        # What workers tell each other when they start and meet serves revoked tasks and clocks, which notifier lack.
        super().__init__(app, **{**options, "without_mingle": True, "without_gossip": True})

    def on_init_blueprint(self) -> None:
        if self.pool_cls is not TaskPool:
            raise SystemExit("answerback: a worker holds its jobs in one event loop: run Celery with -P threads")
        super().on_init_blueprint()

    def setup_logging(self, colorize: bool | None = None) -> bool:  # noqa: ARG002
        """Whether the log is somebody else's; it is ours."""
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
        # A daemon: whatever of Celery ends in time takes it along.
        since = time.monotonic() - self._asked_at if self._asked_at else 0.0
        leaving = threading.Timer(max(LEAST_SECONDS, PATIENCE_SECONDS - since), self._leave)
        leaving.daemon = True
        leaving.start()

    def _leave(self) -> None:
        self.app.journal.warning("broker_not_left", note="Celery hangs on its broker; the process ends without it")
        os._exit(self.app.work.join())


class NotifiedConsumer(Consumer):
    """Celery's consumer, without the thirty queues that it would make on RabbitMQ for tasks with an ETA."""

    class Blueprint(Consumer.Blueprint):
        default_steps = (Connection, Events, Heart, Control, Tasks, Evloop)

    told: bool = False

    def connect(self) -> Any:
        if self.conninfo.transport.driver_type == "amqp":
            ensure_answering(self.app, self._connect_briefly, self.app.journal)
        return super().connect()

    def _connect_briefly(self) -> Any:
        return self.connection_for_read(heartbeat=0)

    def ensure_connected(self, connection: Any) -> Any:
        # Celery's own waits grow to half a minute, with an error each.
        return connection.ensure_connection(
            self._unavailable,
            interval_start=FIRST_RETRY_SECONDS,
            interval_step=FIRST_RETRY_SECONDS,
            interval_max=LONGEST_RETRY_SECONDS,
            callback=state.maybe_shutdown,
        )

    def on_connection_error_before_connected(self, error: Exception) -> None:
        # A refusal, as of a wrong password: kombu waits and retries only where it hopes for better.
        self._unavailable(error, LONGEST_RETRY_SECONDS)
        for _ in range(int(LONGEST_RETRY_SECONDS)):
            state.maybe_shutdown()
            time.sleep(1)

    def _unavailable(self, error: Exception, interval: float) -> None:  # noqa: ARG002
        if not self.told:
            reason = f"{type(error).__name__} at {place_of(self.app.conf.broker_url)}"
            self.app.journal.warning("broker_unavailable", reason=reason, note=MEANWHILE)
        self.told = True

    def on_ready(self) -> None:
        super().on_ready()
        self.told = False
        self.app.journal.info("hints_awaited")


class HastyDispatcher(EventDispatcher):
    """Celery's events for those who watch it: none is worth a wait for the broker in the consumer's thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "buffer_while_offline": False})

    def send(self, type: str, *arguments: Any, **options: Any) -> None:
        try:
            super().send(type, *arguments, **{**options, "retry": False})
        except (OSError, KombuError, *self.connection.connection_errors):
            # What is said when the broker has left needs no traceback.
            if type != "worker-offline":
                raise


class NotifiedApp(Celery):
    """The Celery application; `work` is what its tasks wake."""

    def __init__(self, broker_url: str, work: Work, log: Log) -> None:
        super().__init__("answerback", set_as_current=False)
        configure(self, broker_url)
        self.conf.worker_consumer = NotifiedConsumer
        self.events.dispatcher_cls = HastyDispatcher
        self.work = work
        self.journal = log
        for kind in Kind:
            self.task(_waking(work, kind), name=task_of(kind))

    @cached_property
    def Worker(self) -> type[NotifiedWorker]:  # noqa: N802 (Celery's name)
        worker: type[NotifiedWorker] = self.subclass_with_self(NotifiedWorker)
        return worker


def _waking(work: Work, kind: Kind) -> Callable[[], None]:
    def wake() -> None:
        work.wake(kind)

    return wake
