"""PgBouncer in transaction mode in front of a PostgreSQL server."""

import contextlib
import os
import pwd
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from answerback.testing.backends.backend import Backend, binary
from answerback.testing.backends.postgres import account_for
from answerback.testing.ports import HOST

POOL_SIZE = 4
"""Server connections for each database: fewer than clients, so that clients share them."""


class PgBouncer(Backend):
    """Each transaction gets whichever server connection is free. Make one with `in_front_of`."""

    server: str

    @classmethod
    def in_front_of(cls, server: str) -> Self:
        """In front of the server with this URL, for all its databases. Raises BackendUnavailable."""
        bouncer = cls(None)
        bouncer.server = server
        return bouncer._started()

    @property
    def url(self) -> str:
        return self.through(self.server)

    def through(self, database: str) -> str:
        """The URL of a database of the server, through this PgBouncer."""
        parts = urlsplit(database)
        return parts._replace(netloc=f"{parts.username}@{HOST}:{self.port}").geturl()

    def _prepare(self) -> None:
        self._program = binary("pgbouncer", [Path("/usr/sbin")], "pgbouncer")
        parts = urlsplit(self.server)
        settings = {
            "listen_addr": HOST,
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": POOL_SIZE,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        way = f"host={parts.hostname} port={parts.port} user={parts.username}"
        if parts.password:
            way += f" password='{parts.password}'"
        text = "\n".join(["[databases]", f"* = {way}", "[pgbouncer]", *lines, ""])
        if account := self._account():
            self.folder.chmod(0o711)
        self._configuration = self.folder / "pgbouncer.ini"
        self._configuration.write_text(text)
        self._configuration.chmod(0o600)
        if account:
            os.chown(self._configuration, account.pw_uid, account.pw_gid)

    def _command(self) -> Sequence[str | Path]:
        return (self._program, self._configuration)

    def _account(self) -> pwd.struct_passwd | None:
        return account_for("PgBouncer")

    def _serves(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
            return True
        return False
