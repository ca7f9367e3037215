"""Delivering one callback: what is sent, and what comes of each way a receiver can react."""

from datetime import UTC, datetime

import openai
import pytest
from owing import ALIVE, COMPLETED, DEAD, owe, record_of
from standardwebhooks.webhooks import Webhook

from answerback.kernel import signature
from answerback.kernel.failpoints import Failpoint
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.testing.clock import FakeClock
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.delivery_queue import DeliveryQueue
from answerback.webhooks.model import DEADLINE_MS, DeliveryRecord, OriginRoom
from answerback.webhooks.sending.errors import NotSent, SendError
from answerback.webhooks.sending.outcome import SHORTAGE_SECONDS, AttemptEnd, CallbackResponse
from answerback.webhooks.signing.secrets import SigningSecrets
from answerback.webhooks.signing.signer import Signer
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
    roomy,
)
from databases import Database
from stores import Stores

SECRET = signature.new_secret()
DEADLINE = DEADLINE_MS / 1000


class Post:
    """A deliverer with everything around it in view."""

    def __init__(self, stores: Stores, clock: FakeClock, journal: Journal) -> None:
        self.stores = stores
        self.clock = clock
        self.journal = journal
        self.notifier = Notifier()
        self.origins = StubOrigins()
        self.signer = Signer(SigningSecrets(stores.database, {TENANT: SECRET}), clock)
        self.failpoints: list[Failpoint] = []

    def deliverer(self, sender: StubSender) -> Deliverer:
        return Deliverer(
            store=self.stores.deliveries,
            sender=sender,
            origins=self.origins,
            signer=self.signer,
            notifier=self.notifier,
            schedule=RetrySchedule((0.0, 5.0, 300.0)),
            instruments=Instruments(self.journal, self.clock, failpoint=self.failpoints.append),
        )

    def queue(self, sender: StubSender) -> DeliveryQueue:
        return DeliveryQueue(self.stores.deliveries, self.deliverer(sender), self.origins, 60.0)

    async def attempt(self, sender: StubSender) -> DeliveryRecord:
        """Makes the one attempt that is due."""
        claim = await claim_delivery(self.stores)
        await self.deliverer(sender).run(claim)
        return await record_of(self.stores, claim)


@pytest.fixture
async def post(stores: Stores, clock: FakeClock, journal: Journal) -> Post:
    await ended_job(stores)
    return Post(stores, clock, journal)


async def test_a_callback_is_signed_and_delivered(post: Post) -> None:
    sender = StubSender(204)

    delivery = await post.attempt(sender)

    ((url, headers, body),) = sender.sent
    assert (url, headers["webhook-id"]) == (URL, delivery.id)
    assert headers == signature.headers(delivery.id, post.clock.now() // 1000, body, [SECRET])
    assert (delivery.state, delivery.delivered_at) == ("delivered", post.clock.now())
    assert [(each.status, each.http_status) for each in delivery.attempts] == [("delivered", 204)]
    assert post.failpoints == [Failpoint.BEFORE_CALLBACK, Failpoint.AFTER_CALLBACK, Failpoint.AFTER_DELIVERED]
    assert post.origins.ends == [AttemptEnd.ANSWERED]


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
    assert 4_000 <= (waiting.next_attempt_at or 0) - clock.now() <= 6_000
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


async def test_a_receiver_that_was_away_for_six_minutes_can_still_verify_what_comes(
    post: Post, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SDKs refuse timestamps that are five minutes old."""
    monkeypatch.setattr("time.time", lambda: clock.now() / 1000)
    webhooks = openai.OpenAI(api_key="none").webhooks
    sender = StubSender(SendError("connection refused"), SendError("connection refused"), 200)
    await post.attempt(sender)
    clock.advance(6)
    await post.attempt(sender)
    clock.advance(361)
    delivered = await post.attempt(sender)

    (_, first, _), _, (_, last, body) = sender.sent
    assert delivered.state == "delivered"
    assert first.keys() == last.keys() == {"webhook-id", "webhook-timestamp", "webhook-signature", "X-Signature"}
    webhooks.verify_signature(body, last, secret=SECRET)
    with pytest.raises(openai.InvalidWebhookSignatureError, match="too old"):
        webhooks.verify_signature(body, first, secret=SECRET)


async def test_the_last_attempt_that_fails_is_the_end(post: Post, clock: FakeClock) -> None:
    sender = StubSender(503)
    for _ in range(3):
        delivery = await post.attempt(sender)
        clock.advance(400)

    assert delivery.state == "dead"
    assert len(sender.sent) == 3
    assert await claim_deliveries(post.stores) == []


async def test_410_is_the_end_at_once(post: Post) -> None:
    delivery = await post.attempt(StubSender(410))

    assert delivery.state == "dead"
    assert post.journal.events == ["delivery_dead"]


async def test_retry_after_is_waited_for(post: Post, clock: FakeClock) -> None:
    delivery = await post.attempt(StubSender(CallbackResponse(429, 3_600.0, "slow down")))

    assert 3_600_000 <= (delivery.next_attempt_at or 0) - clock.now() <= 4_320_000
    assert delivery.attempts[0].snippet == "slow down"
    assert post.origins.named == [3_600.0]


async def test_a_claim_takes_what_origins_have_room_for_and_each_holds_its_place_until_it_has_run(post: Post) -> None:
    post.origins.rooms = [OriginRoom(0), OriginRoom(1)]
    queue = post.queue(StubSender())
    assert (await queue.claim(10, roomy())).rows == []

    (claim,) = (await queue.claim(10, roomy())).rows
    assert (post.origins.begun, post.origins.ends) == ([ALIVE], [])
    await queue.run(claim)

    assert post.origins.ends == [AttemptEnd.ANSWERED]


async def test_an_origin_hears_that_it_owes_nothing_from_before_any_more(post: Post) -> None:
    post.origins.rooms = [OriginRoom(2, recovered_for=5.0)]

    await post.queue(StubSender()).claim(10, roomy())

    assert post.origins.drained_keys == [ALIVE]


@pytest.mark.parametrize("more", [False, True])
async def test_an_attempt_whose_end_makes_room_wakes_the_worker_pool(stores: Stores, more: bool) -> None:
    await ended_job(stores, session=None)
    post = Post(stores, FakeClock(), Journal())
    post.origins.more_may_begin = more

    await post.attempt(StubSender())

    assert post.notifier.deliveries == int(more)


async def test_what_could_not_be_reached_is_tried_when_its_origin_recovers_and_keeps_its_turn(
    post: Post, database: Database, clock: FakeClock
) -> None:
    due = "SELECT run_at FROM deliveries"
    # Given an attempt that reached nobody, and will be made again in five minutes
    await post.attempt(StubSender(SendError("connection refused")))
    clock.advance(6)
    await post.attempt(StubSender(SendError("connection refused")))
    ((due_at,),) = await database.rows(due)
    post.origins.rooms = [OriginRoom(1, recovered_for=0.0)]
    clock.advance(1)
    queue = post.queue(StubSender(SendError("connection refused"), 200))

    # When its origin recovers, and that attempt reaches nobody either
    (early,) = (await queue.claim(10, roomy())).rows
    await queue.run(early)
    # Then its schedule is as it was
    failed = await record_of(post.stores, early)
    assert (failed.state, failed.attempt, failed.attempts_made) == ("pending", 2, 3)
    ((still_due_at,),) = await database.rows(due)
    assert abs(still_due_at - due_at) <= 1
    # And at the next recovery it is delivered
    clock.advance(1)
    (again,) = (await queue.claim(10, roomy())).rows
    await queue.run(again)
    assert (await record_of(post.stores, early)).state == "delivered"


@pytest.mark.parametrize("failed_before", [False, True])
async def test_what_was_not_sent_waits_however_its_origin_is(post: Post, clock: FakeClock, failed_before: bool) -> None:
    # Given a callback for which there was no descriptor; perhaps its receiver could not be reached before
    if failed_before:
        await post.attempt(StubSender(SendError("connection refused")))
        clock.advance(1)
    post.origins.rooms = [OriginRoom(1, recovered_for=0.0)] * 3 + [OriginRoom(1, probes=True)] * 3
    queue = post.queue(StubSender(NotSent("no descriptor"), 200))
    (unsent,) = (await queue.claim(10, roomy())).rows
    await queue.run(unsent)
    # Then it is not tried again at once, neither where its origin has recovered nor as a probe
    assert not (await queue.claim(10, roomy())).rows
    post.origins.rooms.reverse()
    assert not (await queue.claim(10, roomy())).rows
    # And soon it is
    clock.advance(2 * SHORTAGE_SECONDS)
    (again,) = (await queue.claim(10, roomy())).rows
    await queue.run(again)
    assert (await record_of(post.stores, again)).state == "delivered"


async def test_past_its_deadline_a_delivery_to_an_origin_that_stays_closed_is_dead(
    post: Post, database: Database, clock: FakeClock
) -> None:
    post.origins.rooms = [OriginRoom(0, opens_in=30.0)]
    post.origins.closed = True
    expire = post.stores.deliveries.expire
    clock.advance(DEADLINE - 0.001)
    assert await expire(post.origins.is_open) == 0
    clock.advance(0.001)

    assert await expire(post.origins.is_open) == 1

    assert await database.rows("SELECT state FROM deliveries") == [("dead",)]


async def test_elsewhere_it_is_left_for_its_last_attempt(post: Post, clock: FakeClock) -> None:
    clock.advance(DEADLINE + 1)

    assert await post.stores.deliveries.expire(post.origins.is_open) == 0


async def test_a_callback_past_its_deadline_gets_one_last_attempt(post: Post, clock: FakeClock) -> None:
    clock.advance(DEADLINE + 1)

    delivery = await post.attempt(StubSender(503))

    assert (delivery.state, delivery.attempt) == ("dead", 1)


async def test_an_attempt_that_breaks_frees_its_place_and_says_nothing_of_the_origin(post: Post) -> None:
    with pytest.raises(ZeroDivisionError):
        await post.attempt(StubSender(ZeroDivisionError()))

    assert post.origins.ends == [AttemptEnd.CANCELLED]


async def test_a_receiver_is_charged_with_the_time_that_it_took_and_not_with_our_shortages(
    post: Post, clock: FakeClock
) -> None:
    class SlowSigner(Signer):
        async def headers(self, owner: str, webhook_id: str, now: int, body: bytes) -> dict[str, str]:
            clock.advance(7)
            return await super().headers(owner, webhook_id, now, body)

    class WaitsForATurn(StubSender):
        async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
            clock.advance(20.25)
            raise SendError("connection refused", waited=20.0)

    post.signer = SlowSigner(SigningSecrets(post.stores.database, {TENANT: SECRET}), clock)

    delivery = await post.attempt(WaitsForATurn())

    assert post.origins.seconds == [pytest.approx(0.25)]
    assert delivery.attempts[0].duration_ms == 250


async def test_to_an_endpoint_that_was_deleted_nothing_is_sent_and_its_receiver_is_not_blamed(post: Post) -> None:
    endpoint = await post.stores.endpoints.create(TENANT, "mine", DEAD, [COMPLETED])
    await owe(post.stores, 1)
    await post.stores.endpoints.delete(TENANT, endpoint.id)
    (event,) = (each for each in await claim_deliveries(post.stores) if each.endpoint_id is not None)

    await post.deliverer(sender := StubSender()).run(event)

    assert (sender.sent, (await record_of(post.stores, event)).state) == ([], "dead")
    blamed = {each.url: each.healthy for each in await post.stores.deliveries.receivers(TENANT)}
    assert blamed[DEAD] is None


async def test_a_report_on_what_was_taken_away_is_discarded(post: Post, clock: FakeClock) -> None:
    class Slow(StubSender):
        async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
            clock.advance(61)
            await post.stores.deliveries.recover()
            return await super().send(tenant_id, url, headers, body)

    delivery = await post.attempt(Slow())

    assert delivery.state == "pending"
    assert post.journal.events == ["stale_delivery_discarded"]


async def test_a_settled_callback_wakes_the_worker_pool_for_the_next_of_its_conversation(post: Post) -> None:
    await ended_job(post.stores, "the next")
    await post.attempt(StubSender())
    assert post.notifier.deliveries == 1

    await post.attempt(StubSender())
    assert post.notifier.deliveries == 1, "nothing is left that could be due"


class WrongClock(FakeClock):
    """Ten minutes ahead of, or behind, the database's; seconds are as long."""

    def __init__(self, clock: FakeClock, minutes: int) -> None:
        super().__init__(clock.now() + minutes * 60_000)


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_wall_clock_that_is_wrong_changes_nothing(
    stores: Stores, clock: FakeClock, journal: Journal, minutes: int
) -> None:
    """Receivers refuse timestamps that are five minutes off, and deadlines are the database's."""
    await ended_job(stores)
    clock.advance(DEADLINE - 60)
    sender = StubSender(503)

    delivery = await Post(stores, WrongClock(clock, minutes), journal).attempt(sender)

    ((_, headers, _),) = sender.sent
    assert headers["webhook-timestamp"] == str(clock.now() // 1000)
    assert delivery.state == "pending"
