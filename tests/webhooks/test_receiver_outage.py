"""A receiver that goes away and comes back: claims, breaker, window and schedule together, on a clock of the test's."""

import asyncio

import pytest
from owing import DEAD, owe

from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import STANDARD_WEBHOOKS_SCHEDULE, RetrySchedule
from answerback.testing.clock import FakeClock
from answerback.webhooks.breaker import CircuitBreakers
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.errors import SendError
from answerback.webhooks.outcome import CallbackResponse
from builders import URL, Journal, Notifier, roomy
from databases import Database
from stores import Stores


class Unsigned:
    async def headers(self, owner: str, webhook_id: str, now: int, body: bytes) -> dict[str, str]:
        return {"webhook-id": webhook_id}


class Away:
    """Answers from `back_at` on; the usual receiver answers always."""

    def __init__(self, clock: FakeClock, back_at: float) -> None:
        self.clock = clock
        self.back_at = back_at
        self.attempts = 0
        self.others = 0

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        if url == URL:
            self.others += 1
            return CallbackResponse(200, None, "")
        self.attempts += 1
        if self.clock.monotonic() < self.back_at:
            raise SendError("connection refused")
        return CallbackResponse(200, None, "")

    async def close(self) -> None:
        return


@pytest.mark.parametrize("count", [1, 4, 200])
async def test_when_it_answers_again_everything_arrives_soon_whatever_its_schedule_says(
    stores: Stores, database: Database, clock: FakeClock, count: int
) -> None:
    # Given a receiver that is away for an hour, in which some attempts fail and are scheduled for hours later
    began = clock.monotonic()
    receiver = Away(clock, began + 3_600)
    deliverer = Deliverer(
        store=stores.deliveries,
        sender=receiver,
        origins=CircuitBreakers(clock.monotonic),
        signer=Unsigned(),  # type: ignore[arg-type]
        notifier=Notifier(),
        schedule=RetrySchedule(STANDARD_WEBHOOKS_SCHEDULE),
        instruments=Instruments(Journal(), clock),
    )

    async def work(until: float) -> None:
        """As a worker pool does, but for its notifications."""
        while (left := until - clock.monotonic()) > 0:
            claims = await deliverer.claim("worker", 100, 60.0, roomy())
            await asyncio.gather(*(deliverer.run(claim) for claim in claims.deliveries))
            clock.advance(min(left, 0.01 if claims.deliveries else max(0.01, min(1.0, claims.next_in or 1.0))))

    await owe(stores, count, DEAD)
    await work(began + 3_600)
    # So many at once before anything is known of it, and then a probe every five minutes at most.
    assert receiver.attempts <= 64 + 20

    # When it is back, and hears something new
    await owe(stores, 1, DEAD)
    await owe(stores, 1)
    await work(clock.monotonic() + 330)

    # Then nothing waits any more
    states = await database.rows("SELECT state, count(*) FROM deliveries GROUP BY state")
    assert states == [("delivered", count + 2)]
    assert receiver.others == 1
