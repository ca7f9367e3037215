"""The service as a web application, and as a process."""

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from answerback import __version__, bootstrap, observability
from answerback.api import (
    ask,
    benchmark,
    conversations,
    errors,
    generate,
    health,
    jobs,
    metrics,
    openapi,
    reviews,
    webhook,
)
from answerback.api.middleware import RequestMiddleware
from answerback.api.once import Once
from answerback.api.openai import chat, models
from answerback.api.openai.errors import shape_of
from answerback.bootstrap import Role
from answerback.bootstrap.fleet import loop_factory
from answerback.bounded_http import BoundedHttp
from answerback.domain.errors import ResultsUnwritable, StorageUnavailable
from answerback.ports import Log, Reached
from answerback.providers.routes_file import RoutesFileError
from answerback.settings import SHORT_SECRET, Settings, SettingsError

DESCRIPTION = """POST a message and hear 202 at once; the answer arrives on your callback URL, signed, in conversation
order, and nothing that was accepted is ever lost."""


BACKLOG = 2048
"""Connections that may wait to be accepted."""

LAST_WORDS_SECONDS = 1.0
"""How long a service that stops waits for callers to take the end of what it could not finish."""

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep idle connections (aiohttp 15 s, proxies 60 s): who closes first must not be us, or a request
sent at that moment is lost."""


class StartError(Exception):
    """The service must not start like this; the message is one line for the operator."""


def create_app(service: bootstrap.Service) -> FastAPI:
    """The doors over a built service; its engine runs as long as the app."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await service.stop()

    # /docs with files of its own: a service within a network without internet shows it, and tells nobody that it does.
    app = FastAPIOffline(title="Answerback", version=__version__, description=DESCRIPTION, lifespan=lifespan)
    errors.install(app, shape_of)
    app.add_middleware(
        RequestMiddleware,
        max_body_bytes=service.settings.max_body_bytes,
        log=service.log,
        shape_of=shape_of,
        allowances={benchmark.PATH: benchmark.FORM_BYTES},
        metrics=service.metrics,
        tracer=service.tracer,
    )
    store, authenticator = service.store, service.authenticator
    once = Once(service.replays)
    check_url = service.guard.check_unresolved
    app.include_router(webhook.router(service.intake, authenticator, check_url))
    app.include_router(ask.router(service.questions, authenticator, once))
    app.include_router(generate.router(service.generation, service.catalog, authenticator, once))
    app.include_router(benchmark.router(service.benchmark, authenticator, once))
    app.include_router(chat.router(service.asker, authenticator, once))
    app.include_router(models.router(service.catalog, authenticator))
    here, simulation = service.settings.llm_api_url is None, service.settings.enable_simulation
    review = reviews.router(
        service.intake, service.llm_callbacks, authenticator, check_url, reads_files=here, simulation=simulation
    )
    app.include_router(review)
    app.include_router(jobs.router(store, service.intake, service.control, authenticator))
    app.include_router(conversations.router(service.conversations, authenticator))
    app.include_router(health.router(store, service.provider.name, service.settings.mock, lambda: service.healthy))
    is_open = service.settings.loopback_only or service.settings.auth_disabled
    app.include_router(metrics.router(service.depths, service.metrics.exposition, authenticator, is_open=is_open))
    openapi.install(app)
    return app


def serve(settings: Settings, role: Role = Role.ALL, reached: Reached = bootstrap.nothing) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code. `reached` is called at every commit boundary."""
    try:
        log = _log(settings)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_serve(settings, role, log, reached))
    except (StartError, StorageUnavailable, RoutesFileError, ResultsUnwritable, SettingsError) as error:
        sys.stderr.write(f"answerback: {error}\n")
        return 2


def _log(settings: Settings) -> Log:
    try:
        return observability.configure(settings.log_level, settings.log_format, logs_dir=settings.logs_dir)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StartError(f"LOGS_DIR is {str(settings.logs_dir)!r} but no log can be written there: {reason}") from error


async def _serve(settings: Settings, role: Role, log: Log, reached: Reached) -> int:
    store = await bootstrap.open_store(settings)
    try:
        await _check_exposure(settings, [key.revoked_at for key in await store.list_keys()])
        service = bootstrap.build(settings, store, log, role, reached)
        sockets = _listen(settings.app_host, settings.app_port)
    except (StartError, RoutesFileError, ResultsUnwritable, SettingsError):
        await store.close()
        raise
    for name in settings.short_secrets:
        log.warning("short_secret", setting=name, note=f"{SHORT_SECRET} bytes at least, or it can be found by trying")
    if settings.mock:
        log.warning("mock_mode", note="no LLM is asked: set OPENROUTER_API_KEY, and unset MOCK_MODE, for real answers")
    config = uvicorn.Config(
        create_app(service),
        host=settings.app_host,
        port=settings.app_port,
        http=BoundedHttp.telling(log, service.metrics),
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = _Server(config, service.stop_engine, role, log)
    await server.serve(sockets)
    return 0 if server.started else 1


async def _check_exposure(settings: Settings, revoked: list[int | None]) -> None:
    """Without any key the service is for this machine only."""
    has_key = settings.auth_token is not None or any(revoked_at is None for revoked_at in revoked)
    if not (has_key or settings.auth_disabled or settings.loopback_only):
        raise StartError(
            f"APP_HOST is {settings.app_host} but there is no key: make one with 'answerback keys create', "
            "set AUTH_TOKEN, or set AUTH_DISABLED=true to serve everybody"
        )


def _listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen. Made before the engine starts, so that a second start on a taken port claims no job."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            try:
                sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
            except OSError as error:
                # `localhost` may name ::1 on a machine without IPv6.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or len(found) == 1:
                    raise
    except OSError as error:
        for each in sockets:
            each.close()
        reason = str(error.strerror).partition(" (")[0]
        raise StartError(f"cannot listen on {host}:{port}: {reason}") from error
    return sockets


class _Server(uvicorn.Server):
    """Says when it listens, and ends with exit code 0 on SIGTERM and SIGINT."""

    def __init__(
        self, config: uvicorn.Config, stop_engine: Callable[[], Awaitable[None]], role: Role, log: Log
    ) -> None:
        super().__init__(config)
        self._stop_engine = stop_engine
        self._role = role
        self._log = log

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            self._log.info("listening", url=f"http://{host}:{self.config.port}", docs="/docs", role=self._role.value)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The engine stops while clients finish, not after them: a supervisor may kill after ten seconds.
        await asyncio.gather(super().shutdown(sockets), self._stop_engine())
        if self.server_state.tasks:
            await self._last_words()

    async def _last_words(self) -> None:
        """Lets the requests that outlasted the grace tell their callers; one who takes nothing is not waited for."""
        tasks = tuple(self.server_state.tasks)
        _, silent = await asyncio.wait(tasks, timeout=LAST_WORDS_SECONDS)
        if silent:
            for connection in tuple(self.server_state.connections):
                connection.transport.abort()
            await asyncio.wait(silent, timeout=LAST_WORDS_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            self._log.info("stopped")
