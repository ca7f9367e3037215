"""A client of PostgreSQL that vanishes: its locks are released as soon as the server gives the connection up."""

import asyncio
import struct
from collections.abc import Iterator

import asyncpg
import pytest

from answerback.database.postgres.session import IN_TRANSACTION
from answerback.testing.backends import PostgresServer
from chaos.link import Link
from servers import private

pytestmark = pytest.mark.starts_processes

WAIT_SECONDS = 30.0
LONG = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_user_timeout": "20s"}


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with private(PostgresServer) as server:
        yield server


def impatient_settings() -> str:
    """The settings of a transaction, with timeouts of one second."""
    settings = IN_TRANSACTION
    for name, seconds in LONG.items():
        production = f"'{name}', '{seconds}'"
        assert production in settings
        settings = settings.replace(production, f"'{name}', '{'1s' if seconds.endswith('s') else '1'}'")
    return settings


class HalfABatch:
    """A client in PostgreSQL's own protocol (version 3), that sends a statement but not the end of its batch."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def start(self) -> None:
        startup = struct.pack("!I", 3 << 16) + b"user\0postgres\0database\0postgres\0\0"
        self._writer.write(struct.pack("!I", len(startup) + 4) + startup)
        await self._until(b"Z")

    async def query(self, sql: str) -> None:
        self._send(b"Q", sql.encode() + b"\0")
        await self._until(b"Z")

    async def begin_batch(self, sql: str) -> None:
        """Parse, Bind, Execute, Flush; a Sync would follow."""
        self._send(b"P", b"\0" + sql.encode() + b"\0\0\0")
        self._send(b"B", bytes(8))
        self._send(b"E", bytes(5))
        self._send(b"H", b"")
        await self._until(b"C")

    def close(self) -> None:
        self._writer.transport.abort()

    def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + struct.pack("!I", len(body) + 4) + body)

    async def _until(self, wanted: bytes) -> None:
        kind = b""
        while kind != wanted:
            kind, length = struct.unpack("!cI", await self._reader.readexactly(5))
            body = await self._reader.readexactly(length - 4)
            assert kind != b"E", body


async def test_half_a_batch_does_not_hold_its_locks_for_ever(server: PostgresServer) -> None:
    other = await asyncpg.connect(server.url)
    await other.execute("CREATE TABLE things (id INT PRIMARY KEY); INSERT INTO things VALUES (1)")
    async with Link(server.port) as link:
        vanishing = HalfABatch(*await asyncio.open_connection("127.0.0.1", link.port))
        await vanishing.start()
        await vanishing.query("BEGIN")
        await vanishing.query(impatient_settings())
        await vanishing.begin_batch("UPDATE things SET id = 1")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute("SELECT FROM things FOR UPDATE NOWAIT")

        link.silence()

        await other.execute("SELECT FROM things FOR UPDATE", timeout=WAIT_SECONDS)
        vanishing.close()
    await other.close()
