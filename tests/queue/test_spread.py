"""Rows of a backlog that began together do not go on ending together; nothing that is fast waits for that."""

import heapq
from collections import Counter

from stage import Row, Stage

from answerback.queue.spread import AT_ONCE, TICK_SECONDS, Spread

SLOTS = 1000


class Backlog:
    """Rows that each run for `seconds`, in `SLOTS` that began at once. Each tick claims as many as may begin."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.spread = Spread(SLOTS, lambda: self.now)
        self.ends_at = [seconds] * SLOTS
        self.began = 0

    def work(self, seconds: float) -> Counter[int]:
        """How many began in each tenth of a second."""
        began: Counter[int] = Counter()
        until = self.now + seconds
        while self.now < until:
            self.now += TICK_SECONDS
            while self.ends_at and self.ends_at[0] <= self.now:
                heapq.heappop(self.ends_at)
                self.spread.ended(self.seconds)
            rows = min(SLOTS - len(self.ends_at), self.spread.room())
            self.spread.began(rows)
            for _ in range(rows):
                heapq.heappush(self.ends_at, self.now + self.seconds)
            began[int(self.now * 10)] += rows
        return began


def test_a_burst_of_slow_rows_spreads_and_the_slots_stay_in_use() -> None:
    backlog = Backlog(seconds=10.0)

    began = backlog.work(200.0)

    assert max(began.values()) <= 45
    assert began.total() > 0.95 * 200 / 10 * SLOTS - SLOTS / 2


def test_fast_rows_begin_as_slots_are_free() -> None:
    backlog = Backlog(seconds=TICK_SECONDS)
    backlog.work(1.0)

    assert backlog.work(1.0).total() >= SLOTS * 0.9 / TICK_SECONDS


async def test_a_pool_begins_a_backlog_little_by_little_and_all_of_it(stage: Stage) -> None:
    table = stage.table
    table.due = [Row(f"r{n}") for n in range(3 * AT_ONCE)]

    stage.start(capacity=SLOTS, spread=Spread(SLOTS, stage.instruments.clock.monotonic))

    await table.until(lambda: len(table.running) == 3 * AT_ONCE)
    assert max(table.limits) == AT_ONCE
