"""The real service in a process of its own."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from answerback.testing.faults import Fault
from answerback.testing.ports import HOST, reserve_port
from answerback.testing.process import INHERITED, Child, Process, ServiceError, inherited

__all__ = ["HOST", "INHERITED", "Service", "ServiceError"]

SERVE = ("answerback", "serve")


class Service(Process):
    """A child process on a free port, with a database and a log in `folder`.

    `settings` are environment variables, `APP_PORT` excepted; nothing else of this process's environment reaches it,
    and no `.env` unless `folder` holds one. `fault` applies to the first start only. `module` is what `python -m` runs,
    `role` is passed as `--role`. Port, database and log outlive the process, so `start` after `kill` is a
    restart. Without `folder` a temporary one is used and removed at the end. `timeout` in seconds bounds a start.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        fault: Fault | None = None,
        folder: Path | None = None,
        module: Sequence[str] = SERVE,
        role: Literal["all", "api"] = "all",
        timeout: float = 30.0,
    ) -> None:
        super().__init__(folder, b"listening", timeout)
        self._settings = dict(settings or {})
        self._fault = fault
        self._command = tuple(module) if role == "all" else (*module, "--role", role)
        reservation, self.port = reserve_port()
        if reservation is not None:
            self._kept.enter_context(reservation)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def database(self) -> Path:
        """The file, unless `settings` name another database."""
        return self.folder / "answerback.db"

    @property
    def environment(self) -> dict[str, str]:
        """The variables it runs with. Another process with the same variables works on the same database."""
        return {
            **inherited(),
            "APP_HOST": HOST,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "LOG_FORMAT": "json",
            "RATE_LIMIT": "0",
            "PUBLIC_BASE_URL": self.url,
            **self._settings,
            "APP_PORT": str(self.port),
        }

    def _environment(self) -> Mapping[str, str]:
        return self.environment

    def _module(self) -> Sequence[str]:
        fault, self._fault = self._fault, None
        return fault.arguments() if fault else self._command

    async def _until_ready(self, process: Child) -> None:
        """Until `/readyz` answers 200."""
        delay = 0.01
        while not await self._answers():
            # A service with a higher LOG_LEVEL never logs that it listens: it is asked again after the delay anyway.
            awaited = process.wait() if self._spoke.is_set() else self._spoke.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(awaited, delay)
            if process.returncode is not None:
                raise await self._gave_up()
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
