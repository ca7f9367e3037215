"""A process of Answerback: started, killed, paused and started again by tests and the demo."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, Self

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")


class ServiceError(Exception):
    """The process did not come up, or ended too early; the message ends with the last lines of its log."""


class Child(Protocol):
    """A running process, as asyncio has them."""

    stdout: asyncio.StreamReader | None

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int) -> None: ...

    def kill(self) -> None: ...


class Process(ABC):
    """A child process with a log in `folder`, a temporary one without it.

    Its output contains `said` when it is up. Subclasses say what it needs to run and when it is ready.
    """

    def __init__(self, folder: Path | None, said: bytes, timeout: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="answerback-")) if folder is None else folder.resolve()
        self._said = said
        self._timeout = timeout
        self._process: Child | None = None
        self._copying: asyncio.Task[None] | None = None
        self._spoke = asyncio.Event()
        self._is_up = False
        self._wrote = asyncio.Condition()
        self._children: list[Child] = []
        self._kept = contextlib.ExitStack()
        temporary = self.folder if folder is None else None
        # Also for an owner that forgets to close it: at the latest when the interpreter ends.
        self._release = weakref.finalize(self, _release, self._children, self._kept, temporary)

    @property
    def log_path(self) -> Path:
        """What the process printed, over all its starts."""
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
        """Starts the process and waits until it is ready. Raises ServiceError."""
        if self.running:
            raise ServiceError("it is running already")
        self._spoke = asyncio.Event()
        self._is_up = False
        self._process = await spawn(self._module(), self.folder, self._environment())
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
        """As `kill -9`: nothing is logged, nothing is flushed. Does nothing to a process that has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._send(signal.SIGKILL)
        await self.exited()

    async def terminate(self, timeout: float = 30.0) -> int:
        """Asks the process to stop and returns its exit code. Raises ServiceError when it does not."""
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

    async def until_logged(self, text: str, times: int = 1, timeout: float = 20.0) -> None:
        """Waits until the log, over all starts, has `text` `times` times. Raises TimeoutError, with the log's end."""
        try:
            async with asyncio.timeout(timeout), self._wrote:
                await self._wrote.wait_for(lambda: self.logs.count(text) >= times)
        except TimeoutError:
            raise TimeoutError(f"not logged {times} times within {timeout:g} s: {text}\n{self._tail()}") from None

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

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Kills it if it runs, and removes a temporary folder."""
        try:
            if self._process is not None:
                await self.kill()
        finally:
            self._release()

    @abstractmethod
    def _module(self) -> Sequence[str]:
        """What `python -m` runs at this start."""

    @abstractmethod
    def _environment(self) -> Mapping[str, str]: ...

    @abstractmethod
    async def _until_ready(self, process: Child) -> None:
        """Raises ServiceError when it ends before that."""

    async def _gave_up(self) -> ServiceError:
        """What to raise for a process that ended before it was ready."""
        return ServiceError(f"ended with code {await self.exited()} before it was ready\n{self._tail()}")

    def _child(self) -> Child:
        if self._process is None:
            raise ServiceError("it was never started")
        return self._process

    def _send(self, number: signal.Signals) -> None:
        if not self.running:
            raise ServiceError("it is not running")
        self._child().send_signal(number)

    async def _copy_output(self, process: Child) -> None:
        """Keeps what the child prints; wakes `start` when it prints that it is up, or ends."""
        assert process.stdout is not None
        end = b""
        with _append(self.log_path) as log:
            while chunk := await process.stdout.read(65_536):
                log.write(chunk)
                async with self._wrote:
                    self._wrote.notify_all()
                end = end[-64:] + chunk
                if self._said in end:
                    self._is_up = True
                    self._spoke.set()
        self._spoke.set()

    def _tail(self) -> str:
        return "\n".join(self.logs.splitlines()[-20:])


async def spawn(module: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Child:
    """Starts `python -m …` in the folder. Its output and its errors come as one."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *module),
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def inherited() -> dict[str, str]:
    """The part of this process's environment that a child gets."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def _release(children: Sequence[Child], kept: contextlib.ExitStack, temporary: Path | None) -> None:
    for child in children:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError, RuntimeError):
                child.kill()
    kept.close()
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)


def _append(path: Path) -> BinaryIO:
    return path.open("ab", buffering=0)
