"""Deleting old results, by each process that makes some: they are on its own disk."""

import asyncio

from answerback.benchmark.results import ResultsFolder
from answerback.kernel.errors import ResultsUnwritable
from answerback.kernel.log import Log

EVERY_SECONDS = 3600.0


class Retention:
    """Keeps results for `seconds`."""

    def __init__(self, results: ResultsFolder, seconds: float, log: Log) -> None:
        self._results = results
        self._seconds = seconds
        self._log = log
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Deletes what is too old, now and every hour."""
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def prune(self) -> None:
        try:
            deleted = await self._results.prune(self._seconds)
        except ResultsUnwritable as error:
            self._log.warning("benchmarks_not_pruned", reason=str(error))
            return
        if deleted:
            self._log.info("benchmarks_pruned", files=deleted)

    async def _run(self) -> None:
        while True:
            await self.prune()
            await asyncio.sleep(EVERY_SECONDS)
