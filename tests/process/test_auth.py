"""Every route asks for a key; a key made or revoked beside the running service counts within moments; each tenant's
callbacks are signed with its own secret."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from relay import Client, Relay, Surroundings, problem

from answerback.testing.receiver import Callback, Receiver
from answerback.testing.service import Service
from answerback.testing.signatures import InvalidSignatureError, verify
from eventually import eventually
from forks import Forks

ROUTES = [
    ("POST", "/webhook"),
    ("POST", "/webhook/"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/job_1"),
    ("POST", "/v1/jobs/job_1/cancel"),
    ("POST", "/v1/jobs/job_1/retry"),
    ("POST", "/v1/deliveries/msg_1/resend"),
    ("POST", "/v1/deliveries/msg_1/replay"),
    ("GET", "/v1/sessions/s"),
    ("DELETE", "/v1/sessions/s"),
    ("GET", "/v1/keys"),
    ("POST", "/v1/keys"),
    ("DELETE", "/v1/keys/key_1"),
    ("GET", "/v1/signing_secret"),
    ("POST", "/v1/signing_secret/rotate"),
]


async def answerback(forks: Forks, service: Service, *arguments: str) -> list[str]:
    """Runs the command line beside the service; returns its lines."""
    database = {"DATABASE_URL": f"sqlite:///{service.database}"}
    ended = await forks.run(["answerback", *arguments], service.folder, database)
    assert ended.code == 0
    return ended.stdout.splitlines()


async def status_becomes(client: Client, status: int) -> None:
    async def probe() -> bool:
        return (await client.request("GET", "/v1/jobs")).status == status

    await eventually(probe, f"the jobs answer {status}")


@pytest.mark.parametrize("key", [None, "ab_wrong-key-5d2e"], ids=["no key", "a wrong key"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_asks_for_a_key_and_repeats_none(
    relay: Relay, method: str, path: str, key: str | None
) -> None:
    reply = await Client(relay, key).request(method, path)

    problem(reply, 401, "unauthorized")
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert b"wrong-key-5d2e" not in reply.raw


async def test_a_key_works_soon_after_it_was_made_and_stops_soon_after_it_was_revoked(
    forks: Forks, relay: Relay
) -> None:
    first, key, *_ = await answerback(forks, relay.service, "keys", "create", "somebody")
    client = Client(relay, key)
    await status_becomes(client, 200)

    await answerback(forks, relay.service, "keys", "revoke", first.split()[0])

    await status_becomes(client, 401)


async def test_a_service_without_keys_serves_until_the_first_is_made(forks: Forks, surroundings: Surroundings) -> None:
    async with surroundings.running() as relay:
        stranger = Client(relay, None)
        assert (await stranger.post()).status == 202

        await answerback(forks, relay.service, "keys", "create", "somebody")

        await status_becomes(stranger, 401)


async def test_a_receiver_of_one_tenant_can_verify_nothing_that_another_receives(
    forks: Forks, surroundings: Surroundings
) -> None:
    def of_both(came: Sequence[Callback]) -> bool:
        return len(came) == 2

    async with Receiver() as receiver, replace(surroundings, receiver=receiver).running() as relay:
        printed = [await answerback(forks, relay.service, "keys", "create", name) for name in ("one", "other")]
        secrets = [lines[-1].split()[-1] for lines in printed]
        clients = [Client(relay, lines[1]) for lines in printed]
        for client in clients:
            await status_becomes(client, 200)
            await client.say()
        came = {each.path: each for each in await receiver.wait_for(of_both)}

    for client, own, others in zip(clients, secrets, reversed(secrets), strict=True):
        callback = came[client.path]
        assert verify(callback.headers, callback.body, own)
        with pytest.raises(InvalidSignatureError):
            verify(callback.headers, callback.body, others)
