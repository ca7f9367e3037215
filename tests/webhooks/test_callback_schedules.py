"""A kind of job may have a schedule of its own for callbacks to the URL of its request; endpoints keep the common."""

from collections.abc import AsyncIterator

import pytest
from owing import COMPLETED

from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.testing.clock import FakeClock
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.signing.secrets import SigningSecrets
from answerback.webhooks.signing.signer import Signer
from builders import TENANT, URL, Journal, Notifier, StubOrigins, StubSender, claim_deliveries, ended_job
from databases import Database
from stores import Stores

COMMON = RetrySchedule((0.0, 300.0, 300.0), jitter=0)
OWN = RetrySchedule((0.0, 2.0), jitter=0)
ENDPOINT = "https://endpoint.example/"


@pytest.fixture
async def stores(database: Database, clock: FakeClock) -> AsyncIterator[Stores]:
    """Jobs end with events of messages."""
    opened = await database.open(clock)
    yield opened
    await opened.close()


async def attempted(stores: Stores, clock: FakeClock, own: dict[str, RetrySchedule]) -> dict[str, tuple[str, int]]:
    """Makes every attempt that is due, and none succeeds: the state by URL, and milliseconds until the next attempt."""
    deliverer = Deliverer(
        store=stores.deliveries,
        sender=StubSender(503),
        origins=StubOrigins(),
        signer=Signer(SigningSecrets(stores.database), clock),
        notifier=Notifier(),
        schedule=COMMON,
        instruments=Instruments(Journal(), clock),
        callback_schedules=own,
    )
    claims = await claim_deliveries(stores)
    for claim in claims:
        await deliverer.run(claim)
    job = await stores.jobs.get(TENANT, claims[0].job_id)
    return {each.url: (each.state, (each.next_attempt_at or 0) - clock.now()) for each in job.deliveries}


async def test_the_callback_of_a_request_follows_its_kinds_schedule_and_an_endpoint_the_common_one(
    stores: Stores, clock: FakeClock
) -> None:
    await stores.endpoints.create(TENANT, "e", ENDPOINT, [COMPLETED])
    await ended_job(stores)

    first = await attempted(stores, clock, {COMPLETED: OWN})
    assert first == {URL: ("pending", 2_000), ENDPOINT: ("pending", 300_000)}
    clock.advance(2)
    second = await attempted(stores, clock, {COMPLETED: OWN})

    assert (second[URL][0], second[ENDPOINT]) == ("dead", ("pending", 298_000))


async def test_the_schedule_of_another_kind_changes_nothing(stores: Stores, clock: FakeClock) -> None:
    await ended_job(stores)

    assert await attempted(stores, clock, {"review.completed": OWN}) == {URL: ("pending", 300_000)}
