"""What each process saw of the providers is shown by all."""

from pathlib import Path

import pytest

from answerback.kernel.errors import ErrorCode, StorageUnavailable
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.telemetry import LLMCall
from answerback.llm.health import Health
from answerback.llm.standing import Rest
from answerback.overview.provider_reports import FRESH_SECONDS, ProviderReports
from answerback.overview.store import LIVE_MS, OLDEST_REPORT_MS
from answerback.testing.clock import FakeClock
from databases import SqliteDatabase
from stores import Stores

CALL = LLMCall("openrouter", "m", 0.25)
REFUSED = ProviderError(ErrorCode.UPSTREAM_AUTH, "the key is refused", retryable=False)


def process(stores: Stores, clock: FakeClock, name: str) -> ProviderReports:
    health = Health(clock)
    health.add("openrouter")
    return ProviderReports(health, stores.overview, name, clock.monotonic)


async def test_what_a_worker_saw_is_shown_by_the_process_of_the_routes(stores: Stores, clock: FakeClock) -> None:
    routes, worker = process(stores, clock, "routes"), process(stores, clock, "worker")
    worker.health.called(CALL, None)
    worker.health.called(CALL, REFUSED)
    worker.health.rests("openrouter", None, 60, ErrorCode.UPSTREAM_AUTH)
    await worker.write()

    (shown,) = await routes.standings()

    assert (shown.reachable, shown.since, shown.error) == (False, clock.now(), "the key is refused")
    assert (shown.calls, shown.failures, shown.latency_ms_p50) == (2, 1, 250)
    assert (shown.last_error, list(shown.rests)) == (
        "the key is refused",
        [Rest(None, clock.now() + 60_000, ErrorCode.UPSTREAM_AUTH)],
    )


async def test_a_process_counts_its_own_calls_once(stores: Stores, clock: FakeClock) -> None:
    routes, worker = process(stores, clock, "routes"), process(stores, clock, "worker")
    for each in (routes, worker):
        each.health.called(CALL, None)
        await each.write()
    worker.health.called(CALL, None)
    await worker.write()

    for each in (routes, worker):
        assert (await each.standings())[0].calls == 3


async def test_what_was_read_is_shown_for_a_while(stores: Stores, clock: FakeClock) -> None:
    routes, worker = process(stores, clock, "routes"), process(stores, clock, "worker")
    assert (await routes.standings())[0].reachable is None
    worker.health.called(CALL, None)
    await worker.write()
    assert (await routes.standings())[0].reachable is None

    clock.advance(FRESH_SECONDS + 1)

    assert (await routes.standings())[0].reachable is True


async def test_a_process_that_ended_a_day_ago_is_forgotten(stores: Stores, clock: FakeClock) -> None:
    routes, worker = process(stores, clock, "routes"), process(stores, clock, "worker")
    worker.health.called(CALL, REFUSED)
    await worker.write()
    assert (await routes.standings())[0].reachable is False

    clock.advance(OLDEST_REPORT_MS / 1000 + 1)

    assert (await routes.standings())[0].reachable is None


async def test_what_rested_in_a_process_that_is_gone_rests_no_more(stores: Stores, clock: FakeClock) -> None:
    # Given a process in which a provider rests for a day
    routes, gone = process(stores, clock, "routes"), process(stores, clock, "gone")
    gone.health.called(CALL, REFUSED)
    gone.health.rests("openrouter", "m", 86_400, ErrorCode.UPSTREAM_RATE_LIMITED)
    await gone.write()
    assert (await routes.standings())[0].rests

    # When it writes no more
    clock.advance(LIVE_MS / 1000 + 1)

    # Then its rest is over, and its calls still count
    (shown,) = await routes.standings()
    assert (list(shown.rests), shown.calls, shown.last_error) == ([], 1, "the key is refused")


async def test_what_rests_in_a_process_is_shown_as_long_as_it_lives(stores: Stores, clock: FakeClock) -> None:
    routes, worker = process(stores, clock, "routes"), process(stores, clock, "worker")
    worker.health.rests("openrouter", "m", 60, ErrorCode.UPSTREAM_RATE_LIMITED)
    await worker.write()

    clock.advance(LIVE_MS / 1000 + 1)
    await worker.write()
    assert (await routes.standings())[0].rests

    clock.advance(60)
    await worker.write()
    assert not (await routes.standings())[0].rests


async def test_nothing_is_written_where_nothing_changed_and_nothing_rests(
    stores: Stores, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a process in which nothing rests any more, and which has written so
    worker = process(stores, clock, "worker")
    worker.health.rests("openrouter", "m", 60, ErrorCode.UPSTREAM_RATE_LIMITED)
    await worker.write()
    clock.advance(61)
    await worker.write()

    async def unexpected(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(stores.overview, "write_report", unexpected)
    await worker.write()


async def test_what_cannot_be_written_now_is_written_later(
    stores: Stores, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes, worker = process(stores, clock, "routes"), process(stores, clock, "worker")
    worker.health.called(CALL, None)

    async def away(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(stores.overview, "write_report", away)
        await worker.write()

    await worker.write()

    assert (await routes.standings())[0].calls == 1


async def test_a_process_that_is_gone_is_forgotten_though_the_clock_was_set_back(path: Path, clock: FakeClock) -> None:
    # Given SQLite, whose time no step moves
    stores = await SqliteDatabase(path).open(clock)
    routes, gone = process(stores, clock, "routes"), process(stores, clock, "gone")
    gone.health.called(CALL, REFUSED)
    await gone.write()

    # When a day passes on a clock that was set back by one
    clock.step(-86_400)
    clock.advance(OLDEST_REPORT_MS / 1000 + 1)

    # Then it is shown no more
    assert (await routes.standings())[0].reachable is None
    await stores.close()
