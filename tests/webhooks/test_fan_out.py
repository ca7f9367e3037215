"""One event, three destinations: each signed with a secret of its own, each in order, each retried on its own."""

from collections import defaultdict

from owing import COMPLETED, record_of

from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.testing.clock import FakeClock
from answerback.testing.signatures import InvalidSignatureError, verify
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.delivery_queue import DeliveryQueue
from answerback.webhooks.endpoints.operations import Endpoint
from answerback.webhooks.sending.outcome import CallbackResponse
from answerback.webhooks.signing.secrets import SigningSecrets
from answerback.webhooks.signing.signer import Signer
from builders import (
    TENANT,
    URL,
    Journal,
    Notifier,
    StubOrigins,
    StubSender,
    accept,
    claim_delivery,
    claim_job,
    ended_job,
    finish,
    roomy,
)
from databases import Database
from stores import Stores

ONE, TWO = "https://one.example/events", "https://two.example/events"


class Receivers(StubSender):
    """Take everything, but for so many attempts at each URL that they answer with 500."""

    def __init__(self, **failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.heard: defaultdict[str, list[tuple[dict[str, str], bytes]]] = defaultdict(list)

    async def send(self, tenant_id: str, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        self.heard[url].append((headers, body))
        host = url.removeprefix("https://").partition(".")[0]
        self.failures[host] = self.failures.get(host, 0) - 1
        return CallbackResponse(500 if self.failures[host] >= 0 else 200, None, "")


def queue(stores: Stores, sender: StubSender, clock: FakeClock) -> DeliveryQueue:
    origins = StubOrigins()
    deliverer = Deliverer(
        store=stores.deliveries,
        sender=sender,
        origins=origins,
        signer=Signer(SigningSecrets(stores.database), clock),
        notifier=Notifier(),
        schedule=RetrySchedule((0.0, 5.0)),
        instruments=Instruments(Journal(), clock),
    )
    return DeliveryQueue(stores.deliveries, deliverer, origins, 60.0)


async def deliver_what_is_due(by: DeliveryQueue) -> None:
    while deliveries := (await by.claim(100, roomy())).rows:
        for delivery in deliveries:
            await by.run(delivery)


async def endpoint(stores: Stores, url: str) -> Endpoint:
    return await stores.endpoints.create(TENANT, "shop", url, [COMPLETED])


def is_signed_by(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        return verify(headers, body, secret, now=int(headers["webhook-timestamp"])) == headers["webhook-id"]
    except InvalidSignatureError:
        return False


async def test_each_destination_hears_of_both_jobs_in_order_and_one_that_fails_holds_up_no_other(
    stores: Stores, clock: FakeClock
) -> None:
    # Given a URL and two endpoints, and two jobs of one conversation
    owners = {URL: TENANT, ONE: (await endpoint(stores, ONE)).id, TWO: (await endpoint(stores, TWO)).id}
    first, second = await ended_job(stores), await ended_job(stores)
    receivers = Receivers(two=1)
    delivering = queue(stores, receivers, clock)

    # When one endpoint fails once
    await deliver_what_is_due(delivering)

    # Then the others have heard of both jobs, in order, and that one of the first alone
    def heard(url: str) -> list[str]:
        return [job for _, body in receivers.heard[url] for job in (first, second) if job.encode() in body]

    assert (heard(URL), heard(ONE), heard(TWO)) == ([first, second], [first, second], [first])
    # And it hears of that again, under the same id, and then of the second
    clock.advance(6)
    await deliver_what_is_due(delivering)
    assert (heard(URL), heard(ONE), heard(TWO)) == ([first, second], [first, second], [first, first, second])
    (failed, body), (again, same_body), _ = receivers.heard[TWO]
    assert (failed["webhook-id"], body) == (again["webhook-id"], same_body)
    # And everything that a destination heard is signed with its own secret, and with no other's
    for url, sent in receivers.heard.items():
        for owner_url, owner in owners.items():
            (secret,) = await stores.secrets.live(owner)
            assert {is_signed_by(secret.value, *each) for each in sent} == {url == owner_url}


async def test_what_is_claimed_when_its_endpoint_is_deleted_is_dead_and_makes_no_secret(
    stores: Stores, database: Database, clock: FakeClock
) -> None:
    made = await endpoint(stores, ONE)
    await accept(stores, callback_url=None)
    await finish(stores, await claim_job(stores))
    claim = await claim_delivery(stores)
    await stores.endpoints.delete(TENANT, made.id)
    receivers = Receivers()

    await queue(stores, receivers, clock).run(claim)

    assert (await record_of(stores, claim)).state == "dead"
    assert receivers.heard == {}
    assert await database.rows("SELECT * FROM signing_secrets") == []
