"""A report on an attempt whose commit went through and whose answer was lost: it is logged as stored, and only then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from answerback.kernel.errors import OutcomeUnknown
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.testing.clock import FakeClock
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.signing.secrets import SigningSecrets
from answerback.webhooks.signing.signer import Signer
from builders import LEASE, Journal, Notifier, StubOrigins, StubSender, owed_delivery
from stores import Stores


def unconfirmed(stores: Stores, monkeypatch: pytest.MonkeyPatch, before: Callable[[], Awaitable[object]]) -> None:
    """After `before`, the next report is written, and the answer to it is lost."""
    lost = asyncio.Event()

    def losing(report: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        async def run(*arguments: Any, **named: Any) -> bool:
            if lost.is_set():
                return await report(*arguments, **named)
            lost.set()
            await before()
            await report(*arguments, **named)
            raise OutcomeUnknown("connection was closed in the middle of operation")

        return run

    for name in ("delivered", "send_later", "dead"):
        monkeypatch.setattr(stores.deliveries, name, losing(getattr(stores.deliveries, name)))


async def deliver(stores: Stores, clock: FakeClock, journal: Journal, status: int) -> Callable[[], Awaitable[None]]:
    """One attempt that the receiver answers with this status."""
    claim = await owed_delivery(stores)
    deliverer = Deliverer(
        store=stores.deliveries,
        sender=StubSender(status),
        origins=StubOrigins(),
        signer=Signer(SigningSecrets(stores.database), clock),
        notifier=Notifier(),
        schedule=RetrySchedule((0.0, 5.0)),
        instruments=Instruments(journal, clock),
    )
    return lambda: deliverer.run(claim)


@pytest.mark.parametrize(("status", "event"), [(200, "delivered"), (500, "delivery_retry"), (410, "delivery_dead")])
async def test_it_is_logged_as_stored(
    stores: Stores, clock: FakeClock, journal: Journal, monkeypatch: pytest.MonkeyPatch, status: int, event: str
) -> None:
    async def nothing() -> None: ...

    attempt = await deliver(stores, clock, journal, status)
    unconfirmed(stores, monkeypatch, nothing)

    await attempt()

    assert journal.events == [event]


async def test_one_on_a_row_that_was_taken_away_is_discarded(
    stores: Stores, clock: FakeClock, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose() -> None:
        clock.advance(LEASE)
        assert await stores.deliveries.recover() == 1

    attempt = await deliver(stores, clock, journal, 200)
    unconfirmed(stores, monkeypatch, lose)

    await attempt()

    assert journal.events == ["stale_delivery_discarded"]
