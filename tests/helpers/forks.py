"""Processes that start fast: each is forked from one that has imported what services and workers import.

A forked process has a pid, memory, signals, an environment and an exit of its own, as one that `python -m` starts; it
saves the second of CPU that imports take. The server that forks is this file, run by `Forks`.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from answerback.testing.process import INHERITED, Child, inherited, spawn

FORKED = {"answerback", "answerback.testing.faults", "celery"}
"""The modules whose processes are forked."""
PRELOADED = (
    *("answerback.cli", "answerback.bootstrap.worker", "answerback.database.postgres"),
    *("answerback.queue.notifiers.celery_broker", "answerback.queue.notifiers.celery_worker"),
    *("answerback.queue.notifiers.postgres", "celery.bin.celery", "celery.concurrency.thread", "celery.apps.worker"),
    *("kombu.transport.pyamqp", "kombu.transport.redis", "redis.asyncio", "uvloop", "pydantic.v1"),
    *("uvicorn.loops.auto", "uvicorn.lifespan.on", "uvicorn.protocols.http.httptools_impl", "httptools"),
    *("encodings.idna", "fastapi.openapi.utils"),
)
MESSAGE_BYTES = 100_000
PATIENCE = 60.0
"""Seconds that a command may take until its end."""


class Ended(NamedTuple):
    """What became of a command."""

    code: int
    stdout: str
    stderr: str


class Command:
    """A forked process whose output and errors are read apart."""

    def __init__(self, child: "_Forked", errors: asyncio.StreamReader) -> None:
        self.send_signal = child.send_signal
        self._child = child
        self._errors = errors

    async def end(self) -> Ended:
        assert self._child.stdout is not None
        async with asyncio.timeout(PATIENCE):
            stdout, stderr = await asyncio.gather(self._child.stdout.read(), self._errors.read())
            return Ended(await self._child.wait(), stdout.decode(), stderr.decode())


class Forks:
    """The server's client: `spawn` stands in for that of `answerback.testing.process`."""

    def __init__(self) -> None:
        self._kept = contextlib.ExitStack()
        self._asking: socket.socket | None = None

    async def spawn(self, module: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Child:
        if not _may_fork(module, environment):
            return await spawn(module, folder, environment)
        return await self._fork(module, folder, environment)

    async def start(self, module: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Command:
        """A command that has `environment` beside what every child inherits."""
        asked = inherited() | environment
        assert _may_fork(module, asked)
        printed, errors = os.pipe()
        try:
            child = await self._fork(module, folder, asked, errors)
        finally:
            os.close(errors)
        return Command(child, await _read(printed))

    async def run(self, module: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Ended:
        return await (await self.start(module, folder, environment)).end()

    async def _fork(
        self, module: Sequence[str], folder: Path, environment: Mapping[str, str], errors: int | None = None
    ) -> "_Forked":
        printed, output = os.pipe()
        reports, status = os.pipe()
        asked = json.dumps({"arguments": list(module), "folder": str(folder), "environment": dict(environment)})
        try:
            files = [output, output if errors is None else errors, status]
            socket.send_fds(self._connected(), [asked.encode()], files)
        finally:
            os.close(output)
            os.close(status)
        forked = _Forked(reports)
        forked.stdout = await _read(printed)
        await forked.started.wait()
        return forked

    def close(self) -> None:
        self._kept.close()

    def _connected(self) -> socket.socket:
        """The socket to the server, which the first request starts."""
        if self._asking is None:
            self._asking, serving = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with serving:
                server = subprocess.Popen(
                    [sys.executable, __file__, str(serving.fileno())],
                    env=inherited(),
                    pass_fds=[serving.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            self._kept.callback(server.wait)
            self._kept.enter_context(self._asking)
        return self._asking


def _may_fork(module: Sequence[str], environment: Mapping[str, str]) -> bool:
    """What an interpreter reads from the environment, only the server's has read."""
    read = {name: value for name, value in environment.items() if name in INHERITED or name.startswith("PYTHON")}
    return module[0] in FORKED and read == inherited()


async def _read(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    return reader


class _Forked:
    """Implements `Child`: hears from the server which pid the process has, and how it ended."""

    def __init__(self, reports: int) -> None:
        self.pid = 0
        self.stdout: asyncio.StreamReader | None = None
        self.returncode: int | None = None
        self.started = asyncio.Event()
        self._ended = asyncio.Event()
        self._reports = reports
        self._read = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(reports, self._read_report)

    def _read_report(self) -> None:
        data = os.read(self._reports, 100)
        self._read += data
        *numbers, _ = self._read.split(b"\n")
        if numbers:
            self.pid = int(numbers[0])
            self.started.set()
        if len(numbers) < 2 and data:
            return
        self._loop.remove_reader(self._reports)
        os.close(self._reports)
        # Nothing more is heard from a server that has ended.
        self.returncode = int(numbers[1]) if len(numbers) == 2 else -signal.SIGKILL
        self.started.set()
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def serve(asked: socket.socket) -> list[str]:
    """Forks at each request, until the client is gone. In a forked process it returns what that is to run."""
    running: dict[int, int] = {}
    wakes, woken = socket.socketpair()
    woken.setblocking(False)  # noqa: FBT003
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    with selectors.DefaultSelector() as selector, wakes, woken, asked:
        selector.register(wakes, selectors.EVENT_READ)
        selector.register(asked, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if wakes in ready:
                wakes.recv(4096)
                _report_ends(running)
            if asked not in ready:
                continue
            message, files, _, _ = socket.recv_fds(asked, MESSAGE_BYTES, 3)
            if not message:
                sys.exit()
            output, errors, status = files
            if (pid := os.fork()) == 0:
                signal.set_wakeup_fd(-1)
                for file in (*running.values(), status):
                    os.close(file)
                return _become(output, errors, json.loads(message))
            running[pid] = status
            os.close(output)
            os.close(errors)
            os.write(status, b"%d\n" % pid)


def _report_ends(running: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with contextlib.suppress(BrokenPipeError), os.fdopen(running.pop(ended[0]), "wb", buffering=0) as status:
                status.write(b"%d\n" % os.waitstatus_to_exitcode(ended[1]))


def _become(output: int, errors: int, wanted: dict[str, Any]) -> list[str]:
    """Turns a forked process into what `python -m` would have made."""
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    time.tzset()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = wanted["folder"]
    arguments: list[str] = wanted["arguments"]
    return arguments


def run(arguments: Sequence[str]) -> NoReturn:
    sys.argv[:] = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    run(serve(socket.socket(fileno=int(sys.argv[1]))))
