"""Readiness is found out once a second at most, by a write only now and then."""

import asyncio
from pathlib import Path

import pytest

from answerback.database.operation import Operation, Transaction
from answerback.database.statement import Statement
from answerback.http import readiness
from answerback.http.readiness import FRESH_SECONDS, PROVEN_SECONDS, Readiness
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from whole_api import whole_api


class Subject:
    def __init__(self, clock: FakeClock) -> None:
        self.asked: list[str] = []
        self.broken = False
        self.healthy = True
        self.failed = 0
        self.readiness = Readiness(self._look, self._prove, lambda: self.failed, lambda: self.healthy, clock.monotonic)

    async def _look(self) -> None:
        await self._ask("look")

    async def _prove(self) -> None:
        await self._ask("write")

    async def _ask(self, how: str) -> None:
        self.asked.append(how)
        await asyncio.sleep(0)
        if self.broken:
            raise StorageUnavailable("full")


@pytest.fixture
def subject(clock: FakeClock) -> Subject:
    return Subject(clock)


async def test_many_calls_ask_the_database_once_a_second(subject: Subject, clock: FakeClock) -> None:
    for _ in range(3):
        assert await asyncio.gather(*(subject.readiness.trouble() for _ in range(50))) == [None] * 50
        clock.advance(FRESH_SECONDS)
    assert subject.asked == ["write", "look", "look"]


async def test_a_write_proves_it_now_and_then(subject: Subject, clock: FakeClock) -> None:
    await subject.readiness.trouble()
    clock.advance(PROVEN_SECONDS)
    await subject.readiness.trouble()
    assert subject.asked == ["write", "write"]


async def test_after_trouble_only_a_write_will_do(subject: Subject, clock: FakeClock) -> None:
    await subject.readiness.trouble()
    subject.broken = True
    clock.advance(FRESH_SECONDS)
    assert await subject.readiness.trouble() == "the database does not take writes now"
    subject.broken = False
    clock.advance(FRESH_SECONDS)
    assert await subject.readiness.trouble() is None
    assert subject.asked == ["write", "look", "write"]


async def test_after_a_write_that_failed_only_a_write_will_do_once(subject: Subject, clock: FakeClock) -> None:
    await subject.readiness.trouble()
    subject.failed += 1
    for _ in range(2):
        clock.advance(FRESH_SECONDS)
        assert await subject.readiness.trouble() is None
    assert subject.asked == ["write", "write", "look"]


async def test_a_message_that_could_not_be_stored_ends_the_readiness(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)

    def fill(_: Transaction) -> Operation[None]:
        yield Statement("PRAGMA max_page_count = 1")()

    # Given a service that has proven that its database takes writes, which then may not grow any more
    async with whole_api(path) as api:
        assert (await api("GET", "/readyz")).status == 200
        await api.service.stores.database.write.run(fill)

        # When messages come until one cannot be stored
        message = {"message": "Hello!" * 1_000, "callback_url": "https://203.0.114.1/hook"}
        replies = [await api("POST", "/webhook", body=message) for _ in range(20)]
        assert replies[-1].code == "storage_unavailable"

        # Then the service is not ready
        assert (await api("GET", "/readyz")).code == "not_ready"


async def test_an_engine_that_stopped_is_trouble(subject: Subject) -> None:
    subject.healthy = False
    assert await subject.readiness.trouble() == "the engine is not running"


async def test_a_database_that_does_not_answer_is_not_waited_for_long(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 0.01)

    trouble = await Readiness(hangs, hangs, lambda: 0, lambda: True, clock.monotonic).trouble()

    assert trouble == "the database does not take writes now"
