"""Redis, private."""

from collections.abc import Sequence
from pathlib import Path

from answerback.testing.backends.backend import Backend, binary, replies
from answerback.testing.ports import HOST

DATABASES = 64


class RedisServer(Backend):
    """Keeps nothing on disk: a restart is an empty server."""

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def _prepare(self) -> None:
        self._program = binary("redis-server", [], "redis-server")

    def _command(self) -> Sequence[str | Path]:
        address = ("--port", str(self.port), "--bind", HOST)
        return (self._program, *address, "--save", "", "--appendonly", "no", "--databases", str(DATABASES))

    def _serves(self) -> bool:
        return replies(self.port, b"PING\r\n", b"+PONG")
