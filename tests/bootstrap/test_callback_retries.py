"""How often the callbacks of each registered kind are tried."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from answerback.bootstrap.engine import callback_schedules
from answerback.bootstrap.kinds import make_kinds
from answerback.conversations.windows import DatabaseWindows
from answerback.jobs.kind import ENDED, Registry
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.kernel.shares import Weights
from answerback.settings import Settings
from answerback.testing.clock import FakeClock
from builders import Journal, StubProvider
from databases import SqliteDatabase
from toy import EchoKind


class Guard:
    async def check(self, url: str, tenant_id: str) -> None:
        return


@pytest.fixture
async def registry(path: Any, clock: FakeClock) -> AsyncIterator[Registry]:
    stores = await SqliteDatabase(path).open(clock)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    windows, instruments = DatabaseWindows(stores.conversations), Instruments(Journal(), clock)
    async with AsyncExitStack() as lifetimes:
        parts = settings, StubProvider(), Guard(), stores, windows, Weights(), instruments, lifetimes
        kinds = make_kinds(*parts)  # type: ignore[arg-type]
        yield kinds.registry
    await stores.close()


def test_a_kind_with_a_schedule_of_its_own_has_it_for_each_of_its_events() -> None:
    own, plain = EchoKind(), EchoKind()
    own.callback_retries, plain.name = RetrySchedule((0.0, 2.0)), "plain"

    schedules = callback_schedules(Registry([own, plain]))

    assert schedules == {f"echo.{state}": own.callback_retries for state in ENDED}


def test_reviews_are_called_back_by_their_own_schedule(registry: Registry) -> None:
    schedules = callback_schedules(registry)

    assert schedules.keys() == {f"review.{state}" for state in ENDED}
    assert set(schedules.values()) == {Settings(_env_file=None).review_callback_schedule}  # type: ignore[call-arg]
