"""Stores that know responses, beside the toy kind."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from answerback.jobs.kind import Registry
from answerback.responses.kind import ResponseKind
from answerback.testing.clock import FakeClock
from builders import StubProvider
from databases import Database
from fallbacks import Fallbacks
from stores import Stores
from toy import EchoKind

anything: Any = None


@pytest.fixture
def kind() -> ResponseKind:
    return ResponseKind(StubProvider(), anything, anything, 60.0, anything, anything)


@pytest.fixture
async def stores(
    database: Database, clock: FakeClock, fallbacks: Fallbacks, kind: ResponseKind
) -> AsyncIterator[Stores]:
    opened = await database.open(clock, metrics=fallbacks, kinds=Registry([EchoKind(), kind]))
    yield opened
    await opened.close()
