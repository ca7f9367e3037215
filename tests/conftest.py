"""A store on a fresh file, a clock that only moves when told to, a log that remembers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from answerback.core.callbacks import render
from answerback.storage.sqlite import open_sqlite
from answerback.storage.store import SqlStore
from answerback.testing.clock import FakeClock
from builders import Journal


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answerback.db"


@pytest.fixture
async def store(path: Path, clock: FakeClock) -> AsyncIterator[SqlStore]:
    opened = await open_sqlite(path, clock, render)
    yield opened
    await opened.close()
