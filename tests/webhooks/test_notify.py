"""Notifying: one event, many destinations, each in order and each retried on its own."""

import json

import pytest
from owing import COMPLETED, FAILED

from answerback.webhooks.endpoints.operations import Endpoint
from answerback.webhooks.model import ClaimedDelivery
from answerback.webhooks.notify import envelope
from builders import REPORT, TENANT, URL, accept, claim_deliveries, claim_delivery, claim_job, ended_job, failed, finish
from databases import REFUSED, Database, columns_of
from stores import Stores


async def endpoint(
    stores: Stores, name: str = "one", types: tuple[str, ...] = (COMPLETED,), tenant: str = TENANT
) -> Endpoint:
    return await stores.endpoints.create(tenant, name, f"https://{name}.example/events", types)


def by_destination(claims: list[ClaimedDelivery]) -> dict[str, ClaimedDelivery]:
    assert len({claim.destination for claim in claims}) == len(claims)
    return {claim.endpoint_id or claim.url: claim for claim in claims}


async def test_an_event_goes_to_the_url_of_its_request_and_to_every_endpoint_that_subscribed(stores: Stores) -> None:
    one, two = await endpoint(stores, "one"), await endpoint(stores, "two", (FAILED, COMPLETED))
    await endpoint(stores, "others", (FAILED,))
    await endpoint(stores, "foreign", tenant="tenant-b")

    job_id = await ended_job(stores)

    owed = by_destination(await claim_deliveries(stores))
    assert owed.keys() == {URL, one.id, two.id}
    assert {claim.job_id for claim in owed.values()} == {job_id}
    assert {claim.event_type for claim in owed.values()} == {COMPLETED}
    assert (owed[one.id].url, owed[one.id].origin) == (one.url, "https://one.example:443")
    ids = {claim.id for claim in owed.values()}
    assert len(ids) == 3
    assert all(len(each) == 36 and int(each.removeprefix("msg_"), 16) for each in ids)


async def test_an_endpoint_receives_an_envelope_around_the_callbacks_body(stores: Stores) -> None:
    one = await endpoint(stores)

    await ended_job(stores)

    owed = by_destination(await claim_deliveries(stores))
    event = json.loads(owed[one.id].body)
    assert event.pop("id").startswith("evt_")
    assert event == {
        "object": "event",
        "type": COMPLETED,
        "created_at": owed[one.id].created_at // 1000,
        "data": json.loads(owed[URL].body),
    }


async def test_only_what_an_endpoint_subscribed_to_goes_there(stores: Stores) -> None:
    one = await endpoint(stores, types=(FAILED,))

    await ended_job(stores)
    assert by_destination(await claim_deliveries(stores)).keys() == {URL}
    await ended_job(stores, session="another", end=failed())

    assert by_destination(await claim_deliveries(stores)).keys() == {URL, one.id}


async def test_a_job_without_a_callback_url_still_notifies_endpoints(stores: Stores) -> None:
    one = await endpoint(stores)
    await accept(stores, callback_url=None)

    await finish(stores, await claim_job(stores))

    assert by_destination(await claim_deliveries(stores)).keys() == {one.id}


async def test_each_destination_gets_a_conversations_events_in_order_and_none_waits_for_another(
    stores: Stores,
) -> None:
    """A dead endpoint holds up nothing else."""
    one = await endpoint(stores)
    first, second = await ended_job(stores), await ended_job(stores)
    owed = by_destination(await claim_deliveries(stores))
    assert {claim.job_id for claim in owed.values()} == {first}

    await stores.deliveries.send_later(owed[one.id], 300.0, REPORT)
    await stores.deliveries.delivered(owed[URL], REPORT)

    following = await claim_delivery(stores)
    assert (following.job_id, following.url) == (second, URL)


async def test_one_destination_is_retried_without_the_others(stores: Stores) -> None:
    one = await endpoint(stores)
    await ended_job(stores)
    owed = by_destination(await claim_deliveries(stores))
    await stores.deliveries.delivered(owed[URL], REPORT)

    await stores.deliveries.send_later(owed[one.id], 0.0, REPORT)

    again = await claim_delivery(stores)
    assert (again.id, again.body, again.attempt) == (owed[one.id].id, owed[one.id].body, 2)


async def test_what_is_owed_to_a_deleted_endpoint_is_claimed_as_such(stores: Stores) -> None:
    one = await endpoint(stores)
    await ended_job(stores)
    await stores.endpoints.delete(TENANT, one.id)

    owed = by_destination(await claim_deliveries(stores))

    assert {key: claim.endpoint_deleted for key, claim in owed.items()} == {URL: False, one.id: True}


async def test_the_database_takes_one_delivery_an_event_and_destination(stores: Stores, database: Database) -> None:
    await ended_job(stores)

    # Without a conversation, whose order would not allow it either.
    changed = {"id": "'msg_copy'", "conversation_id": "NULL"}
    copied = ", ".join(changed.get(name, name) for name in columns_of("deliveries"))
    with pytest.raises(REFUSED):
        await database.execute(f"INSERT INTO deliveries SELECT {copied} FROM deliveries")


def test_the_envelope_is_openais() -> None:
    made = envelope("evt_1", "review.failed", 1_700_000_000_999, b'{"text": "\xc3\xa9"}')

    assert json.loads(made) == {
        "id": "evt_1",
        "object": "event",
        "type": "review.failed",
        "created_at": 1_700_000_000,
        "data": {"text": "é"},
    }
