"""The process of a worker: worker pools without routes. `celery -A answerback.worker worker` starts one, too."""

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cache
from typing import TYPE_CHECKING

from answerback.bootstrap.notifiers import choose_broker
from answerback.bootstrap.runtime import Process, loop_factory, open_log, open_process, refuse, shown_at_start
from answerback.bootstrap.service import Role, Service, build
from answerback.bootstrap.signals import STOPS
from answerback.bootstrap.upstreams import Upstreams
from answerback.http.descriptors import raise_limit
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.failpoints import unarmed
from answerback.llm.routes_file import RoutesFileError
from answerback.queue.notifier import Topic
from answerback.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from answerback.queue.notifiers.celery_worker import NotifiedApp

CHECK_SECONDS = 5.0
"""How often a thread that waits for room checks that the worker pools' thread is still alive."""


def work(settings: Settings) -> int:
    """Works until SIGTERM or SIGINT; returns the exit code."""
    try:
        thread = WorkerThread(settings)
        make_app = choose_broker(settings).app
        if make_app is None:
            return _run(thread)
        app = make_app(thread, thread.log)
    except SettingsError as error:
        return refuse(error)
    worker = app.Worker(hostname=f"answerback-{os.getpid()}@{socket.gethostname()}", pool_cls="threads", quiet=True)
    worker.start()
    return worker.exitcode or 0


def _run(thread: "WorkerThread") -> int:
    for number in STOPS:
        signal.signal(number, lambda *_: thread.begin_stop())
    thread.start()
    return thread.join()


class WorkerThread:
    """Implements `Work`: the service without its routes, in a thread of its own.

    Raises SettingsError where its log cannot be written.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.log = open_log(settings)
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self._started: concurrent.futures.Future[Service] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._asked = False
        self._ended: Callable[[], None] | None = None
        self._code = 0

    def start(self, ended: Callable[[], None] | None = None) -> None:
        """Returns once the worker pools run. `ended` is called from their thread when they have stopped, for whatever
        reason. Raises SystemExit when they cannot start."""
        self._ended = ended
        self._thread.start()
        try:
            self._started.result()
        except (StorageUnavailable, RoutesFileError, SettingsError) as error:
            raise SystemExit(refuse(error)) from error

    def begin_stop(self) -> None:
        """Safe to call from any thread and signal handler, any number of times."""
        self._asked = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._stopping.set)

    def wake(self, topic: Topic) -> None:
        """Returns when the topic's worker pool has room for another claim, or stops."""
        service = self._started.result()
        if self._asked or self._loop is None:
            return
        waking = service.wake(topic)
        try:
            woken = asyncio.run_coroutine_threadsafe(waking, self._loop)
        except RuntimeError:  # it is closed
            waking.close()
            return
        # TimeoutError: the loop ended before it ran `waking`.
        with contextlib.suppress(concurrent.futures.CancelledError, TimeoutError):
            while self._thread.is_alive() and not woken.done():
                concurrent.futures.wait([woken], CHECK_SECONDS)
            woken.result(0)

    def join(self) -> int:
        """Waits for the end; returns the exit code."""
        self._thread.join()
        return self._code

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._main())
        except BaseException as error:
            self._code = 1
            if not self._started.done():
                self._started.set_exception(error)
                return
            self.log.exception("work_broke")
        if self._ended is not None:
            self._ended()

    async def _main(self) -> None:
        raise_limit()
        self._loop = asyncio.get_running_loop()
        if self._asked:
            self._stopping.set()
        async with AsyncExitStack() as lifetimes:
            upstreams = Upstreams(self._settings)
            process = await open_process(self._settings, self.log, upstreams.models, unarmed, lifetimes)
            service = await build(self._settings, process, upstreams, Role.WORKER, lifetimes)
            self._show_metrics(process)
            service.start(self._broke)
            shown = shown_at_start(self._settings, service.provider.name, upstreams.default_model)
            self.log.info("working", role=Role.WORKER.value, woken_by=choose_broker(self._settings).woken_by, **shown)
            self._started.set_result(service)
            await self._stopping.wait()
            self.log.info("stopping")
            await service.stop()
        self.log.info("stopped")

    def _show_metrics(self, process: Process) -> None:
        host, port = self._settings.app_host, self._settings.worker_metrics_port
        if port is None:
            return
        try:
            process.metrics.serve(host, port)
        except OSError as error:
            raise SettingsError(f"WORKER_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}") from error

    def _broke(self) -> None:
        # A worker that claims nothing more ends, so that its supervisor starts another.
        self._code = 1
        self._stopping.set()


@cache
def celery_app() -> "NotifiedApp":
    try:
        settings = load_settings()
        make_app = choose_broker(settings).app
        if make_app is None:
            raise SettingsError(
                "CELERY_BROKER_URL is not set: name a broker, or run 'answerback worker', which needs none"
            )
        thread = WorkerThread(settings)
        return make_app(thread, thread.log)
    except SettingsError as error:
        raise SystemExit(refuse(error)) from error
