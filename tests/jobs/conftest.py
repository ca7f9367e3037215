"""A service without routes, on real time."""

from collections.abc import AsyncIterator

import pytest
from shop import Shop, SlowEcho

from answerback.jobs.kind import Registry
from builders import RealClock
from databases import Database
from fallbacks import Fallbacks


@pytest.fixture
async def shop(database: Database, fallbacks: Fallbacks) -> AsyncIterator[Shop]:
    """Its engine is not started."""
    stores = await database.open(RealClock(), metrics=fallbacks, kinds=Registry([SlowEcho()]))
    made = Shop(stores)
    yield made
    await made.close()
    await stores.close()
