"""A receiver that goes away and comes back: claims, breaker, window and schedule together, on a clock of the test's."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import pytest
from owing import DEAD, owe

from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import STANDARD_WEBHOOKS_SCHEDULE, RetrySchedule
from answerback.testing.clock import FakeClock
from answerback.webhooks.deliver import Deliverer, Sender
from answerback.webhooks.delivery_queue import DeliveryQueue
from answerback.webhooks.limits.breaker import CircuitBreakers
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.sending.outcome import CallbackResponse
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


class LimitedByRate:
    """Takes ten in a second, and says when it takes more."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.taken = deque[float](maxlen=10)
        self.refused = 0

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        self.clock.advance(0.001)
        now = self.clock.monotonic()
        if len(self.taken) == 10 and (wait := self.taken[0] + 1.0 - now) > 0:
            self.refused += 1
            return CallbackResponse(429, wait, "")
        self.taken.append(now)
        return CallbackResponse(200, None, "")

    async def close(self) -> None:
        return


def working(stores: Stores, receiver: Sender, clock: FakeClock) -> Callable[[float], Awaitable[None]]:
    """A process that delivers until a time, as a worker pool does, but for its notifications."""
    origins = CircuitBreakers(clock.monotonic)
    deliverer = Deliverer(
        store=stores.deliveries,
        sender=receiver,
        origins=origins,
        signer=Unsigned(),  # type: ignore[arg-type]
        notifier=Notifier(),
        schedule=RetrySchedule(STANDARD_WEBHOOKS_SCHEDULE),
        instruments=Instruments(Journal(), clock),
    )
    queue = DeliveryQueue(stores.deliveries, deliverer, origins, 60.0)

    async def work(until: float) -> None:
        while (left := until - clock.monotonic()) > 0:
            claims = await queue.claim(100, roomy())
            await asyncio.gather(*(queue.run(claim) for claim in claims.rows))
            clock.advance(min(left, 0.01 if claims.rows else max(0.01, min(10.0, claims.next_in or 10.0))))

    return work


@pytest.mark.parametrize("count", [1, 4, 200])
async def test_when_it_answers_again_everything_arrives_soon_whatever_its_schedule_says(
    stores: Stores, database: Database, clock: FakeClock, count: int
) -> None:
    # Given a receiver that is away for an hour, in which some attempts fail and are scheduled for hours later
    began = clock.monotonic()
    receiver = Away(clock, began + 3_600)
    work = working(stores, receiver, clock)
    await owe(stores, count, DEAD)
    await work(began + 3_600)
    # So many at once before anything is known of it, then a probe after each pause, which soon is a minute.
    assert receiver.attempts <= 64 + 60 + 20

    # When it is back, though nothing new is sent to it
    await owe(stores, 1)
    await work(clock.monotonic() + 90)

    # Then nothing waits any more
    states = await database.rows("SELECT state, count(*) FROM deliveries GROUP BY state")
    assert states == [("delivered", count + 1)]
    assert receiver.others == 1


async def test_one_that_was_not_started_yet_gets_its_first_callback_soon_after_its_start(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    """Two attempts have failed by then, and the schedule's next is five minutes later."""
    began = clock.monotonic()
    receiver = Away(clock, began + 20)
    work = working(stores, receiver, clock)
    await owe(stores, 1, DEAD)

    await work(began + 28)

    assert await database.rows("SELECT state, attempt FROM deliveries") == [("delivered", 3)]


async def test_a_restart_while_it_was_away_does_not_leave_what_waits_to_the_schedule(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    began = clock.monotonic()
    receiver = Away(clock, began + 3_000)
    await owe(stores, 1, DEAD)
    await working(stores, receiver, clock)(began + 3_000)

    restarted = working(stores, receiver, clock)
    await restarted(clock.monotonic() + 2)

    assert await database.rows("SELECT state FROM deliveries") == [("delivered",)]


async def test_one_path_of_a_receiver_that_never_answers_does_not_stop_the_others(
    stores: Stores, clock: FakeClock
) -> None:
    # Given a hundred callbacks to a path that never answers
    began = clock.monotonic()
    receiver = Away(clock, back_at=float("inf"))
    work = working(stores, receiver, clock)
    await owe(stores, 100, f"{URL}/hangs")
    await work(began + 1)

    # When every three seconds something is owed to another path there
    most_waiting = 0
    for n in range(1, 101):
        await owe(stores, 1)
        await work(began + 1 + 3 * n)
        most_waiting = max(most_waiting, n - receiver.others)

    # Then that comes soon: the paths take turns, and a probe is made after five seconds
    assert most_waiting <= 3


async def test_one_that_limits_calls_by_rate_refuses_fewer_than_it_takes(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    receiver = LimitedByRate(clock)
    await owe(stores, 300)

    # Those that are refused twice are tried again after five minutes.
    await working(stores, receiver, clock)(clock.monotonic() + 400)

    assert await database.rows("SELECT state, count(*) FROM deliveries GROUP BY state") == [("delivered", 300)]
    assert receiver.refused < 200
