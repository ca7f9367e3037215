"""Senders that may call loopback, and a receiver for them to call."""

from collections.abc import AsyncIterator

import pytest
from sending import DEADLINE, sending

from answerback.testing.receiver import Receiver
from answerback.webhooks.sending.sender import WebhookSender


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
