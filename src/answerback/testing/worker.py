"""A worker in a process of its own, beside the services whose database it works on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from answerback.testing.process import Child, Process, inherited

WORK = ("answerback", "worker")


class Worker(Process):
    """A child process with a log in `folder`; up when it logs `working`, so `LOG_LEVEL` must not hide `INFO`.

    `settings` are environment variables as for a `Service`, whose `environment` they may be; `DATABASE_URL` must name
    the database, absolutely. `module` is what `python -m` runs. `start` after `kill` is a restart; the log goes on.
    Without `folder` a temporary one is used and removed at the end. `timeout` in seconds bounds a start.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        folder: Path | None = None,
        module: Sequence[str] = WORK,
        timeout: float = 30.0,
    ) -> None:
        super().__init__(folder, b"working", timeout)
        self._settings = dict(settings)
        self._command = tuple(module)

    def _module(self) -> Sequence[str]:
        return self._command

    def _environment(self) -> Mapping[str, str]:
        return {**inherited(), "LOG_FORMAT": "json", **self._settings}

    async def _until_ready(self, process: Child) -> None:  # noqa: ARG002
        await self._spoke.wait()
        if not self._is_up:
            raise await self._gave_up()
