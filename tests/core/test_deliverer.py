"""Delivering one callback: what is sent, and what comes of each way a receiver can react."""

from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from answerback.jobs.finish import DELIVERY_DEADLINE_MS
from answerback.jobs.model import DeliveryRecord
from answerback.jobs.store import SqlStore
from answerback.kernel import signature
from answerback.kernel.errors import SendError
from answerback.kernel.failpoints import Failpoint
from answerback.kernel.retry import RetrySchedule
from answerback.testing.clock import FakeClock
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.model import CallbackResponse, OriginLine
from answerback.webhooks.secrets import SigningSecrets
from answerback.webhooks.signer import Signer
from builders import (
    TENANT,
    URL,
    Journal,
    Notifier,
    StubOrigins,
    StubSender,
    claim_deliveries,
    claim_delivery,
    ended_job,
)

SECRET = signature.new_secret()
DEADLINE = DELIVERY_DEADLINE_MS / 1000


class Post:
    """A deliverer with everything around it in view."""

    def __init__(self, store: SqlStore, clock: FakeClock, journal: Journal) -> None:
        self.store = store
        self.clock = clock
        self.journal = journal
        self.notifier = Notifier()
        self.origins = StubOrigins()
        self.boundaries: list[Failpoint] = []

    def deliverer(self, sender: StubSender) -> Deliverer:
        return Deliverer(
            store=self.store,
            sender=sender,
            origins=self.origins,
            signer=Signer(SigningSecrets(self.store, {TENANT: SECRET}), self.clock),
            notifier=self.notifier,
            schedule=RetrySchedule((0.0, 5.0, 300.0)),
            clock=self.clock,
            log=self.journal,
            failpoint=self.boundaries.append,
        )

    async def attempt(self, sender: StubSender) -> DeliveryRecord:
        """Makes the one attempt that is due."""
        claim = await claim_delivery(self.store)
        await self.deliverer(sender).run(claim)
        delivery = (await self.store.get_job(TENANT, claim.job_id)).delivery
        assert delivery is not None
        return delivery


@pytest.fixture
async def post(store: SqlStore, clock: FakeClock, journal: Journal) -> Post:
    await ended_job(store)
    return Post(store, clock, journal)


async def test_a_callback_is_signed_and_delivered(post: Post) -> None:
    sender = StubSender(204)

    delivery = await post.attempt(sender)

    ((url, headers, body),) = sender.sent
    assert (url, headers["webhook-id"]) == (URL, delivery.id)
    assert headers == signature.headers(delivery.id, post.clock.now() // 1000, body, [SECRET])
    assert (delivery.state, delivery.delivered_at) == ("delivered", post.clock.now())
    assert [(each.status, each.http_status) for each in delivery.attempts] == [("delivered", 204)]
    assert post.boundaries == [Failpoint.BEFORE_CALLBACK, Failpoint.AFTER_CALLBACK, Failpoint.AFTER_DELIVERED]
    assert post.origins.ended == [True]


async def test_its_signature_is_the_one_that_the_library_of_the_specification_makes(post: Post) -> None:
    sender = StubSender()

    await post.attempt(sender)

    ((_, headers, body),) = sender.sent
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], at, body.decode())


async def test_a_failed_attempt_is_made_again_with_the_same_id_and_body_and_a_fresh_timestamp(
    post: Post, clock: FakeClock
) -> None:
    sender = StubSender(503, SendError("connection refused"), 200)

    waiting = await post.attempt(sender)
    assert waiting.state == "pending"
    assert 4_000 <= waiting.run_at - clock.now() <= 6_000
    clock.advance(6)
    await post.attempt(sender)
    clock.advance(360)
    delivered = await post.attempt(sender)

    assert delivered.state == "delivered"
    assert len({(headers["webhook-id"], body) for _, headers, body in sender.sent}) == 1
    stamps = [int(headers["webhook-timestamp"]) for _, headers, _ in sender.sent]
    assert [stamps[1] - stamps[0], stamps[2] - stamps[1]] == [6, 360]
    assert len({headers["webhook-signature"] for _, headers, _ in sender.sent}) == 3
    assert [each.error for each in delivered.attempts] == [
        "the receiver answered 503", "connection refused", None,
    ]  # fmt: skip


async def test_the_last_attempt_that_fails_is_the_end(post: Post, clock: FakeClock) -> None:
    sender = StubSender(503)
    for _ in range(3):
        delivery = await post.attempt(sender)
        clock.advance(400)

    assert delivery.state == "dead"
    assert len(sender.sent) == 3
    assert await claim_deliveries(post.store) == []


async def test_410_is_the_end_at_once(post: Post) -> None:
    delivery = await post.attempt(StubSender(410))

    assert delivery.state == "dead"
    assert post.journal.events == ["delivery_dead"]


async def test_retry_after_is_waited_for(post: Post, clock: FakeClock) -> None:
    delivery = await post.attempt(StubSender(CallbackResponse(429, 3_600.0, "slow down")))

    assert 3_600_000 <= delivery.run_at - clock.now() <= 4_320_000
    assert delivery.attempts[0].snippet == "slow down"


async def test_a_closed_origin_defers_the_attempt_and_costs_none(post: Post, clock: FakeClock) -> None:
    post.origins.waits = [30.0, 30.0, 0.0]
    sender = StubSender()
    for _ in range(2):
        deferred = await post.attempt(sender)
        assert (deferred.state, deferred.attempt, deferred.run_at) == ("pending", 0, clock.now() + 30_000)
        clock.advance(30)
    assert sender.sent == []
    assert post.origins.ended == []

    delivered = await post.attempt(sender)

    assert (delivered.state, delivered.attempt, len(delivered.attempts)) == ("delivered", 1, 1)


async def test_a_claim_leaves_those_of_a_closed_origin_in_line_and_its_gate_hears_how_many(
    post: Post, clock: FakeClock
) -> None:
    line = OriginLine(f"{TENANT} https://receiver.example:443", 0, 30.0, 0.01, 100)
    post.origins.shut = [line]
    deliverer = post.deliverer(StubSender())

    assert (await deliverer.claim("worker", 10, 60.0)).deliveries == []
    assert post.origins.taken == [(line, 1)]

    post.origins.shut = []
    clock.advance(30)
    assert len((await deliverer.claim("worker", 10, 60.0)).deliveries) == 1


@pytest.mark.parametrize("waiting", [False, True])
async def test_an_attempt_that_ends_wakes_the_lane_for_those_in_line(store: SqlStore, waiting: bool) -> None:
    await ended_job(store, session=None)
    post = Post(store, FakeClock(), Journal())
    post.origins.somebody_waits = waiting

    await post.attempt(StubSender())

    assert post.notifier.deliveries == int(waiting)


async def test_the_gate_hears_which_callbacks_are_late(post: Post, clock: FakeClock) -> None:
    post.origins.waits = [61.0, 0.0]
    await post.attempt(StubSender())
    clock.advance(61)
    await post.attempt(StubSender())

    assert post.origins.late == [False, True]


async def test_an_origin_closed_past_the_deadline_is_the_end(post: Post, clock: FakeClock) -> None:
    post.origins.waits = [30.0]
    clock.advance(DEADLINE - 29)

    delivery = await post.attempt(StubSender())

    assert delivery.state == "dead"
    assert [each.status for each in delivery.attempts] == ["dead"]


async def test_a_callback_past_its_deadline_gets_one_last_attempt(post: Post, clock: FakeClock) -> None:
    clock.advance(DEADLINE + 1)

    delivery = await post.attempt(StubSender(503))

    assert (delivery.state, delivery.attempt) == ("dead", 1)


@pytest.mark.parametrize(
    ("step", "healthy"),
    [(200, True), (404, True), (410, True), (500, True), (503, True), (SendError("reset"), False)],
)
async def test_only_a_missing_response_counts_against_an_origin(
    post: Post, step: int | SendError, healthy: bool
) -> None:
    await post.attempt(StubSender(step))

    assert post.origins.ended == [healthy]


async def test_an_attempt_that_breaks_frees_its_slot_and_says_nothing_of_the_origin(post: Post) -> None:
    with pytest.raises(ZeroDivisionError):
        await post.attempt(StubSender(ZeroDivisionError()))

    assert post.origins.ended == [None]


async def test_a_report_on_what_was_taken_away_is_discarded(post: Post, clock: FakeClock) -> None:
    class Slow(StubSender):
        async def send(self, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
            clock.advance(61)
            await post.store.recover_leases()
            return await super().send(url, headers, body)

    delivery = await post.attempt(Slow())

    assert delivery.state == "pending"
    assert post.journal.events == ["stale_delivery_discarded"]


async def test_a_settled_callback_wakes_the_lane_for_the_next_of_its_conversation(post: Post) -> None:
    await post.attempt(StubSender())

    assert post.notifier.deliveries == 1


class WrongClock(FakeClock):
    """Ten minutes ahead of, or behind, the database's; seconds are as long."""

    def __init__(self, clock: FakeClock, minutes: int) -> None:
        super().__init__(clock.now() + minutes * 60_000)


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_wall_clock_that_is_wrong_changes_nothing(
    store: SqlStore, clock: FakeClock, journal: Journal, minutes: int
) -> None:
    """Receivers refuse timestamps that are five minutes off, and deadlines are the database's."""
    await ended_job(store)
    clock.advance(DEADLINE - 60)
    sender = StubSender(503)

    delivery = await Post(store, WrongClock(clock, minutes), journal).attempt(sender)

    ((_, headers, _),) = sender.sent
    assert headers["webhook-timestamp"] == str(clock.now() // 1000)
    assert delivery.state == "pending"
