"""`answerback listen`: a receiver in a terminal, which shows each callback and whether its signature is valid."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web

from answerback.cli.secrets import KnownSecrets, SecretUnknown
from answerback.testing.signatures import InvalidSignatureError

HOST = "127.0.0.1"
MAX_BODY = 64 * 1024 * 1024
MAX_SHOWN = 20_000
"""Characters of a body that are shown."""
MAX_IDS = 10_000
"""Callbacks that are remembered, to recognise one that comes again."""

Show: TypeAlias = Callable[[str], None]


class ListenError(Exception):
    """It cannot listen; the message is one line."""


def listen(port: int, status: int, delay: float, secrets: KnownSecrets, show: Show) -> None:
    """Answers every POST with `status` after `delay` seconds, until SIGINT or SIGTERM. Raises ListenError."""
    asyncio.run(_listen(port, Receiving(status, delay, secrets, show), show))


async def _listen(port: int, receiving: "Receiving", show: Show) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(application(receiving), access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        show(f"Waiting for callbacks at http://{HOST}:{port}/ (any path); Ctrl-C ends this.")
        await stopped.wait()
    except OSError as error:
        # asyncio's own words repeat the address.
        raise ListenError(f"cannot listen on {HOST}:{port}: {os.strerror(error.errno or 0)}") from None
    finally:
        await runner.cleanup()


def application(receiving: "Receiving") -> web.Application:
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post("/{path:.*}", receiving.receive)
    return app


class Receiving:
    """Shows callbacks and answers them."""

    def __init__(self, status: int, delay: float, secrets: KnownSecrets, show: Show) -> None:
        self._status = status
        self._delay = delay
        self._secrets = secrets
        self._show = show
        self._times: OrderedDict[str, int] = OrderedDict()

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        verdict = await self._verdict(request, body)
        webhook_id = request.headers.get("webhook-id")
        lines = [
            f"{time.strftime('%H:%M:%S')}  POST {request.raw_path}",
            f"  webhook-id  {webhook_id or 'none'}{self._again(webhook_id)}",
            f"  signature   {verdict}",
            f"  answer      {self._status}{f' after {self._delay:g} s' if self._delay else ''}",
            *(f"  {line}" for line in _shown(body).split("\n")),
        ]
        self._show("\n".join(map(_printable, lines)) + "\n")
        await asyncio.sleep(self._delay)
        return web.Response(status=self._status)

    async def _verdict(self, request: web.Request, body: bytes) -> str:
        if "webhook-signature" not in request.headers:
            return "MISSING: this is no callback of answerback"
        try:
            await self._secrets.verify(request.headers, body)
        except SecretUnknown as unknown:
            return f"NOT CHECKED: {unknown}"
        except InvalidSignatureError as error:
            return f"WRONG: {error} (tried: {self._secrets.tried})"
        return "valid"

    def _again(self, webhook_id: str | None) -> str:
        if webhook_id is None:
            return ""
        times = self._times[webhook_id] = self._times.pop(webhook_id, 0) + 1
        if len(self._times) > MAX_IDS:
            self._times.popitem(last=False)
        return "" if times == 1 else f"  (came {times} times: a receiver drops all but one)"


def _shown(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    # What is not JSON is shown as it came.
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text) - MAX_SHOWN} more characters)"


def _printable(line: str) -> str:
    """Without anything that could move the cursor: a model wrote some of it."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
