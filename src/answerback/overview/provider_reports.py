"""What each process has seen of the providers, in the database, so that all show the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.late_writes import LateWrites
from answerback.kernel.shared import Shared
from answerback.llm.health import Health
from answerback.llm.standing import Seen, Standing
from answerback.overview.store import OverviewStore

WRITE_SECONDS = 2.0
FRESH_SECONDS = 2.0
SHARE = 0.01
"""Of the time that reading may take, however many processes there are."""

REPORT: TypeAdapter[Mapping[str, Seen]] = TypeAdapter(Mapping[str, Seen])
"""By the provider's name."""


class ProviderReports:
    """Writes what `health` saw in this process, if it has changed, and reads what others wrote. `monotonic` is in
    seconds. A rest is in the memory of its process and ends with it: while there is one, it is written again and again,
    and it is shown only of processes that do so."""

    def __init__(self, health: Health, store: OverviewStore, process_id: str, monotonic: Callable[[], float]) -> None:
        self.health = health
        self._store = store
        self._process_id = process_id
        self._written = health.seen()
        self._writes = LateWrites(self.write, WRITE_SECONDS)
        self._others = Shared(self._read, monotonic, FRESH_SECONDS, SHARE)

    def start(self) -> None:
        self._writes.start()

    async def close(self) -> None:
        # What could not be written in time is for looking at only.
        await self._writes.close()
        await self._others.close()

    async def write(self) -> None:
        """Tries again the next time while the database is away."""
        seen = self.health.seen()
        if seen == self._written and not any(each.rests for each in seen.values()):
            return
        try:
            await self._store.write_report(self._process_id, REPORT.dump_json(seen).decode())
        except StorageUnavailable:
            return
        self._written = seen

    async def standings(self) -> Sequence[Standing]:
        """How the providers do, in their order, as all processes have seen it. Raises StorageUnavailable."""
        self.health.others = await self._others.get()
        return self.health.standings()

    async def _read(self) -> Sequence[Mapping[str, Seen]]:
        reports = await self._store.reports_of_others(self._process_id)
        return [_seen(REPORT.validate_json(each.text), live=each.live) for each in reports]


def _seen(report: Mapping[str, Seen], *, live: bool) -> Mapping[str, Seen]:
    return report if live else {name: replace(each, rests=()) for name, each in report.items()}
