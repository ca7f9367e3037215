"""`answerback listen`: what a developer sees of a callback, and what the service gets."""

import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from typer.testing import CliRunner

from answerback.cli import app
from answerback.cli.listen import ListenError, Receiving, application, listen
from answerback.cli.secrets import KnownSecrets
from answerback.cli.stores import opened
from answerback.kernel import signature
from answerback.settings import Settings
from answerback.webhooks.signing.secrets import SigningSecrets

SECRET = signature.new_secret()
BODY = json.dumps({"job_id": "job_1", "status": "completed", "response": "Grüße"}).encode()
Settle = Callable[..., Settings]


@pytest.fixture
def settings(tmp_path: Path) -> Settle:
    def settings(**given: Any) -> Settings:
        return Settings(_env_file=None, database_url=f"sqlite:///{tmp_path / 'service.db'}", **given)  # type: ignore[call-arg]

    return settings


def signed(secret: str = SECRET, webhook_id: str = "msg_1", body: bytes = BODY) -> Mapping[str, str]:
    return signature.headers(webhook_id, int(time.time()), body, [secret])


@asynccontextmanager
async def listening(
    secrets: KnownSecrets, status: int = 200, delay: float = 0.0
) -> AsyncIterator[tuple[TestClient[Any, Any], list[str]]]:
    """A client of the receiver, and what the receiver shows."""
    shown: list[str] = []
    server = TestServer(application(Receiving(status, delay, secrets, shown.append)))
    async with TestClient(server) as client:
        yield client, shown


@pytest.mark.parametrize("delay", ["nan", "inf", "-inf", "-1"])
def test_a_delay_that_is_no_number_of_seconds_is_refused(delay: str) -> None:
    ended = CliRunner().invoke(app, ["listen", "--delay", delay])

    assert ended.exit_code == 2
    assert "--delay" in ended.stderr


async def test_a_callback_is_shown_with_its_path_id_body_and_that_its_signature_is_valid(settings: Settle) -> None:
    async with listening(KnownSecrets(settings(), SECRET)) as (client, shown):
        reply = await client.post("/callback?a=1", data=BODY, headers=signed())

    assert reply.status == 200
    (callback,) = shown
    assert "POST /callback?a=1" in callback
    assert "msg_1" in callback
    assert "signature   valid" in callback
    assert '"response": "Grüße"' in callback


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        (lambda: signed(signature.new_secret()), "signature   WRONG: webhook-signature does not match"),
        (lambda: signed(body=b"other"), "signature   WRONG"),
        (lambda: {**signed(), "webhook-timestamp": "1"}, "signature   WRONG: webhook-timestamp is too far"),
        (dict, "signature   MISSING"),
    ],
    ids=["another secret", "another body", "old", "none"],
)
async def test_what_is_wrong_with_a_signature_is_said_and_answered_all_the_same(
    settings: Settle, headers: Callable[[], Mapping[str, str]], verdict: str
) -> None:
    async with listening(KnownSecrets(settings(), SECRET)) as (client, shown):
        # Signed now: what was signed when the tests were collected may be too old.
        assert (await client.post("/", data=BODY, headers=headers())).status == 200

    assert verdict in shown[0]


async def test_a_repeated_callback_is_recognised(settings: Settle) -> None:
    async with listening(KnownSecrets(settings(), SECRET)) as (client, shown):
        for webhook_id in ("msg_1", "msg_2", "msg_1"):
            await client.post("/", data=BODY, headers=signed(webhook_id=webhook_id))

    assert ["came 2 times" in each for each in shown] == [False, False, True]


async def test_trouble_can_be_rehearsed(settings: Settle) -> None:
    slow = 0.05
    async with listening(KnownSecrets(settings(), SECRET), status=503, delay=slow) as (client, shown):
        began = time.monotonic()
        reply = await client.post("/", data=BODY, headers=signed())
        took = time.monotonic() - began

    assert reply.status == 503
    assert took >= slow
    assert "503 after 0.05 s" in shown[0]


@pytest.mark.parametrize("body", [b"\x1b[31mred\x9b2J\x07", b'"\xc2\x9b2J"', b"\xff\xfe", b"[" * 100_000])
async def test_no_body_moves_the_cursor(settings: Settle, body: bytes) -> None:
    async with listening(KnownSecrets(settings(), SECRET)) as (client, shown):
        assert (await client.post("/", data=body)).status == 200

    assert all(line.isprintable() for line in shown[0].split("\n"))


class TestSecretOfTheService:
    """Nobody gives a secret: the receiver finds that of the service whose settings it has."""

    async def test_the_configured_one_needs_no_database(self, settings: Settle) -> None:
        async with listening(KnownSecrets(settings(callback_hmac_secret=SECRET))) as (client, shown):
            await client.post("/", data=BODY, headers=signed())

        assert "signature   valid" in shown[0]

    async def test_the_one_that_the_service_makes_later_is_found_and_also_what_replaces_it(
        self, settings: Settle
    ) -> None:
        given = settings()
        async with listening(KnownSecrets(given)) as (client, shown):
            await client.post("/", data=BODY, headers=signed())
            assert given.database_path is not None
            made_by_listening = given.database_path.exists()
            for rotates in (False, True):
                async with opened(given) as stores:
                    signing = SigningSecrets(stores.database)
                    change: Callable[[str], Awaitable[Any]] = signing.rotate if rotates else signing.live
                    current = (await change("default"))[0].value
                await client.post("/", data=BODY, headers=signed(current))

        assert not made_by_listening
        assert "signature   NOT CHECKED: no database at " in shown[0]
        assert ["signature   valid" in each for each in shown[1:]] == [True, True]

    async def test_every_tenants_is_found_or_that_of_a_key(self, settings: Settle) -> None:
        given = settings()
        async with opened(given) as stores:
            keys = [await stores.accounts.create_key(name, name) for name in ("shop", "blog")]
            shops, _ = [(await SigningSecrets(stores.database).live(key.tenant_id))[0].value for key in keys]
        for name, verdict in ((None, "valid"), ("shop", "valid"), ("blog", "WRONG"), ("nobody", "NOT CHECKED: ")):
            async with listening(KnownSecrets(given, key=name)) as (client, shown):
                await client.post("/", data=BODY, headers=signed(shops))
            assert f"signature   {verdict}" in shown[0]

    async def test_beside_the_configured_one_those_of_other_tenants_are_found(self, settings: Settle) -> None:
        given = settings(callback_hmac_secret=SECRET)
        async with opened(given) as stores:
            others = (await SigningSecrets(stores.database).live("other"))[0].value
        async with listening(KnownSecrets(given)) as (client, shown):
            for secret in (SECRET, others, SECRET, signature.new_secret()):
                await client.post("/", data=BODY, headers=signed(secret))

        assert ["signature   valid" in each for each in shown] == [True, True, True, False]
        assert str(given.database_path) in shown[3]


def test_a_taken_port_is_one_clear_line(settings: Settle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            listen(port, 200, 0.0, KnownSecrets(settings(), SECRET), print)

    assert str(caught.value) == f"cannot listen on 127.0.0.1:{port}: Address already in use"


def test_a_signal_ends_it(settings: Settle) -> None:
    """The line that says where it listens is the moment at which the signal comes."""
    shown: list[str] = []

    def show(line: str) -> None:
        shown.append(line)
        os.kill(os.getpid(), signal.SIGTERM)

    listen(0, 200, 0.0, KnownSecrets(settings(), SECRET), show)

    assert shown
