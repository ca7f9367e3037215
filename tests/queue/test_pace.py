"""Batch work begins as fast as the event loop is on time, one by one beside live work, and never stands still."""

import pytest
from stage import Row, Stage

from answerback.queue.pace import INCREASE, LATE_SECONDS, MOST, TICK_SECONDS, Pace


class Loop:
    """An event loop that is as late as the test says, with live work or without."""

    def __init__(self, late: float = 0.0) -> None:
        self.late = late
        self.live = False

    async def lateness(self) -> float:
        return self.late

    def has_live_work(self) -> bool:
        return self.live

    def pace(self) -> Pace:
        return Pace(self.has_live_work, self.lateness)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def pace(loop: Loop) -> Pace:
    return loop.pace()


async def begun(pace: Pace, ticks: int) -> int:
    return sum([await pace.next() for _ in range(ticks)])


async def test_while_the_loop_is_on_time_claims_bring_more_up_to_a_bound(pace: Pace) -> None:
    first, second = await begun(pace, 100), await begun(pace, 100)
    await begun(pace, int(MOST / INCREASE))

    assert 100 < first < second
    assert await begun(pace, 10) == 10 * MOST


async def test_a_late_loop_gets_fewer_within_a_few_ticks(pace: Pace, loop: Loop) -> None:
    await begun(pace, int(MOST / INCREASE))
    loop.late = LATE_SECONDS

    assert await begun(pace, 6) < 2 * MOST
    assert await begun(pace, 50) == 20


@pytest.mark.parametrize("late", [0.0, LATE_SECONDS])
async def test_beside_live_work_twenty_begin_a_second_one_by_one(pace: Pace, loop: Loop, late: float) -> None:
    await begun(pace, int(MOST / INCREASE))
    loop.live, loop.late = True, late

    brought = [await pace.next() for _ in range(int(1 / TICK_SECONDS))]

    assert (sum(brought), max(brought)) == (20, 1)


async def test_after_live_work_claims_bring_more_again(pace: Pace, loop: Loop) -> None:
    await begun(pace, int(MOST / INCREASE))
    loop.live = True
    await begun(pace, 10)

    loop.live = False

    assert await begun(pace, 100) > 100


async def test_a_loop_that_is_always_late_stops_no_batch_work(stage: Stage) -> None:
    stage.table.due = [Row(f"r{n}") for n in range(5)]
    stage.table.let_go.set()

    stage.start(pace=Loop(late=1.0).pace())

    await stage.table.until(lambda: len(stage.table.ended) == 5)
    assert stage.table.limits[:5] == [1] * 5
