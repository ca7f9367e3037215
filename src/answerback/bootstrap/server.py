"""The service as a process that listens."""

import asyncio
import errno
import socket
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack

from uvicorn.config import Config

from answerback.accounts.ratelimit import MovingWindows
from answerback.accounts.store import AccountStore
from answerback.bootstrap.app import create_app
from answerback.bootstrap.http_server import Server
from answerback.bootstrap.processes import Membership, Supervisor
from answerback.bootstrap.runtime import loop_factory, open_log, open_process, refuse, shown_at_start
from answerback.bootstrap.service import Role, build
from answerback.bootstrap.signals import STOPS
from answerback.bootstrap.upstreams import Upstreams
from answerback.http.descriptors import raise_limit
from answerback.http.server.protocol import BoundedHttp
from answerback.kernel.errors import ResultsUnwritable, StorageUnavailable
from answerback.kernel.failpoints import OnFailpoint, unarmed
from answerback.kernel.log import Log
from answerback.llm.routes_file import RoutesFileError
from answerback.settings import SHORT_SECRET, Settings, SettingsError
from answerback.siblings.hub import Hub
from answerback.siblings.link import Link

BACKLOG = 2048
"""Connections that may wait to be accepted."""

SEND_BUFFER_BYTES = 128 * 1024
"""How much of a response the kernel takes for a client that does not read; Linux allows twice that. By default it would
be megabytes, and the LLM would be read and paid for that much further."""

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep idle connections (aiohttp 15 s, proxies 60 s): if the service closed first, a request sent
at that moment would be lost."""


class StartError(Exception):
    """The service must not start like this; the message is one line for the operator."""


def serve(settings: Settings, role: Role = Role.ALL, failpoint: OnFailpoint = unarmed, processes: int = 1) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code. `failpoint` is called at every failpoint of each of the
    processes."""
    raise_limit()
    try:
        log = open_log(settings)
        if processes == 1:
            return _run(_serve(settings, role, log, failpoint))
        # A second service on the port would share it, unnoticed.
        for taken in _listen(settings.app_host, settings.app_port):
            taken.close()
    except (StartError, SettingsError) as error:
        return refuse(error)
    hub = Hub(MovingWindows(time.monotonic).count, time.monotonic)

    def run(member: Membership) -> int:
        return _run(_serve(settings, role, log, failpoint, member))

    return Supervisor(processes, run, hub, log).supervise()


def _run(serving: Coroutine[None, None, int]) -> int:
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(serving)
    except asyncio.CancelledError:
        return 0
    except (StartError, StorageUnavailable, RoutesFileError, ResultsUnwritable, SettingsError) as error:
        return refuse(error)


async def _serve(
    settings: Settings, role: Role, log: Log, failpoint: OnFailpoint, member: Membership | None = None
) -> int:
    _stop_before_listening()
    async with AsyncExitStack() as lifetimes:
        siblings = None
        if member is not None:
            siblings = Link(member.end, log)
            await siblings.connect()
            lifetimes.callback(siblings.close)
        upstreams = Upstreams(settings)
        process = await open_process(settings, log, upstreams.models, failpoint, lifetimes)
        service = await build(settings, process, upstreams, role, lifetimes, siblings)
        await _check_exposure(settings, service.stores.accounts)
        sockets = _listen(settings.app_host, settings.app_port, shared=siblings is not None)
        if member is None or member.first:
            _warn(settings, log)
        app = create_app(service, None if member is None else lambda: server.broke())
        config = Config(
            app.asgi,
            host=settings.app_host,
            port=settings.app_port,
            http=BoundedHttp.configured(app.requests, app.renderers),
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
            timeout_graceful_shutdown=5,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        facts = _facts(settings, role, service.provider.name, upstreams.default_model)
        server = Server(config, service.stop_engine, facts, log)
        if member is not None and siblings is not None:
            server.join(siblings, first=member.first)
        await server.serve(sockets)
        return server.code if server.started else 1


def _stop_before_listening() -> None:
    """A stop that comes while the service opens what it needs cancels that. The server replaces this as it starts."""
    loop, opening = asyncio.get_running_loop(), asyncio.current_task()
    if opening is not None:
        for number in STOPS:
            loop.add_signal_handler(number, lambda: opening.cancelling() or opening.cancel())


def _facts(settings: Settings, role: Role, provider: str, model: str) -> Mapping[str, object]:
    """What the line about the start says."""
    host = f"[{settings.app_host}]" if ":" in settings.app_host else settings.app_host
    url = f"http://{host}:{settings.app_port}"
    return {
        "url": url,
        "docs": f"{url}/docs",
        "console": f"{url}/console",
        "role": role.value,
        **shown_at_start(settings, provider, model),
    }


async def _check_exposure(settings: Settings, accounts: AccountStore) -> None:
    """Without any key the service is for this machine only."""
    if settings.auth_disabled or settings.loopback_only or settings.auth_token or settings.operator_token:
        return
    if not any(key.revoked_at is None for key in await accounts.list_keys()):
        raise StartError(
            f"APP_HOST is {settings.app_host} but there is no key: make one with 'answerback keys create', "
            "set AUTH_TOKEN, or set AUTH_DISABLED=true to serve everybody"
        )


def _warn(settings: Settings, log: Log) -> None:
    for name in settings.short_secrets:
        log.warning("short_secret", setting=name, note=f"{SHORT_SECRET} bytes at least, or it can be found by trying")
    if settings.mock:
        remedy = (
            "unset MOCK_MODE" if settings.mock_mode else "set OPENROUTER_API_KEY, OPENAI_API_KEY or OPENAI_BASE_URL"
        )
        log.warning("mock_mode", note=f"no LLM is asked: {remedy} for real answers")


def _listen(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Sockets that listen. Made before the engine starts, so that a second start on a taken port claims no job.

    Where they are `shared`, other processes of this user may listen on the port, too: the kernel spreads connections.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            try:
                listening = socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=shared)
                # Connections inherit it.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
                sockets.append(listening)
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
