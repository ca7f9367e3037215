"""Leases are extended while their claims run, and a run whose row another worker may take is cancelled in time."""

import asyncio
from collections.abc import Sequence

import pytest
from stage import LEASE, PATIENCE, Row, Stage

from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.shielded import until_cancelled
from answerback.queue import lease_keeper

pytestmark = pytest.mark.usefixtures("time_flies")


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_heartbeats_keep_a_run_longer_than_its_first_lease(stage: Stage) -> None:
    stage.table.due = [Row("r")]
    stage.start(lease=LEASE)

    await stage.table.until(lambda: stage.table.extensions >= 8)

    assert stage.table.running == {"r"}
    assert stage.table.cancelled == {}


async def test_a_lost_lease_cancels_its_run_and_no_other(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("lost"), Row("kept")]
    table.extended = lambda held: held - {"lost"}
    stage.start(lease=LEASE)

    await table.until(lambda: bool(table.cancelled))

    assert set(table.cancelled) == {"lost"}
    assert table.running == {"kept"}
    await stage.journal.seen("lease_lost")


async def test_a_run_that_ends_as_its_extension_is_refused_has_lost_no_lease(stage: Stage) -> None:
    table = stage.table
    table.due = [Row("ending")]

    def end(_: set[str]) -> set[str]:
        table.let_go.set()
        return set()

    table.extended = end
    stage.start(lease=LEASE)
    await table.until(lambda: not table.running and table.extensions > 0)

    assert (table.ended, table.cancelled) == (["ending"], {})
    assert "lease_lost" not in stage.journal.events


async def test_a_run_that_stores_its_outcome_as_its_extension_is_refused_has_lost_no_lease(stage: Stage) -> None:
    # Given a run whose outcome is stored, but whose process has not read the database's answer yet
    table, answered, stored = stage.table, asyncio.Event(), asyncio.Event()

    async def store() -> None:
        await answered.wait()
        stored.set()

    async def run(row: Row) -> None:
        await (until_cancelled(store()) if row.id == "stored" else table.let_go.wait())

    table.run = run  # type: ignore[method-assign]
    table.due = [Row("stored"), Row("lost")]
    table.extended = lambda _: set()
    # When the extensions of its lease and of another are refused
    stage.start(lease=LEASE)
    await stage.journal.seen("lease_lost")
    # Then the other's is lost, and the outcome is stored all the same
    assert [line["id"] for event, line in stage.journal.lines if event == "lease_lost"] == ["lost"]
    answered.set()
    await asyncio.wait_for(stored.wait(), PATIENCE)


@pytest.mark.parametrize("error", [StorageUnavailable("database is locked"), ValueError("broken")])
async def test_heartbeats_that_fail_cancel_before_the_lease_ends(stage: Stage, error: Exception) -> None:
    def failing(_: set[str]) -> set[str]:
        raise error

    stage.table.extended = failing
    stage.table.due = [Row("r")]
    before = now()
    stage.start(lease=LEASE)

    await stage.table.until(lambda: bool(stage.table.cancelled))

    assert stage.table.cancelled["r"] < before + LEASE
    assert "lease_not_kept" in stage.journal.events


async def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(stage: Stage) -> None:
    table = stage.table
    table.outlasts_outages = True
    missed = 0

    def failing(held: set[str]) -> set[str]:
        nonlocal missed
        missed += 1
        if missed <= 4:
            raise StorageUnavailable("the disk is full")
        return held

    table.extended = failing
    table.due = [Row("r")]
    stage.start(lease=LEASE)

    await stage.journal.seen("heartbeat_resumed")
    await table.until(lambda: missed >= 8)

    assert [event for event in stage.journal.events if "heartbeat" in event] == [
        "heartbeat_missed",
        "heartbeat_resumed",
    ]


async def test_a_heartbeat_that_hangs_does_not_delay_the_cancellation(stage: Stage) -> None:
    table = stage.table
    stuck = asyncio.Event()

    async def hanging(held: Sequence[tuple[str, int]]) -> set[str]:
        await stuck.wait()
        return set()

    table.extend = hanging  # type: ignore[method-assign]
    table.due = [Row("r")]
    before = now()
    stage.start(lease=LEASE)

    await table.until(lambda: bool(table.cancelled))

    assert table.cancelled["r"] < before + LEASE


async def test_after_one_failed_batch_a_heartbeat_does_not_try_the_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_keeper, "EXTEND_BATCH", 1)
    table = stage.table
    asked: set[str] = set()

    def failing(held: set[str]) -> set[str]:
        asked.update(held)
        raise StorageUnavailable("database is locked")

    table.extended = failing
    table.due = [Row(f"r{n}") for n in range(10)]
    stage.start(lease=LEASE)

    await table.until(lambda: len(table.cancelled) == 10)

    assert asked == {"r0"}


async def test_a_paid_run_outlasts_an_outage_of_the_database(stage: Stage) -> None:
    table = stage.table

    def away(_: set[str]) -> set[str]:
        raise StorageUnavailable("connection refused")

    table.extended = away
    table.due = [Row("kept"), Row("taken")]
    stage.start(lease=LEASE, outlasts_outages=True)
    over = now() + 3 * LEASE
    await table.until(lambda: now() > over)
    assert table.running == {"kept", "taken"}

    table.extended = lambda held: held - {"taken"}
    await table.until(lambda: bool(table.cancelled))
    asked = table.extensions
    await table.until(lambda: table.extensions >= asked + 8)

    assert set(table.cancelled) == {"taken"}
    assert table.running == {"kept"}
    assert "lease_not_kept" not in stage.journal.events


async def test_a_paid_run_whose_process_stood_still_past_its_lease_goes_on(stage: Stage) -> None:
    stage.table.due = [Row("r")]
    pool = stage.start(outlasts_outages=True)
    await stage.table.until(lambda: stage.table.running == {"r"})

    pool._keeper.cancel_overdue(now() + 3600)
    for _ in range(3):
        await asyncio.sleep(0)

    assert stage.table.running == {"r"}
    assert "lease_not_kept" not in stage.journal.events


async def test_paid_runs_in_the_last_batch_are_not_cancelled_while_the_first_is_extended_after_an_outage(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_keeper, "EXTEND_BATCH", 1)
    table = stage.table
    table.due = [Row("a"), Row("b")]
    second, go = asyncio.Event(), asyncio.Event()
    over: list[float] = []

    async def away_then_slow(held: Sequence[tuple[str, int]]) -> set[str]:
        over[:] = over or [now() + 2 * LEASE]
        if now() < over[0]:
            raise StorageUnavailable("connection refused")
        if ("b", 1) in held:
            second.set()
            await go.wait()
        return {row_id for row_id, _ in held}

    table.extend = away_then_slow  # type: ignore[method-assign]
    pool = stage.start(lease=LEASE, outlasts_outages=True)
    await asyncio.wait_for(second.wait(), PATIENCE)

    pool._keeper.cancel_overdue(now())
    await asyncio.sleep(0)

    assert table.running == {"a", "b"}


async def test_a_paid_run_is_cancelled_where_anything_but_an_outage_keeps_its_lease_from_being_extended(
    stage: Stage,
) -> None:
    troubles: list[Exception] = [StorageUnavailable("connection refused"), ValueError("broken")]

    def failing(_: set[str]) -> set[str]:
        raise troubles.pop(0) if len(troubles) > 1 else troubles[0]

    stage.table.extended = failing
    stage.table.due = [Row("r")]
    stage.start(lease=LEASE, outlasts_outages=True)

    await stage.table.until(lambda: bool(stage.table.cancelled))
