"""What the private servers have in common: a folder, a reserved port, start, kill, restart and stop."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from pwd import struct_passwd
from typing import ClassVar, Self

from answerback.testing.backends.tree import descendants, end_all
from answerback.testing.ports import HOST, reserve_port
from answerback.testing.process import inherited

POLL_SECONDS = 0.02


class BackendUnavailable(Exception):
    """Such a server cannot be started; the message is one line that says how to install it, and a log if any."""


class Backend(ABC):
    """A server in `folder`, a temporary one without it, which `stop` removes. Make one with `start`."""

    patience: ClassVar[float] = 60.0
    """Seconds until a start is given up."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="answerback-")) if folder is None else folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._kept = contextlib.ExitStack()
        if folder is None:
            self._kept.callback(shutil.rmtree, self.folder, ignore_errors=True)
        # Also for an owner that forgets to stop it: at the latest when the interpreter ends.
        self._release = weakref.finalize(self, _release, self._processes, self._kept)
        self.port = self._port()

    @classmethod
    def start(cls, folder: Path | None = None) -> Self:
        """Starts a server and waits until it serves. Raises BackendUnavailable."""
        return cls(folder)._started()

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """As `kill -9` for all its processes; returns when they are gone. Does nothing if it ended before."""
        if self._process.poll() is not None:
            return
        end_all([self._process.pid, *descendants(self._process.pid)])
        self._process.wait()

    def restart(self) -> None:
        """Starts it again after `kill`: the same port, the data that were on its disk. Raises BackendUnavailable."""
        self._up()

    def stop(self) -> None:
        """Ends it for good, and leaves nothing behind."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _prepare(self) -> None:
        """Runs before the first start."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]: ...

    @abstractmethod
    def _serves(self) -> bool:
        """Whether it takes work by now."""

    def _variables(self) -> Mapping[str, str]:
        return {}

    def _account(self) -> struct_passwd | None:
        """The account it runs as; None: our own."""
        return None

    def _port(self) -> int:
        holder, port = reserve_port()
        if holder is not None:
            self._kept.enter_context(holder)
        return port

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        return self._processes[-1]

    def _started(self) -> Self:
        try:
            self._prepare()
            self._up()
        except BaseException:
            self.stop()
            raise
        return self

    def _up(self) -> None:
        self._spawn(*self._command())
        ends = time.monotonic() + self.patience
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise BackendUnavailable(f"{type(self).__name__} did not come up:\n{self._tail()}")
            time.sleep(POLL_SECONDS)

    def _spawn(self, *command: str | Path) -> None:
        account = self._account()
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**inherited(), **self._variables()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=None if account is None else [],
            )
        self._processes.append(process)

    def _tail(self) -> str:
        return "\n".join((self.folder / "server.log").read_text(errors="replace").splitlines()[-10:])


def binary(name: str, folders: Sequence[Path], package: str) -> Path:
    """The program, of one of these folders or of PATH. Raises BackendUnavailable."""
    places = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=places)
    if found is None:
        raise BackendUnavailable(f"`{name}` is not installed: apt-get install {package}")
    return Path(found)


def replies(port: int, asked: bytes, beginning: bytes) -> bool:
    """Whether what listens on the port replies to `asked`, with `beginning` first."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(asked)
            return connection.recv(len(beginning)) == beginning
    except OSError:
        return False


def _release(processes: Sequence[subprocess.Popen[bytes]], kept: contextlib.ExitStack) -> None:
    running = [process for process in processes if process.poll() is None]
    end_all([pid for process in running for pid in (process.pid, *descendants(process.pid))])
    for process in running:
        process.wait()
    kept.close()
