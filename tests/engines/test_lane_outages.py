"""A pool whose database is away: what is paid for goes on, and is fenced where somebody else has taken it."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from stage import SHORT, Row, Stage

from answerback.kernel.errors import StorageUnavailable
from answerback.queue import worker_pool as pools


async def test_what_is_paid_for_outlasts_a_database_that_is_away(stage: Stage) -> None:
    table = stage.table

    def away(_: set[str]) -> set[str]:
        raise StorageUnavailable("connection refused")

    table.extended = away
    table.due = [Row("kept"), Row("taken")]
    stage.start(lease=SHORT, outlasts=True)
    over = time.monotonic() + 3 * SHORT
    await table.until(lambda: time.monotonic() > over)
    assert table.running == {"kept", "taken"}

    table.extended = lambda held: held - {"taken"}
    await table.until(lambda: bool(table.cancelled))
    asked = table.extensions
    await table.until(lambda: table.extensions >= asked + 8)

    assert set(table.cancelled) == {"taken"}
    assert table.running == {"kept"}
    assert "lease_not_kept" not in stage.journal.events


async def test_what_is_paid_for_waits_for_its_turn_to_be_extended_when_the_database_is_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "EXTEND_BATCH", 1)
    table = stage.table
    table.due = [Row("a"), Row("b")]
    second, go = asyncio.Event(), asyncio.Event()
    over: list[float] = []

    async def away_then_slow(held: Sequence[tuple[str, int]]) -> set[str]:
        over[:] = over or [time.monotonic() + 2 * SHORT]
        if time.monotonic() < over[0]:
            raise StorageUnavailable("connection refused")
        if ("b", 1) in held:
            second.set()
            await go.wait()
        return {row_id for row_id, _ in held}

    table.extend = away_then_slow  # type: ignore[method-assign]
    pool = stage.start(lease=SHORT, outlasts=True)
    await asyncio.wait_for(second.wait(), 20)

    pool._cancel_overdue(time.monotonic())
    await asyncio.sleep(0)

    assert table.running == {"a", "b"}


async def test_what_is_paid_for_is_cancelled_where_something_else_keeps_its_lease_from_being_extended(
    stage: Stage,
) -> None:
    troubles: list[Exception] = [StorageUnavailable("connection refused"), ValueError("broken")]

    def failing(_: set[str]) -> set[str]:
        raise troubles.pop(0) if len(troubles) > 1 else troubles[0]

    stage.table.extended = failing
    stage.table.due = [Row("r")]
    stage.start(lease=SHORT, outlasts=True)

    await stage.table.until(lambda: bool(stage.table.cancelled))
