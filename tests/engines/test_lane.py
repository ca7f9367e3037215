"""A pool holds what it claimed: no more than it can, no longer than it may, and gives back the rest."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from stage import SHORT, Row, Stage

from answerback.kernel.errors import StorageUnavailable
from answerback.queue import worker_pool as pools


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only notifications wake a pool."""
    monkeypatch.setattr(pools, "POLL_SECONDS", 3_600.0)


@pytest.mark.usefixtures("no_poll")
async def test_no_more_than_the_capacity_runs_and_an_end_makes_room(stage: Stage) -> None:
    table = stage.table
    table.due = [Row(f"r{n}") for n in range(25)]
    pool = stage.start(capacity=10)
    await table.until(lambda: len(table.running) == 10)
    assert (pool.in_flight, len(table.due)) == (10, 15)

    table.let_go.set()
    await table.until(lambda: len(table.ended) == 25)

    assert table.most == 10
    assert max(table.limits) <= 10


@pytest.mark.usefixtures("no_poll")
async def test_a_hint_wakes_it(stage: Stage) -> None:
    table = stage.table
    stage.start()
    await table.until(lambda: len(table.limits) == 1)

    table.due = [Row("r")]
    stage.ready.set()

    await table.until(lambda: table.running == {"r"})


@pytest.mark.usefixtures("no_poll")
async def test_a_hint_that_comes_during_a_claim_is_not_lost(stage: Stage) -> None:
    table = stage.table
    table.gate = asyncio.Event()
    stage.start()
    await table.until(lambda: len(table.limits) == 1)

    table.due = [Row("r")]
    stage.ready.set()
    table.gate.set()

    await table.until(lambda: table.running == {"r"})


async def test_the_poll_finds_what_no_hint_told_of(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.01)
    table = stage.table
    stage.start()
    await table.until(lambda: len(table.limits) == 1)

    table.due = [Row("r")]

    await table.until(lambda: table.running == {"r"})


@pytest.mark.usefixtures("no_poll")
async def test_a_due_row_that_somebody_else_has_locked_is_not_asked_for_without_a_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "LOCKED_SECONDS", 3_600.0)
    table = stage.table

    async def locked(limit: int) -> tuple[Sequence[Row], float | None]:
        table.limits.append(limit)
        await table.tell()
        return [], 0.0

    table.claim = locked  # type: ignore[method-assign]
    stage.start()
    await table.until(lambda: len(table.limits) == 1)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(table.limits) == 1
    stage.ready.set()

    await table.until(lambda: len(table.limits) == 2)


@pytest.mark.parametrize("trouble", [StorageUnavailable("database is locked"), ValueError("a row makes no sense")])
async def test_a_claim_that_fails_is_made_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.01)
    stage.table.trouble = trouble
    stage.table.due = [Row("r")]

    stage.start()

    await stage.table.until(lambda: stage.table.running == {"r"})
    assert stage.journal.events[0] in ("claim_postponed", "claim_broke")


async def test_a_run_that_breaks_is_logged_and_the_lane_goes_on(stage: Stage) -> None:
    stage.table.due = [Row("broken"), Row("r")]
    pool = stage.start()

    await stage.journal.seen("attempt_broke")
    await stage.table.until(lambda: stage.table.running == {"r"})

    assert pool.in_flight == 1
    assert stage.journal.lines[0][1]["id"] == "broken"


async def test_heartbeats_keep_what_runs_past_its_first_lease(stage: Stage) -> None:
    stage.table.due = [Row("r")]
    stage.start(lease=SHORT)

    await stage.table.until(lambda: stage.table.extensions >= 8)

    assert stage.table.running == {"r"}
    assert stage.table.cancelled == {}


async def test_a_lost_lease_cancels_its_task_and_no_other(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("lost"), Row("kept")]
    table.extended = lambda held: held - {"lost"}
    stage.start(lease=SHORT)

    await table.until(lambda: bool(table.cancelled))

    assert set(table.cancelled) == {"lost"}
    assert table.running == {"kept"}
    assert "lease_lost" in stage.journal.events


async def test_what_ends_as_its_lease_is_refused_was_not_lost(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("ending")]

    def end(_: set[str]) -> set[str]:
        table.let_go.set()
        return set()

    table.extended = end
    stage.start(lease=SHORT)
    await table.until(lambda: not table.running and table.extensions > 0)

    assert (table.ended, table.cancelled) == (["ending"], {})
    assert "lease_lost" not in stage.journal.events


@pytest.mark.parametrize("error", [StorageUnavailable("database is locked"), ValueError("broken")])
async def test_heartbeats_that_fail_cancel_before_the_lease_ends(stage: Stage, error: Exception) -> None:
    def failing(_: set[str]) -> set[str]:
        raise error

    stage.table.extended = failing
    stage.table.due = [Row("r")]
    before = time.monotonic()
    stage.start(lease=1.0)

    await stage.table.until(lambda: bool(stage.table.cancelled))

    assert stage.table.cancelled["r"] < before + 1.0
    assert "lease_not_kept" in stage.journal.events


async def test_a_heartbeat_that_hangs_does_not_delay_the_cancellation(stage: Stage) -> None:
    table = stage.table
    stuck = asyncio.Event()

    async def hanging(held: Sequence[tuple[str, int]]) -> set[str]:
        await stuck.wait()
        return set()

    table.extend = hanging  # type: ignore[method-assign]
    table.due = [Row("r")]
    before = time.monotonic()
    stage.start(lease=1.0)

    await table.until(lambda: bool(table.cancelled))

    assert table.cancelled["r"] < before + 1.0


async def test_after_one_failed_batch_a_heartbeat_does_not_try_the_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "EXTEND_BATCH", 1)
    table = stage.table
    asked: set[str] = set()

    def failing(held: set[str]) -> set[str]:
        asked.update(held)
        raise StorageUnavailable("database is locked")

    table.extended = failing
    table.due = [Row(f"r{n}") for n in range(10)]
    stage.start(lease=SHORT)

    await table.until(lambda: len(table.cancelled) == 10)

    assert asked == {"r0"}


async def test_a_dropped_claim_is_cancelled(stage: Stage) -> None:
    stage.table.due = [Row("r"), Row("other")]
    pool = stage.start()
    await stage.table.until(lambda: len(stage.table.running) == 2)

    pool.drop("r")
    pool.drop("unknown")

    await stage.table.until(lambda: stage.table.running == {"other"})


async def test_a_row_claimed_anew_ends_its_older_attempt(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("r", 1)]
    pool = stage.start()
    await table.until(lambda: table.running == {"r"})

    table.due = [Row("r", 2)]
    stage.ready.set()
    await table.until(lambda: "r" in table.cancelled)

    assert pool.in_flight == 1


async def test_stopping_lets_in_what_ends_within_the_grace(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("r")]
    pool = stage.start()
    await table.until(lambda: table.running == {"r"})

    stopping = asyncio.create_task(pool.stop(20.0))
    await asyncio.sleep(0)
    table.let_go.set()
    await stopping

    assert (table.ended, table.released) == (["r"], [])


async def test_stopping_gives_back_what_is_unfinished_and_claims_no_more(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("a", 7), Row("b", 8)]
    pool = stage.start()
    await table.until(lambda: len(table.running) == 2)

    await pool.stop(0.0)

    assert sorted(table.released) == [("a", 7, 0.0), ("b", 8, 0.0)]
    assert set(table.cancelled) == {"a", "b"}
    await asyncio.wait_for(stage.tasks[0], 20)


async def test_a_claim_that_returns_after_the_stop_is_given_back_unstarted(stage: Stage) -> None:
    table = stage.table
    table.gate = asyncio.Event()
    table.due = [Row("late", 3)]
    pool = stage.start()
    await table.until(lambda: len(table.limits) == 1)

    await pool.stop(0.0)
    table.gate.set()
    await asyncio.wait_for(stage.tasks[0], 20)

    assert table.released == [("late", 3, 0.0)]
    assert (table.most, pool.in_flight) == (0, 0)


@pytest.mark.parametrize("trouble", [StorageUnavailable("database is locked"), ValueError("deadlock detected")])
async def test_trouble_with_the_database_does_not_keep_a_lane_from_stopping(stage: Stage, trouble: Exception) -> None:
    async def failing(_: Sequence[tuple[str, int, float]]) -> None:
        raise trouble

    stage.table.release = failing  # type: ignore[method-assign]
    stage.table.due = [Row("r")]
    pool = stage.start()
    await stage.table.until(lambda: stage.table.running == {"r"})

    await pool.stop(0.0)

    assert stage.journal.events == ["not_given_back"]


@pytest.mark.usefixtures("no_poll")
async def test_who_waits_for_room_waits_until_a_run_ends(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("a"), Row("b")]
    pool = stage.start(capacity=2)
    await pool.room()
    await table.until(lambda: len(table.running) == 2)
    assert pool.full

    waiting = asyncio.create_task(pool.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    table.let_go.set()

    await asyncio.wait_for(waiting, 20)
    assert not pool.full


@pytest.mark.usefixtures("no_poll")
async def test_nobody_waits_for_room_in_a_lane_that_stops(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("a")]
    pool = stage.start(capacity=1)
    await table.until(lambda: len(table.running) == 1)

    waiting = asyncio.create_task(pool.room())
    await pool.stop(0.0)

    await asyncio.wait_for(waiting, 20)
