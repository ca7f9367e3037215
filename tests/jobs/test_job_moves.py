"""Waiting for a job to end: woken where this process moves it on, else by polling."""

import asyncio

import pytest

from answerback.jobs import moves
from answerback.jobs.moves import JobMoves
from answerback.kernel.errors import NotFound, StorageUnavailable


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> JobMoves:
    """Never polls."""
    monkeypatch.setattr(moves, "POLL_SECONDS", 3600)
    return JobMoves()


class Row:
    """Is looked at; holds an end, or an error."""

    def __init__(self, *looks: str | Exception | None) -> None:
        self._looks = list(looks)
        self.looked = asyncio.Event()

    async def __call__(self) -> str | None:
        self.looked.set()
        found = self._looks.pop(0) if self._looks else None
        if isinstance(found, Exception):
            raise found
        return found


async def test_all_who_wait_are_woken_by_the_end(waits: JobMoves) -> None:
    rows = [Row(None, "end"), Row(None, "end")]
    waiting = [asyncio.ensure_future(waits.until("job_1", row)) for row in rows]
    for row in rows:
        await row.looked.wait()

    waits.moved("job_2")
    waits.moved("job_1")

    assert await asyncio.gather(*waiting) == ["end", "end"]


async def test_an_end_that_comes_before_the_wait_is_found(waits: JobMoves) -> None:
    waits.moved("job_1")

    assert await waits.until("job_1", Row("end")) == "end"


async def test_an_end_elsewhere_is_found_by_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "POLL_SECONDS", 0.001)

    assert await JobMoves().until("job_1", Row(None, None, "end")) == "end"


async def test_a_database_that_is_away_ends_no_wait(waits: JobMoves) -> None:
    assert await waits.until("job_1", Row(StorageUnavailable(), "end")) == "end"


async def test_what_the_look_raises_ends_the_wait(waits: JobMoves) -> None:
    with pytest.raises(NotFound):
        await waits.until("job_1", Row(NotFound("gone")))
