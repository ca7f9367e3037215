"""Senders that may call loopback, a receiver for them to call, and stores whose jobs end with events."""

from collections.abc import AsyncIterator

import pytest
from owing import subscribable
from sending import DEADLINE, sending

from answerback.testing.clock import FakeClock
from answerback.testing.receiver import Receiver
from answerback.webhooks.sender import WebhookSender
from databases import Database
from fallbacks import Fallbacks
from stores import Stores


@pytest.fixture
async def stores(database: Database, clock: FakeClock, fallbacks: Fallbacks) -> AsyncIterator[Stores]:
    opened = await database.open(clock, metrics=fallbacks, kinds=subscribable())
    yield opened
    await opened.close()


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    async with sending() as sender:
        yield sender


@pytest.fixture
async def hasty() -> AsyncIterator[WebhookSender]:
    """A sender with a short deadline."""
    async with sending(DEADLINE) as sender:
        yield sender


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver
