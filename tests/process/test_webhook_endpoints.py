"""Webhook endpoints, by the official `openai` package: made, tried, notified, rotated, deleted."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import openai
import pytest
import pytest_asyncio
from relay import Client

from answerback.testing import behaviours
from answerback.testing.receiver import Callback
from answerback.testing.signatures import InvalidSignatureError, verify

OURS = [f"{kind}.{end}" for kind in ("message", "review") for end in ("cancelled", "completed", "expired", "failed")]
OPENAIS = [f"batch.{end}" for end in ("cancelled", "completed", "expired", "failed")] + [
    f"response.{end}" for end in ("cancelled", "completed", "failed", "incomplete")
]


@pytest_asyncio.fixture(loop_scope="session")
async def sdk(client: Client) -> AsyncIterator[openai.AsyncOpenAI]:
    async with sdk_of(client) as made:
        yield made


def sdk_of(client: Client) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{client.relay.service.url}/v1",
        api_key=client.key,
        max_retries=0,
        _strict_response_validation=True,
    )


async def create(sdk: openai.AsyncOpenAI, client: Client, path: str = "/events", *types: str) -> Any:
    wanted: Any = list(types or ("message.completed",))
    return await sdk.webhooks.create(name="shop", url=client.relay.receiver.url(client.path + path), event_types=wanted)


async def events(client: Client, path: str = "/events") -> Sequence[Callback]:
    """All that came to an endpoint at this path, at least one."""

    def there(came: Sequence[Callback]) -> list[Callback]:
        return [each for each in came if each.path == client.path + path]

    return there(await client.relay.receiver.wait_for(lambda came: bool(there(came))))


def came_to(client: Client, path: str) -> bool:
    return any(each.path == client.path + path for each in client.relay.receiver.callbacks)


async def test_an_endpoint_is_made_shown_changed_and_deleted(client: Client, sdk: openai.AsyncOpenAI) -> None:
    made = await create(sdk, client)

    assert made.signing_secret.startswith("whsec_")
    assert made.signing_secret_hint == f"whsec_...{made.signing_secret[-4:]}"
    shown = await sdk.webhooks.retrieve(made.id)
    assert shown.to_dict() == {key: each for key, each in made.to_dict().items() if key != "signing_secret"}

    changed = await sdk.webhooks.update(made.id, name="office", event_types=["response.completed"])
    assert (changed.name, changed.url, changed.event_types) == ("office", made.url, ["response.completed"])

    gone = await sdk.webhooks.delete(made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    with pytest.raises(openai.NotFoundError):
        await sdk.webhooks.retrieve(made.id)


async def test_they_are_listed_newest_first_over_pages(client: Client, sdk: openai.AsyncOpenAI) -> None:
    made = [(await create(sdk, client)).id for _ in range(5)]

    assert [each.id async for each in sdk.webhooks.list(limit=2)] == made[::-1]


async def test_endpoints_are_deleted_while_the_sdk_walks_over_them(client: Client, sdk: openai.AsyncOpenAI) -> None:
    made = [(await create(sdk, client)).id for _ in range(5)]

    gone = [(await sdk.webhooks.delete(each.id)).id async for each in sdk.webhooks.list(limit=2)]

    assert gone == made[::-1]
    assert [each async for each in sdk.webhooks.list()] == []


async def test_the_oldest_come_first_where_that_is_asked_for(client: Client, sdk: openai.AsyncOpenAI) -> None:
    made = [(await create(sdk, client)).id for _ in range(3)]

    reply = await client.request("GET", "/v1/webhook_endpoints?order=asc")

    assert [each["id"] for each in reply.json["data"]] == made


async def test_what_may_be_subscribed_to(sdk: openai.AsyncOpenAI) -> None:
    assert sorted((await sdk.webhooks.event_types.list()).data) == sorted(OURS + OPENAIS)


async def test_each_endpoint_receives_a_messages_end_in_openais_envelope_signed_by_its_own_secret(
    client: Client, sdk: openai.AsyncOpenAI
) -> None:
    one, two = await create(sdk, client, "/one"), await create(sdk, client, "/two")
    await create(sdk, client, "/failures", "message.failed")

    accepted = await client.say("where is my parcel?")

    (callback,) = await client.callbacks()
    for endpoint, path in ((one, "/one"), (two, "/two")):
        (event,) = await events(client, path)
        unwrapped: Any = sdk.webhooks.unwrap(event.body, event.headers, secret=endpoint.signing_secret)
        assert (unwrapped.object, unwrapped.type) == ("event", "message.completed")
        assert event.json["data"] == callback.json
        assert event.json["data"]["job_id"] == accepted["job_id"]
        assert verify(event.headers, event.body, endpoint.signing_secret) == event.id
        assert event.headers["webhook-signature"].count("v1,") == 1
    assert not came_to(client, "/failures")


async def test_a_sample_is_signed_and_sent_at_once(client: Client, sdk: openai.AsyncOpenAI) -> None:
    made = await create(sdk, client)

    for event_type in OPENAIS + OURS:
        tested = await sdk.webhooks.test(made.id, event_type=event_type)  # type: ignore[arg-type]

        assert (tested.webhook_endpoint_id, tested.event_type, tested.status_code) == (made.id, event_type, 200)
        sample = (await events(client))[-1]
        assert sample.json["type"] == event_type
        assert sdk.webhooks.unwrap(sample.body, sample.headers, secret=made.signing_secret).type == event_type


async def test_the_status_of_an_endpoint_that_refuses_a_sample_is_shown(
    client: Client, sdk: openai.AsyncOpenAI
) -> None:
    made = await create(sdk, client)
    client.relay.receiver.on(client.path + "/events", behaviours.status(503))

    assert (await sdk.webhooks.test(made.id, event_type="response.completed")).status_code == 503


async def test_an_endpoint_that_cannot_be_reached_is_named(client: Client, sdk: openai.AsyncOpenAI) -> None:
    made = await sdk.webhooks.create(name="x", url="http://127.0.0.1:9/", event_types=["response.completed"])

    with pytest.raises(openai.BadRequestError, match=r"did not answer.*refused") as refused:
        await sdk.webhooks.test(made.id, event_type="response.completed")
    assert refused.value.param == "url"


@pytest.mark.parametrize("kept", [False, True])
async def test_after_a_rotation_the_old_secret_signs_only_if_it_is_kept(
    client: Client, sdk: openai.AsyncOpenAI, kept: bool
) -> None:
    made = await create(sdk, client)

    rotated = await sdk.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=kept)

    await sdk.webhooks.test(made.id, event_type="response.completed")
    (event,) = await events(client)
    sdk.webhooks.unwrap(event.body, event.headers, secret=rotated.signing_secret)
    if kept:
        sdk.webhooks.unwrap(event.body, event.headers, secret=made.signing_secret)
    else:
        with pytest.raises(openai.InvalidWebhookSignatureError):
            sdk.webhooks.unwrap(event.body, event.headers, secret=made.signing_secret)
        with pytest.raises(InvalidSignatureError):
            verify(event.headers, event.body, made.signing_secret)


async def test_a_rotation_without_a_body_keeps_nothing(client: Client, sdk: openai.AsyncOpenAI) -> None:
    made = await create(sdk, client)

    reply = await client.request("POST", f"/v1/webhook_endpoints/{made.id}/rotate_secret")

    assert reply.status == 200
    assert reply.json["signing_secret"] != made.signing_secret
    assert reply.headers["Cache-Control"] == "no-store"


async def test_an_idempotency_key_makes_one_endpoint(client: Client, sdk: openai.AsyncOpenAI) -> None:
    asked = {"name": "x", "url": "https://example.com/", "event_types": ["message.failed"]}

    first, again = [
        await client.request("POST", "/v1/webhook_endpoints", json=asked, headers={"Idempotency-Key": "one"})
        for _ in range(2)
    ]

    assert first.json == again.json
    assert len([each async for each in sdk.webhooks.list()]) == 1


async def test_another_tenants_endpoint_is_not_there(client: Client, other: Client, sdk: openai.AsyncOpenAI) -> None:
    made = await create(sdk, client)

    async with sdk_of(other) as theirs:
        assert [each async for each in theirs.webhooks.list()] == []
        for attempt in (
            theirs.webhooks.retrieve(made.id),
            theirs.webhooks.update(made.id, name="mine"),
            theirs.webhooks.rotate_secret(made.id),
            theirs.webhooks.test(made.id, event_type="response.completed"),
            theirs.webhooks.delete(made.id),
        ):
            with pytest.raises(openai.NotFoundError):
                await attempt
    await other.say("hello")
    await other.callbacks()
    assert not came_to(client, "/events")
    assert await sdk.webhooks.retrieve(made.id)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"name": 7}, "name"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "https://user:word@example.com/"}, "url"),
        ({"url": None}, "url"),
        ({"event_types": []}, "event_types"),
        ({"event_types": "message.failed"}, "event_types"),
        ({"event_types": ["message.failed", "message.read"]}, "event_types[1]"),
        ({"event_types": ["video.completed"]}, "event_types[0]"),
    ],
)
async def test_a_wrong_endpoint_is_a_400_that_names_its_parameter(
    client: Client, changes: dict[str, Any], param: str
) -> None:
    asked = {"name": "x", "url": "https://example.com/", "event_types": ["message.failed"], **changes}

    reply = await client.request("POST", "/v1/webhook_endpoints", json=asked)

    assert reply.status == 400, reply.raw
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert reply.json["error"]["param"] == param
    assert reply.json["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"name=x"])
async def test_a_body_that_is_no_object_is_a_400_of_openais(client: Client, body: bytes) -> None:
    reply = await client.request("POST", "/v1/webhook_endpoints", data=body)

    assert reply.status == 400, reply.raw
    assert reply.json["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("after=%00", "after"),
        (f"after={'a' * 65}", "after"),
        ("after=zz", "after"),
        (f"after=whe_{'0' * 32}", "after"),
        (f"after=whe_{'f' * 32}", "after"),
        ("order=sideways", "order"),
    ],
)
async def test_a_wrong_page_is_a_400(client: Client, query: str, param: str) -> None:
    reply = await client.request("GET", f"/v1/webhook_endpoints?{query}")

    assert (reply.status, reply.json["error"]["param"]) == (400, param)
