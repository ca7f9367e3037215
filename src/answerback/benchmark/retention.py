"""Deleting old results, by each process that makes some: they are on its own disk."""

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

    async def prune(self) -> float:
        """Deletes what is too old; in how many seconds to do so again."""
        try:
            deleted = await self._results.prune(self._seconds)
        except ResultsUnwritable as error:
            self._log.warning("benchmarks_not_pruned", reason=str(error))
            return EVERY_SECONDS
        if deleted:
            self._log.info("benchmarks_pruned", files=deleted)
        return EVERY_SECONDS
