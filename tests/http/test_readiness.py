"""Readiness is found out once a second at most, by a write only now and then."""

import asyncio

import pytest

from answerback.http import readiness
from answerback.http.readiness import FRESH_SECONDS, PROVEN_SECONDS, Readiness
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock


class Subject:
    def __init__(self, clock: FakeClock) -> None:
        self.asked: list[str] = []
        self.broken = False
        self.healthy = True
        self.readiness = Readiness(self._look, self._prove, lambda: self.healthy, clock.monotonic)

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


async def test_an_engine_that_stopped_is_trouble(subject: Subject) -> None:
    subject.healthy = False
    assert await subject.readiness.trouble() == "the engine is not running"


async def test_a_database_that_does_not_answer_is_not_waited_for_long(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 0.01)

    trouble = await Readiness(hangs, hangs, lambda: True, clock.monotonic).trouble()

    assert trouble == "the database does not take writes now"
