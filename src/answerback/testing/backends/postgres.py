"""PostgreSQL, private; and databases made and dropped on any server."""

import asyncio
import contextlib
import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from answerback.testing.backends.backend import Backend, BackendUnavailable, binary
from answerback.testing.ports import HOST

CONNECTIONS = 200
USER = "postgres"
ACCOUNTS = (USER, "nobody")
"""The accounts to run as when this process is root, which PostgreSQL refuses: the first that exists."""


class PostgresServer(Backend):
    """Durable, as in production: a commit is on disk, whatever is killed. No password, no socket but 127.0.0.1's."""

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@{HOST}:{self.port}/postgres"

    def _prepare(self) -> None:
        self._program = _program("postgres")
        self._asking = _program("pg_isready")
        self._data = self.folder / "data"
        if account := self._account():
            # That account must be able to enter the folder.
            self.folder.chmod(0o711)
            self._data.mkdir()
            os.chown(self._data, account.pw_uid, account.pw_gid)
        self._kept.callback(_free_segment, self._data)
        self._spawn(
            _program("initdb"), "-D", self._data, "-A", "trust", "-U", USER, *["-E", "UTF8", "--no-locale", "-N"]
        )
        if self._process.wait() != 0:
            raise BackendUnavailable(f"PostgreSQL cannot keep data in {self._data}:\n{self._tail()}")

    def _command(self) -> Sequence[str | Path]:
        chosen = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "max_connections": str(CONNECTIONS),
            "fsync": "on",
            "synchronous_commit": "on",
            # Its segments are in the folder then, and do not outlive it.
            "dynamic_shared_memory_type": "mmap",
        }
        flags = [flag for name, value in chosen.items() for flag in ("-c", f"{name}={value}")]
        return (self._program, "-D", self._data, "-p", str(self.port), *flags)

    def _variables(self) -> Mapping[str, str]:
        return {"HOME": str(self.folder)}

    def _account(self) -> pwd.struct_passwd | None:
        return account_for("PostgreSQL")

    def _serves(self) -> bool:
        return subprocess.run([self._asking, "-q", "-h", HOST, "-p", str(self.port)], check=False).returncode == 0


def account_for(program: str) -> pwd.struct_passwd | None:
    """The account for a program that refuses to run as root. Raises BackendUnavailable."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise BackendUnavailable(f"{program} refuses to run as root: add an account for it, `useradd postgres`")


def create_database(server: str, name: str) -> str:
    """An empty database on the server with this URL; returns its own URL."""
    _execute(server, f'CREATE DATABASE "{name}"')
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def drop_database(server: str, name: str) -> None:
    """Drops it although clients are connected to it."""
    _execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute(server: str, statement: str) -> None:
    """In a thread, as the caller may run in an event loop."""
    import asyncpg  # type: ignore[import-untyped, unused-ignore]

    async def execute() -> None:
        connection = await asyncpg.connect(server)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, execute()).result()


def _program(name: str) -> Path:
    """Debian keeps its programs out of PATH, by version: the newest."""
    versions = sorted(Path("/usr/lib/postgresql").glob("[0-9]*"), key=lambda path: float(path.name), reverse=True)
    return binary(name, [version / "bin" for version in versions], "postgresql")


def _free_segment(data: Path) -> None:
    """A server that was killed leaves a segment of System V's shared memory; its pid file says which (line 7)."""
    with contextlib.suppress(OSError, IndexError):
        segment = (data / "postmaster.pid").read_text().splitlines()[6].split()[1]
        subprocess.run(["ipcrm", "-m", segment], check=False, stderr=subprocess.DEVNULL)
