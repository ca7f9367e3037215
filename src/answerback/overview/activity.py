"""Counting how jobs and calls end: in memory as they do, in the database every few seconds.

No job pays a statement for it. What was counted since the last write is lost with the process: it is for looking at.
"""

from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue

from answerback.database.operation import Transaction
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.late_writes import LateWrites
from answerback.kernel.log import Log
from answerback.kernel.telemetry import JobEnd
from answerback.overview.model import ALL_TENANTS, MINUTE_MS, Count, Slot
from answerback.overview.store import OverviewStore

WRITE_SECONDS = 2.0
MAX_SLOTS = 20_000
"""How many are remembered while the database is away; then they are forgotten."""


class Activity:
    """The ends of jobs that this process has committed, and of calls that clients waited for, not yet taken out.
    `now` is in epoch milliseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        # The database's thread puts, the event loop takes.
        self._ended: SimpleQueue[tuple[int, list[JobEnd], int]] = SimpleQueue()

    def committed(self, transaction: Transaction) -> None:
        """Of any thread."""
        if transaction.ended:
            self._ended.put((transaction.wall // MINUTE_MS, transaction.ended, 0))

    def called(self, end: JobEnd) -> None:
        """A call that its client waited for has ended."""
        self._ended.put((self._now() // MINUTE_MS, [end], 1))

    def take(self) -> dict[Slot, Count]:
        """What ended since the last call: of each tenant, and of all."""
        taken: dict[Slot, Count] = {}
        for minute, end, calls in self._taken():
            usage = end.usage
            tokens = (0, 0) if usage is None else (usage.prompt_tokens, usage.completion_tokens)
            count = Count(1, *tokens, calls)
            slot = Slot(end.tenant_id, minute, end.outcome)
            taken[slot] = taken[slot] + count if slot in taken else count
        for slot, count in tuple(taken.items()):
            of_all = slot._replace(tenant_id=ALL_TENANTS)
            taken[of_all] = taken.get(of_all, Count()) + count
        return taken

    def _taken(self) -> Iterator[tuple[int, JobEnd, int]]:
        while True:
            try:
                minute, ended, calls = self._ended.get_nowait()
            except Empty:
                return
            for end in ended:
                yield minute, end, calls


class ActivityWriter:
    """Writes one process's activity, and the rest of it at its end."""

    def __init__(self, activity: Activity, store: OverviewStore, log: Log) -> None:
        self._activity = activity
        self._store = store
        self._log = log
        self._unwritten: Mapping[Slot, Count] = {}
        self._writes = LateWrites(self.write, WRITE_SECONDS)

    def start(self) -> None:
        self._writes.start()

    async def close(self) -> None:
        if not await self._writes.close():
            self._log.warning("activity_lost", reason="the database did not answer in time")

    async def write(self) -> None:
        """Adds what has been counted; keeps it for the next time while the database is away."""
        counts = dict(self._unwritten)
        for slot, count in self._activity.take().items():
            counts[slot] = counts.get(slot, Count()) + count
        self._unwritten = {}
        if not counts:
            return
        try:
            await self._store.add(counts)
        except StorageUnavailable as error:
            if len(counts) <= MAX_SLOTS:
                self._unwritten = counts
            else:
                self._log.warning("activity_lost", reason=str(error))
