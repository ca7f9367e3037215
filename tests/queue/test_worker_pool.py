"""A worker pool claims what it has room for, when notified and by polling, and gives unfinished rows back."""

import asyncio
from collections.abc import Sequence

import pytest
from stage import Row, Stage

from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.shares import Shares
from answerback.queue import worker_pool as pools
from answerback.queue.leased_queue import Claims


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only notifications wake a pool."""
    monkeypatch.setattr(pools, "POLL_SECONDS", 3_600.0)


@pytest.mark.usefixtures("no_poll")
async def test_no_more_than_the_capacity_runs_and_an_end_makes_room(stage: Stage) -> None:
    table = stage.table
    table.due = [Row(f"r{n}") for n in range(25)]
    stage.start(capacity=10)
    await table.until(lambda: len(table.running) == 10)
    assert len(table.due) == 15

    table.let_go.set()
    await table.until(lambda: len(table.ended) == 25)

    assert table.most == 10
    assert max(table.limits) <= 10


@pytest.mark.usefixtures("no_poll")
async def test_a_run_that_is_cancelled_as_soon_as_it_is_claimed_still_begins_and_cleans_up(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("r")]
    pool = stage.start()
    await pool.claim_once()
    assert table.running == set()

    pool.drop("r")

    await table.until(lambda: table.cancelled.keys() == {"r"} and not table.running)


@pytest.mark.usefixtures("no_poll")
async def test_for_a_while_after_a_row_was_started_more_are_expected(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = stage.start()
    assert not pool.started_lately()

    stage.table.due = [Row("r")]
    await pool.claim_once()

    assert pool.started_lately()
    monkeypatch.setattr(pools, "LATELY_SECONDS", 0.0)
    assert not pool.started_lately()


@pytest.mark.usefixtures("no_poll")
async def test_a_notification_wakes_it(stage: Stage) -> None:
    table = stage.table
    stage.start()
    await table.until(lambda: len(table.limits) == 1)

    table.due = [Row("r")]
    stage.ready.set()

    await table.until(lambda: table.running == {"r"})


@pytest.mark.usefixtures("no_poll")
async def test_a_notification_that_comes_during_a_claim_is_not_lost(stage: Stage) -> None:
    table = stage.table
    table.claiming = asyncio.Event()
    stage.start()
    await table.until(lambda: len(table.limits) == 1)

    table.due = [Row("r")]
    stage.ready.set()
    table.claiming.set()

    await table.until(lambda: table.running == {"r"})


async def test_the_poll_finds_a_row_that_no_notification_announced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.01)
    table = stage.table
    stage.start()
    await table.until(lambda: len(table.limits) == 1)

    table.due = [Row("r")]

    await table.until(lambda: table.running == {"r"})


@pytest.mark.usefixtures("no_poll")
async def test_a_due_row_that_another_transaction_has_locked_is_not_claimed_without_a_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "LOCKED_SECONDS", 3_600.0)
    table = stage.table

    async def locked(limit: int, _: Shares) -> Claims[Row]:
        table.limits.append(limit)
        await table.announce()
        return Claims([], 0.0)

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


async def test_claims_that_an_outage_postpones_are_logged_when_it_begins_and_when_it_is_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.01)
    table, claim = stage.table, stage.table.claim

    async def away(limit: int, shares: Shares) -> Claims[Row]:
        if len(table.limits) < 4:
            table.trouble = StorageUnavailable("connection refused")
        return await claim(limit, shares)

    table.claim = away  # type: ignore[method-assign]
    stage.start()

    await table.until(lambda: len(table.limits) == 8)

    assert stage.journal.events == ["claim_postponed", "claim_resumed"]


async def test_a_run_that_breaks_is_logged_and_the_pool_goes_on(stage: Stage) -> None:
    stage.table.due = [Row("broken"), Row("r")]
    stage.start()

    await stage.journal.seen("attempt_broke")
    await stage.table.until(lambda: stage.table.running == {"r"})

    assert stage.journal.lines[0][1]["id"] == "broken"


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

    await pool.stop(0.0)
    assert table.released == [("r", 2)]


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

    assert sorted(table.released) == [("a", 7), ("b", 8)]
    assert set(table.cancelled) == {"a", "b"}
    await asyncio.wait_for(stage.tasks[0], 20)


async def test_a_claim_that_returns_after_the_stop_is_given_back_unstarted(stage: Stage) -> None:
    table = stage.table
    table.claiming = asyncio.Event()
    table.due = [Row("late", 3)]
    pool = stage.start()
    await table.until(lambda: len(table.limits) == 1)

    await pool.stop(0.0)
    table.claiming.set()
    await asyncio.wait_for(stage.tasks[0], 20)

    assert table.released == [("late", 3)]
    assert table.most == 0


@pytest.mark.parametrize("trouble", [StorageUnavailable("database is locked"), ValueError("deadlock detected")])
async def test_trouble_with_the_database_does_not_keep_a_pool_from_stopping(stage: Stage, trouble: Exception) -> None:
    async def failing(_: Sequence[tuple[str, int, float]]) -> None:
        raise trouble

    stage.table.release = failing  # type: ignore[method-assign]
    stage.table.due = [Row("r")]
    pool = stage.start()
    await stage.table.until(lambda: stage.table.running == {"r"})

    await pool.stop(0.0)

    assert stage.journal.events == ["not_given_back"]


@pytest.mark.usefixtures("no_poll")
async def test_room_is_there_when_a_run_ends(stage: Stage) -> None:
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
async def test_waiting_for_room_ends_when_the_pool_stops(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("a")]
    pool = stage.start(capacity=1)
    await table.until(lambda: len(table.running) == 1)

    waiting = asyncio.create_task(pool.room())
    await pool.stop(0.0)

    await asyncio.wait_for(waiting, 20)


@pytest.mark.usefixtures("no_poll")
async def test_the_last_claim_before_a_stop_waits_for_the_one_under_way(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("a")]
    table.claiming = asyncio.Event()
    pool = stage.start()
    await table.until(lambda: len(table.limits) == 1)

    last = asyncio.create_task(pool.claim_once())
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(table.limits) == 1
    table.claiming.set()
    await last
    table.let_go.set()
    await pool.stop(20.0)

    assert (table.ended, table.released) == (["a"], [])


@pytest.mark.usefixtures("no_poll")
async def test_room_is_there_again_when_a_claim_finds_that_nothing_is_held_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the jobs of a tenant that held its share were put off, and none of them runs."""
    held_back = [True, False]

    async def claim(_: int, __: Shares) -> Claims[Row]:
        return Claims([], None, held_back.pop(0))

    monkeypatch.setattr(stage.table, "claim", claim)
    pool = stage.start()
    while held_back:
        await asyncio.sleep(0)
        stage.ready.set()

    await asyncio.wait_for(pool.room(), 20)
    assert not pool.full
