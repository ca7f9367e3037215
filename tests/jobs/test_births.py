"""Jobs and deliveries that are born claimed: an idle process accepts, answers and delivers without one claim."""

import asyncio
import gc
from typing import Any

import pytest
from shop import Shop, SlowEcho

from answerback.jobs.kind import JobState, Registry
from answerback.kernel.errors import OutcomeUnknown, StorageUnavailable
from answerback.queue import worker_pool as pools
from answerback.queue.leases import Offer
from answerback.webhooks.limits.breaker import CircuitBreakers
from answerback.webhooks.model import OriginKey, OriginRoom
from builders import (
    LEASE,
    REPORT,
    ROOMY,
    TENANT,
    URL,
    RealClock,
    StubOrigins,
    accept,
    claim_delivery,
    claim_job,
    completed,
    finish,
    new_job,
    roomy,
)
from databases import Database
from fallbacks import Fallbacks
from stores import Stores

OFFER = Offer("birth/1", LEASE)


async def leases(database: Database, table: str) -> list[tuple[Any, ...]]:
    return await database.rows(f"SELECT state, attempt, lease_epoch, lease_owner FROM {table} ORDER BY state DESC")


async def born(stores: Stores, session: str | None = "s", **changes: Any) -> Any:
    return await stores.jobs.accept(new_job(session=session, **changes), ROOMY, OFFER)


async def test_a_job_with_an_offer_is_claimed_by_its_insert(stores: Stores, database: Database) -> None:
    accepted = await born(stores)

    claim = accepted.claim
    assert (claim.id, claim.epoch, claim.attempt) == (accepted.job_id, 1, 1)
    assert await leases(database, "jobs") == [("running", 1, 1, "birth/1")]
    assert await finish(stores, claim)


async def test_a_born_claim_equals_the_claim_of_a_queued_job(stores: Stores) -> None:
    first = (await born(stores, "a")).claim
    await accept(stores, session="b")
    second = await claim_job(stores)

    for name in ("epoch", "attempt", "erased_through", "window_from"):
        assert getattr(first, name) == getattr(second, name)
    assert (first.job.args, first.job.position, first.job.callback_url) == (
        second.job.args, second.job.position, second.job.callback_url,
    )  # fmt: skip
    assert first.claimed_at == first.due_at
    assert first.deadline_at - first.claimed_at == second.deadline_at - second.due_at


async def test_a_job_behind_another_of_its_conversation_is_held_whatever_is_offered(
    stores: Stores, database: Database
) -> None:
    await born(stores)

    second = await born(stores)

    assert (second.claim, second.queued) == (None, False)
    assert [state for state, *_ in await leases(database, "jobs")] == ["running", "held"]


async def test_nobody_who_waits_is_overtaken(stores: Stores, database: Database) -> None:
    await accept(stores, session="waits")

    late = await born(stores, "late")

    assert (late.claim, late.queued) == (None, True)
    assert await leases(database, "jobs") == [("queued", 0, 0, None)] * 2


async def test_a_born_job_has_a_rank_so_that_its_tenant_gets_no_more_than_its_share(
    stores: Stores, database: Database
) -> None:
    for n in range(3):
        await born(stores, f"s{n}")

    ranks = [rank for (rank,) in await database.rows("SELECT rank FROM jobs ORDER BY conversation_id")]

    assert ranks == sorted(set(ranks))
    assert ranks[0] > 0


async def test_a_birth_whose_commit_was_not_answered_is_given_back_uncounted(
    stores: Stores, database: Database
) -> None:
    accepted = await born(stores)
    stores.jobs.unconfirmed.add("birth/1")

    again = await claim_job(stores)

    assert (again.id, again.attempt, again.epoch) == (accepted.job_id, 1, 2)
    assert await database.rows("SELECT attempts_made, lease_losses FROM jobs") == [(0, 0)]


async def test_a_delivery_with_an_offer_is_claimed_by_the_end_of_its_job(stores: Stores, database: Database) -> None:
    await accept(stores)
    finished = await stores.jobs.finish(await claim_job(stores), completed(), REPORT, OFFER)

    assert finished is not None
    claim = finished.claim
    assert claim is not None
    assert (claim.epoch, claim.attempt, claim.url, claim.tenant_id) == (1, 1, URL, TENANT)
    assert not finished.owes
    assert await leases(database, "deliveries") == [("sending", 1, 1, "birth/1")]
    assert await stores.deliveries.delivered(claim, REPORT)


async def test_a_born_delivery_equals_a_claimed_one(stores: Stores) -> None:
    for session in ("a", "b"):
        await accept(stores, session=session)
    first, second = sorted(
        (await stores.jobs.claim("worker", 2, LEASE, roomy())).jobs, key=lambda claim: str(claim.job.conversation_id)
    )
    finished = await stores.jobs.finish(first, completed(), REPORT, OFFER)
    await finish(stores, second)
    claimed = await claim_delivery(stores)
    assert finished is not None
    assert finished.claim is not None

    for name in ("event_type", "endpoint_id", "endpoint_deleted", "destination", "url", "origin", "epoch", "attempt"):
        assert getattr(finished.claim, name) == getattr(claimed, name), name
    assert finished.claim.deadline_at - finished.claim.due_at == claimed.deadline_at - claimed.due_at


@pytest.mark.parametrize("session", ["s", "another"])
async def test_a_delivery_overtakes_none_of_its_conversation_and_none_that_is_due_at_its_origin(
    stores: Stores, session: str
) -> None:
    await accept(stores)
    await finish(stores, await claim_job(stores))
    await accept(stores, session=session)

    finished = await stores.jobs.finish(await claim_job(stores), completed(), REPORT, OFFER)

    assert finished is not None
    assert finished.claim is None
    assert finished.owes == (session != "s")


async def test_a_delivery_overtakes_none_at_its_origin_that_could_not_be_reached(stores: Stores) -> None:
    await accept(stores, session="waits")
    await finish(stores, await claim_job(stores))
    assert await stores.deliveries.send_later(await claim_delivery(stores), 3_600.0, REPORT, unreached=True)
    await accept(stores, session="late")

    finished = await stores.jobs.finish(await claim_job(stores), completed(), REPORT, OFFER)

    assert finished is not None
    assert (finished.claim, finished.owes) == (None, True)


async def test_a_delivery_that_its_receiver_put_off_holds_up_no_other(stores: Stores) -> None:
    await accept(stores, session="waits")
    await finish(stores, await claim_job(stores))
    assert await stores.deliveries.send_later(await claim_delivery(stores), 3_600.0, REPORT)
    await accept(stores, session="late")

    finished = await stores.jobs.finish(await claim_job(stores), completed(), REPORT, OFFER)

    assert finished is not None
    assert finished.claim is not None


@pytest.fixture
def no_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first claims, which find nothing, no poll comes."""
    monkeypatch.setattr(pools, "POLL_SECONDS", 3_600.0)


async def start(shop: Shop) -> list[str]:
    """Lets the engine's first claims pass; returns the owners of the claims that come after them."""
    claims: list[str] = []
    all_three = asyncio.Event()
    for unconfirmed in (shop.stores.jobs.unconfirmed, shop.stores.deliveries.unconfirmed):

        async def claim(owner: str, make: Any, claiming: Any = unconfirmed.claim) -> Any:
            made = await claiming(owner, make)
            claims.append(owner)
            if len(claims) == 3:
                all_three.set()
            return made

        unconfirmed.claim = claim  # type: ignore[method-assign]
    shop.engine.start()
    await all_three.wait()
    # Until the pools know that the claims are done.
    await turn()
    claims.clear()
    return claims


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("no_claims")
async def test_an_idle_process_answers_and_delivers_without_a_claim(shop: Shop) -> None:
    claims = await start(shop)

    await shop.submit("hello")

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 1)
    await shop.journal.seen("delivered")
    assert claims == []
    assert shop.mailbox.bodies[0]["echo"] == "hello"


@pytest.mark.usefixtures("no_claims")
async def test_a_conversation_goes_on_in_order(shop: Shop) -> None:
    await start(shop)

    await asyncio.gather(*(shop.submit(f"m{n}") for n in range(20)))

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 20)
    assert shop.kind.texts == [body["echo"] for body in shop.mailbox.bodies]


@pytest.mark.usefixtures("no_claims")
async def test_a_client_that_hangs_up_leaves_no_job_that_nobody_runs(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start(shop)
    accepting, entered = shop.stores.jobs.accept, asyncio.Event()

    def enter(*args: Any) -> Any:
        entered.set()
        return accepting(*args)

    monkeypatch.setattr(shop.stores.jobs, "accept", enter)
    submitting = asyncio.ensure_future(shop.submit("hello"))
    await entered.wait()

    submitting.cancel()

    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 1)


@pytest.mark.usefixtures("no_claims")
async def test_a_refusal_that_its_client_does_not_wait_for_is_not_logged_as_a_fault(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    entered, gone, refused = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def refuse(*_: Any) -> Any:
        entered.set()
        await gone.wait()
        refused.set()
        raise StorageUnavailable("the database is away")

    monkeypatch.setattr(shop.stores.jobs, "accept", refuse)
    submitting = asyncio.ensure_future(shop.submit("hello"))
    await entered.wait()
    submitting.cancel()
    await asyncio.wait([submitting])

    gone.set()
    await refused.wait()
    await asyncio.sleep(0)
    gc.collect()

    assert logged == []


@pytest.mark.usefixtures("no_claims")
async def test_places_and_permits_are_all_free_again_in_the_end(database: Database, fallbacks: Fallbacks) -> None:
    stores = await database.open(RealClock(), metrics=fallbacks, kinds=Registry([SlowEcho()]))
    breakers = CircuitBreakers(RealClock().monotonic)
    shop = Shop(stores, concurrency=4, origins=breakers)
    await start(shop)

    await asyncio.gather(*(shop.submit(f"m{n}", session=f"s{n % 7}") for n in range(60)))
    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 60)
    await shop.close()

    for pool in (shop.engine._jobs, shop.engine._deliveries):
        assert pool._shares.taken == 0
    assert [state.in_flight for state in breakers._origins.values()] == [0]
    assert await stores.jobs.count_open() == 0
    await stores.close()


@pytest.mark.usefixtures("no_claims")
async def test_a_delivery_to_an_origin_whose_breaker_is_open_waits_for_the_probe(
    database: Database, fallbacks: Fallbacks
) -> None:
    stores = await database.open(RealClock(), metrics=fallbacks, kinds=Registry([SlowEcho()]))
    shop = Shop(stores, origins=Closed())
    await start(shop)

    await shop.submit("hello")
    await shop.journal.seen("answered")

    assert [state for state, *_ in await leases(database, "deliveries")] == ["pending"]
    assert shop.mailbox.sent == []
    await shop.close()
    await stores.close()


class Closed(StubOrigins):
    def reserve(self, key: OriginKey) -> bool:
        return False

    def look(self, key: OriginKey, late: bool, unreached: bool = False) -> OriginRoom:
        return OriginRoom(0, opens_in=30.0)


@pytest.mark.usefixtures("no_claims")
async def test_an_end_whose_commit_was_not_answered_is_delivered_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start(shop)
    finishing = shop.stores.jobs.finish
    lost: list[str] = []

    async def finish_unanswered(*args: Any) -> Any:
        finished = await finishing(*args)
        if not lost:
            lost.append(args[0].id)
            raise OutcomeUnknown("the connection broke")
        return finished

    monkeypatch.setattr(shop.stores.jobs, "finish", finish_unanswered)

    accepted = await shop.submit("hello")
    await shop.mailbox.until(lambda: len(shop.mailbox.sent) == 1)
    await shop.journal.seen("delivered")

    assert lost == [accepted.job_id]
    record = await shop.stores.jobs.get(TENANT, accepted.job_id)
    assert record.state is JobState.COMPLETED
    (delivery,) = record.deliveries
    assert (delivery.state, delivery.attempt) == ("delivered", 1)
    assert shop.kind.runs == 1
