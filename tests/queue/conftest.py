"""A worker pool over scripted rows, stopped after each test."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from stage import Stage

from loop_clock import LoopClock


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


@pytest.fixture
async def time_flies(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """And stands still while the machine is busy, so that no lease ends because of that."""
    flying = asyncio.create_task(LoopClock(asyncio.get_running_loop(), monkeypatch).flies())
    yield
    flying.cancel()
