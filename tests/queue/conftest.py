"""A worker pool over scripted rows, stopped after each test."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
