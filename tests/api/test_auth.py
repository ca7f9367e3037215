"""Who may come in: keys, the operator's token, and the open door of a service that never had a key."""

import asyncio
import os
import sys

import aiohttp
import pytest
from relay import AUTH_TOKEN, Client, Relay, eventually, problem, running

from answerback.accounts.auth import hash_key
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service

DOORS = [
    ("POST", "/webhook"),
    ("POST", "/webhook/"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/job_1"),
    ("POST", "/v1/jobs/job_1/cancel"),
    ("POST", "/v1/jobs/job_1/retry"),
    ("POST", "/v1/deliveries/msg_1/resend"),
    ("GET", "/v1/conversations/s"),
    ("DELETE", "/v1/conversations/s"),
]


async def answerback(service: Service, *arguments: str) -> list[str]:
    """Runs the command line beside the service; returns its lines."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "answerback", *arguments),
        cwd=service.folder,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{service.database}"},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode().splitlines()


async def create_key(service: Service) -> tuple[str, str]:
    """A new key's id, and the key."""
    first, key, _ = await answerback(service, "keys", "create", "somebody")
    return first.split()[0], key


async def status_becomes(client: Client, status: int, **headers: str) -> None:
    async def probe() -> bool:
        return (await client.request("GET", "/v1/jobs", headers=headers)).status == status

    await eventually(probe, f"the jobs answer {status}")


async def jobs_with(relay: Relay, authorization: str) -> int:
    """The status that a listing of jobs meets with this header."""
    return (await Client(relay, None).request("GET", "/v1/jobs", headers={"Authorization": authorization})).status


async def from_page(client: Client, origin: str) -> int:
    """The status that a listing of jobs meets from a page of this origin, in a browser on this machine."""
    return (await client.request("GET", "/v1/jobs", headers={"Origin": origin})).status


@pytest.mark.parametrize(("method", "path"), DOORS)
async def test_every_door_asks_for_a_key(relay: Relay, method: str, path: str) -> None:
    reply = await Client(relay, None).request(method, path)

    problem(reply, 401, "unauthorized")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), DOORS)
async def test_every_door_refuses_a_wrong_key_without_repeating_it(relay: Relay, method: str, path: str) -> None:
    reply = await Client(relay, "ab_wrong-key-5d2e").request(method, path)

    problem(reply, 401, "unauthorized")
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert b"wrong-key-5d2e" not in reply.raw


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "{}", "Bearer   {}"])
async def test_a_key_may_come_with_and_without_the_word_bearer(relay: Relay, form: str) -> None:
    key = relay.client().key

    assert await jobs_with(relay, form.format(key)) == 200


@pytest.mark.parametrize("form", ["Bearer {}", "{}"])
async def test_the_token_of_the_environment_is_one_more_key(relay: Relay, form: str) -> None:
    assert await jobs_with(relay, form.format(AUTH_TOKEN)) == 200


@pytest.mark.parametrize(
    "form",
    ["", "Bearer", "Bearer ", "Basic {}", "Bearer {}x", "x{}", "Bearer Bearer {}", "Bearer {},{}", "Bearer ключ"],
)
async def test_anything_else_is_no_key(relay: Relay, form: str) -> None:
    key = relay.client().key

    assert await jobs_with(relay, form.replace("{}", str(key))) == 401


async def test_the_hash_that_is_stored_of_a_key_opens_nothing(relay: Relay) -> None:
    assert await jobs_with(relay, f"Bearer {hash_key(AUTH_TOKEN)}") == 401


async def test_the_token_of_the_environment_is_a_tenant_like_the_others(client: Client, relay: Relay) -> None:
    operator = Client(relay, AUTH_TOKEN)
    job_id = (await client.say())["job_id"]

    problem(await operator.request("GET", f"/v1/jobs/{job_id}"), 404, "not_found")


async def test_a_key_works_soon_after_it_was_made_and_stops_soon_after_it_was_revoked(relay: Relay) -> None:
    key_id, key = await create_key(relay.service)
    client = Client(relay, key)
    await status_becomes(client, 200)

    await answerback(relay.service, "keys", "revoke", key_id)

    await status_becomes(client, 401)


async def test_without_any_key_the_door_is_open_until_the_first_is_made_and_never_again(
    llm: FakeLLM, receiver: Receiver, http: aiohttp.ClientSession
) -> None:
    async with running(llm, receiver, http) as relay:
        stranger = Client(relay, None)
        assert (await stranger.post()).status == 202
        assert await jobs_with(relay, "Bearer anything") == 200

        assert await from_page(stranger, relay.service.url) == 200
        assert await from_page(stranger, "https://example.com") == 401
        assert await from_page(stranger, "null") == 401

        key_id, key = await create_key(relay.service)
        await status_becomes(stranger, 401)
        assert await jobs_with(relay, f"Bearer {key}") == 200

        await answerback(relay.service, "keys", "revoke", key_id)
        await status_becomes(Client(relay, key), 401)
        assert (await stranger.post()).status == 401


async def called(client: Client, host: str) -> int:
    """The status that a listing of jobs meets where this is the name that the service is called by."""
    return (await client.request("GET", "/v1/jobs", headers={"Host": host})).status


async def test_without_any_key_only_the_names_of_this_machine_lead_to_the_service(
    llm: FakeLLM, receiver: Receiver, http: aiohttp.ClientSession
) -> None:
    async with running(llm, receiver, http, public_base_url="https://Relay.example:8443/below") as relay:
        stranger = Client(relay, None)

        for host in (
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "app.localhost",
            "127.0.0.1:1",
            "127.1.2.3",
            "[::1]:8080",
        ):
            assert await called(stranger, host) == 200, host
        assert await called(stranger, "relay.example") == 200

        for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "[", ""):
            assert await called(stranger, host) == 421, host
        refused = await stranger.request("GET", "/v1/jobs", headers={"Host": "evil.example"})
        assert "answerback keys create" in str(problem(refused, 421, "misdirected"))


async def test_with_a_key_the_name_does_not_matter(relay: Relay) -> None:
    assert await called(relay.client(), "proxy.example") == 200


async def test_with_auth_disabled_everybody_is_let_in_whatever_keys_there_are(
    llm: FakeLLM, receiver: Receiver, http: aiohttp.ClientSession
) -> None:
    async with running(llm, receiver, http, keys=1, auth_disabled="true", auth_token="t") as relay:
        assert (await Client(relay, None).post()).status == 202
        assert await jobs_with(relay, "Bearer wrong") == 200
        assert await called(Client(relay, None), "proxy.example") == 200
