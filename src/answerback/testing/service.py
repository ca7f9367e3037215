"""The real service in a process of its own: started, killed, paused and started again by tests and the demo."""

import asyncio
import contextlib
import os
import platform
import shutil
import signal
import socket
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from answerback.testing.faults import Fault

HOST = "127.0.0.1"
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
SERVE = ("answerback", "serve")


class ServiceError(Exception):
    """The service did not come up, or ended too early; the message ends with the last lines of its log."""


class Service:
    """A child process on a free port, with a database and a log in `folder`.

    `settings` are environment variables, `APP_PORT` excepted; nothing else of this process's environment reaches it,
    and no `.env` unless `folder` holds one. `fault` strikes the first start only. `module` is what `python -m` runs.
    Port, database and log outlive the process, so `start` after `kill` is a restart. Without `folder` a temporary one
    is used and removed at the end. `timeout` in seconds bounds a start.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        fault: Fault | None = None,
        folder: Path | None = None,
        module: Sequence[str] = SERVE,
        timeout: float = 30.0,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="answerback-")) if folder is None else folder.resolve()
        self._settings = dict(settings or {})
        self._fault = fault
        self._module = tuple(module)
        self._timeout = timeout
        reservation, self.port = _reserve_port()
        self._process: asyncio.subprocess.Process | None = None
        self._copying: asyncio.Task[None] | None = None
        self._spoke = asyncio.Event()
        self._children: list[asyncio.subprocess.Process] = []
        temporary = self.folder if folder is None else None
        # Also when the owner forgets: at the latest when the interpreter ends.
        self._release = weakref.finalize(self, _release, self._children, reservation, temporary)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def database(self) -> Path:
        return self.folder / "answerback.db"

    @property
    def log_path(self) -> Path:
        """What the service printed, over all its starts."""
        return self.folder / "answerback.log"

    @property
    def logs(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._child().pid

    async def start(self) -> None:
        """Starts the process and waits until `/readyz` answers 200. Raises ServiceError."""
        if self.running:
            raise ServiceError("the service is running already")
        fault, self._fault = self._fault, None
        module = fault.arguments() if fault else self._module
        self._spoke = asyncio.Event()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *module),
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._children[:] = [self._process]
        self._copying = asyncio.create_task(self._copy_output(self._process))
        try:
            await asyncio.wait_for(self._until_ready(self._process), self._timeout)
        except TimeoutError:
            await self.kill()
            raise ServiceError(f"not ready within {self._timeout:g} s\n{self._tail()}") from None
        except BaseException:
            await self.kill()
            raise

    async def kill(self) -> None:
        """As `kill -9`: nothing is said, nothing is flushed. Does nothing to a process that has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._send(signal.SIGKILL)
        await self.exited()

    async def terminate(self, timeout: float = 30.0) -> int:
        """Asks the service to stop and returns its exit code. Raises ServiceError when it does not."""
        self._send(signal.SIGTERM)
        with contextlib.suppress(ServiceError, ProcessLookupError):
            self._send(signal.SIGCONT)
        try:
            return await asyncio.wait_for(self.exited(), timeout)
        except TimeoutError:
            await self.kill()
            raise ServiceError(f"did not stop within {timeout:g} s\n{self._tail()}") from None

    async def exited(self) -> int:
        """Waits for the end, as that of a fault; the exit code is negative for a signal, as in `subprocess`."""
        process = self._child()
        code = await process.wait()
        if self._copying is not None:
            await self._copying
        return code

    def stop(self) -> None:
        """Freezes the process, as a long pause of its machine would."""
        self._send(signal.SIGSTOP)

    def cont(self) -> None:
        """Thaws it."""
        self._send(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._release()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process is not None:
                await self.kill()
        finally:
            self._release()

    def _child(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ServiceError("the service was never started")
        return self._process

    def _send(self, number: signal.Signals) -> None:
        if not self.running:
            raise ServiceError("the service is not running")
        self._child().send_signal(number)

    def _environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            "APP_HOST": HOST,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "LOG_FORMAT": "json",
            "RATE_LIMIT": "0",
            "PUBLIC_BASE_URL": self.url,
            **self._settings,
            "APP_PORT": str(self.port),
        }

    async def _copy_output(self, process: asyncio.subprocess.Process) -> None:
        """Keeps what the child prints; wakes `start` when it says that it listens, or says its last."""
        assert process.stdout is not None
        end = b""
        with _append(self.log_path) as log:
            while chunk := await process.stdout.read(65_536):
                log.write(chunk)
                end = end[-64:] + chunk
                if b"listening" in end:
                    self._spoke.set()
        self._spoke.set()

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        delay = 0.01
        while not await self._answers():
            # A service told to log less never says that it listens: it is asked again after the delay anyway.
            awaited = process.wait() if self._spoke.is_set() else self._spoke.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(awaited, delay)
            if process.returncode is not None:
                code = await self.exited()
                raise ServiceError(f"ended with code {code} before it was ready\n{self._tail()}")
            delay = min(delay * 2, 0.25)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            writer.write(f"GET /readyz HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode())
            return b" 200 " in await asyncio.wait_for(reader.readline(), 5.0)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    def _tail(self) -> str:
        return "\n".join(self.logs.splitlines()[-20:])


def _release(
    children: Sequence[asyncio.subprocess.Process], reservation: socket.socket | None, temporary: Path | None
) -> None:
    for child in children:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError, RuntimeError):
                child.kill()
    if reservation is not None:
        reservation.close()
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)


def _append(path: Path) -> BinaryIO:
    return path.open("ab", buffering=0)


def _reserve_port() -> tuple[socket.socket | None, int]:
    """A free port, and what keeps it from others while the service is down.

    On Linux a socket that is bound with SO_REUSEADDR but does not listen keeps the kernel from handing its port to
    anybody, yet lets a server that sets SO_REUSEADDR too, as all asyncio's do, bind and listen.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, 0))
    port: int = holder.getsockname()[1]
    if platform.system() == "Linux":
        return holder, port
    holder.close()
    return None, port
