"""Tenants: what is one's is seen by all of its keys, by operators where they ask for it, and by nobody else."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from relay import AUTH_TOKEN, OPERATOR_TOKEN, Client, Relay, problem
from standardwebhooks import Webhook, WebhookVerificationError

from answerback.kernel import signature
from answerback.testing import replies
from answerback.testing.receiver import Callback, Receiver
from answerback.testing.signatures import InvalidSignatureError, verify


@pytest.fixture
def operator(relay: Relay) -> Client:
    return Client(relay, OPERATOR_TOKEN)


@pytest_asyncio.fixture(loop_scope="session")
async def own() -> AsyncIterator[Receiver]:
    """A receiver that verifies nothing by itself."""
    async with Receiver() as receiver:
        yield receiver


async def make_key(by: Client, name: str, **fields: Any) -> Any:
    """The body of a 201."""
    reply = await by.request("POST", "/v1/keys", json={"name": name, **fields})
    assert reply.status == 201, reply.raw
    return reply.json


async def make_tenant(operator: Client) -> tuple[Client, Any]:
    """A client with the first key of a new tenant, and what was shown of the key."""
    client = Client(operator.relay, None)
    made = await make_key(operator, client.name)
    client.key = made["key"]
    return client, made


async def callback_of(client: Client, receiver: Receiver) -> Callback:
    """The callback of a message that this client sends now."""
    await client.say(callback_url=receiver.url(client.path))
    return (await client.callbacks(1, receiver))[-1]


# Keys of one tenant, and of two.


async def test_two_keys_of_a_tenant_see_the_same(operator: Client) -> None:
    first, made = await make_tenant(operator)
    second = Client(first.relay, (await make_key(operator, "second", tenant=made["tenant_id"]))["key"], first.name)
    accepted = await first.say(session_id="s")
    job = await first.settled(accepted["job_id"])

    assert await second.job(job["job_id"]) == job
    assert await second.jobs() == await first.jobs()
    assert await second.get("/v1/sessions/s") == await first.get("/v1/sessions/s")
    assert await second.get("/v1/signing_secret") == await first.get("/v1/signing_secret")
    assert (await second.say(session_id="s"))["seq"] == 2


async def test_another_tenant_sees_none_of_it(operator: Client) -> None:
    (first, _), (stranger, _) = [await make_tenant(operator) for _ in range(2)]
    accepted = await first.say(session_id="s")
    delivery_id = (await first.settled(accepted["job_id"]))["delivery"]["id"]

    for method, path in (
        ("GET", f"/v1/jobs/{accepted['job_id']}"),
        ("POST", f"/v1/jobs/{accepted['job_id']}/cancel"),
        ("POST", f"/v1/jobs/{accepted['job_id']}/retry"),
        ("POST", f"/v1/deliveries/{delivery_id}/resend"),
        ("POST", f"/v1/deliveries/{delivery_id}/replay"),
        ("GET", "/v1/sessions/s"),
        ("DELETE", "/v1/sessions/s"),
    ):
        problem(await stranger.request(method, path), 404, "not_found")
    assert await stranger.jobs() == []


async def test_an_idempotency_key_is_its_tenants(operator: Client) -> None:
    first, made = await make_tenant(operator)
    second = Client(first.relay, (await make_key(operator, "second", tenant=made["tenant_id"]))["key"], first.name)
    stranger = Client(first.relay, (await make_tenant(operator))[0].key, first.name)
    key = {"Idempotency-Key": "k"}

    jobs = [(await each.post(headers=key)).json["job_id"] for each in (first, second, stranger)]

    assert jobs[0] == jobs[1] != jobs[2]


async def test_what_belongs_to_a_tenant_outlives_its_keys(operator: Client) -> None:
    client, made = await make_tenant(operator)
    accepted = await client.say()
    await client.settled(accepted["job_id"])
    replacement = Client(client.relay, (await make_key(operator, "new", tenant=made["tenant_id"]))["key"])

    revoked = await operator.request("DELETE", f"/v1/keys/{made['id']}")

    assert (revoked.status, revoked.raw) == (204, b"")
    problem(await client.request("GET", "/v1/jobs"), 401, "unauthorized")
    assert [job["job_id"] for job in await replacement.jobs()] == [accepted["job_id"]]


# Operators.


async def test_operators_list_the_jobs_of_the_tenant_they_ask_for(operator: Client) -> None:
    (client, made), (_, other) = [await make_tenant(operator) for _ in range(2)]
    client.relay.llm.on(client.text("bad"), replies.status(400))
    accepted = await client.say("bad")
    await client.ended(accepted["job_id"], "failed")

    async def listed(query: str) -> list[str]:
        return [job["job_id"] for job in await operator.jobs(query)]

    assert await listed(f"?tenant={made['tenant_id']}") == [accepted["job_id"]]
    assert await listed(f"?tenant={made['tenant_id']}&status=failed") == [accepted["job_id"]]
    assert await listed(f"?tenant={made['tenant_id']}&status=completed") == []
    assert await listed(f"?tenant={other['tenant_id']}") == []
    assert await listed("?tenant=nobody") == []
    assert accepted["job_id"] not in await listed("")


@pytest.mark.parametrize("key", ["a tenant's", "AUTH_TOKEN"])
async def test_clients_may_not_ask_for_a_tenant_not_even_their_own(operator: Client, key: str) -> None:
    client, made = await make_tenant(operator)
    asking = client if key == "a tenant's" else Client(client.relay, AUTH_TOKEN)

    for tenant in (made["tenant_id"], "nobody", ""):
        problem(await asking.request("GET", f"/v1/jobs?tenant={tenant}"), 403, "forbidden")


@pytest.mark.parametrize("key", ["a tenant's", "AUTH_TOKEN"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/key_1")])
async def test_clients_may_neither_see_nor_make_nor_revoke_keys(
    client: Client, method: str, path: str, key: str
) -> None:
    asking = client if key == "a tenant's" else Client(client.relay, AUTH_TOKEN)

    reply = await asking.request(method, path, json={"name": "mine", "operator": True} if method == "POST" else None)

    problem(reply, 403, "forbidden")


async def test_an_operator_key_manages_keys_until_it_is_revoked(operator: Client) -> None:
    made = await make_key(operator, "second operator", operator=True)
    second = Client(operator.relay, made["key"])

    _, shown = await make_tenant(second)
    listed = {each["id"]: each for each in (await operator.get("/v1/keys"))["items"]}
    await operator.request("DELETE", f"/v1/keys/{made['id']}")

    assert (listed[made["id"]]["operator"], listed[shown["id"]]["operator"]) == (True, False)
    assert all("key" not in each for each in listed.values())
    problem(await second.request("GET", "/v1/keys"), 401, "unauthorized")


# Signing secrets.


async def test_a_tenants_callbacks_are_signed_with_the_secret_that_was_shown_with_its_key(
    operator: Client, own: Receiver
) -> None:
    client, made = await make_tenant(operator)

    callback = await callback_of(client, own)

    secret = (await client.get("/v1/signing_secret"))["secret"]
    assert secret == made["signing_secret"]
    assert verify(callback.headers, callback.body, secret) == callback.id
    assert Webhook(secret).verify(callback.body, dict(callback.headers))


async def test_a_tenants_secret_verifies_and_forges_nothing_of_another(operator: Client, own: Receiver) -> None:
    (client, made), (_, other) = [await make_tenant(operator) for _ in range(2)]
    callback = await callback_of(client, own)

    with pytest.raises(InvalidSignatureError):
        verify(callback.headers, callback.body, other["signing_secret"])
    with pytest.raises(WebhookVerificationError):
        Webhook(other["signing_secret"]).verify(callback.body, dict(callback.headers))
    sent_at = int(callback.headers["webhook-timestamp"])
    forged = signature.headers(callback.id, sent_at, callback.body, [other["signing_secret"]])
    with pytest.raises(InvalidSignatureError):
        verify(forged, callback.body, made["signing_secret"])


async def test_while_a_secret_is_rotated_callbacks_verify_with_the_old_one_and_with_the_new(
    operator: Client, own: Receiver
) -> None:
    client, made = await make_tenant(operator)

    rotated = (await client.request("POST", "/v1/signing_secret/rotate")).json

    callback = await callback_of(client, own)
    assert rotated["secret"] != made["signing_secret"]
    assert rotated["previous_expires_at"] is not None
    assert len(callback.headers["webhook-signature"].split(" ")) == 2
    for secret in (rotated["secret"], made["signing_secret"]):
        assert Webhook(secret).verify(callback.body, dict(callback.headers))
    assert verify(callback.headers, callback.body, rotated["secret"])
    assert await client.get("/v1/signing_secret") == rotated


async def test_a_rotation_leaves_other_tenants_secrets_alone(operator: Client, own: Receiver) -> None:
    (client, _), (other, made) = [await make_tenant(operator) for _ in range(2)]

    await client.request("POST", "/v1/signing_secret/rotate")

    callback = await callback_of(other, own)
    assert len(callback.headers["webhook-signature"].split(" ")) == 1
    assert verify(callback.headers, callback.body, made["signing_secret"])


async def test_the_secret_of_the_settings_is_the_default_tenants_and_is_not_rotated(relay: Relay) -> None:
    default = Client(relay, AUTH_TOKEN)

    reply = await default.request("POST", "/v1/signing_secret/rotate")

    problem(reply, 409, "conflict")
    await default.say()
    (callback,) = await default.callbacks()
    assert callback.verified
