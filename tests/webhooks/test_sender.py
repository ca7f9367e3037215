"""One attempt: what a good receiver gets, and what a hostile one cannot do."""

import asyncio
import gzip
import hashlib
import hmac
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
import standardwebhooks
from aiohttp import web
from sending import BODY, DEADLINE, NOW_MS, sending

from answerback import __version__
from answerback.kernel import signature
from answerback.testing import behaviours
from answerback.testing.receiver import Receiver
from answerback.webhooks.sending.errors import NotSent, SendError
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.lookup import Requester
from answerback.webhooks.sending.sender import WebhookSender
from scarcity import without_descriptors


@asynccontextmanager
async def talking(*said: bytes) -> AsyncIterator[str]:
    """A server that reads nothing, says this at once, and keeps the connection open; yields its URL."""
    writers: list[asyncio.StreamWriter] = []

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.writelines(said)

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=1024)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


class TestWhatAReceiverGets:
    async def test_the_body_the_headers_and_the_path_exactly(self, sender: WebhookSender, receiver: Receiver) -> None:
        target = "/a%2Fb/%7Euser;v=1?x=a+b&y=%2B&z=%e4"
        response = await sender.send("t1", receiver.url(target) + "#part", {"webhook-id": "msg_1"}, BODY)
        (got,) = receiver.callbacks
        assert response.status == 200
        assert got.body == BODY
        assert got.target == target
        assert got.headers["content-type"] == "application/json"
        assert got.headers["user-agent"] == f"answerback/{__version__}"
        assert got.headers["accept-encoding"] == "identity"
        assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert got.id == "msg_1"

    async def test_a_connection_that_closed_in_the_meantime_costs_no_attempt(
        self, sender: WebhookSender, receiver: Receiver
    ) -> None:
        # Given a receiver that closes a connection as a second callback comes over it
        receiver.on("/", behaviours.status(200), behaviours.hang_up(), behaviours.status(204))
        statuses = [(await sender.send("t1", receiver.url(), {}, BODY)).status for _ in range(2)]
        # Then that callback went over a new one at once
        assert statuses == [200, 204]
        assert [callback.body for callback in receiver.callbacks] == [BODY] * 3
        assert receiver.connections == 2

    async def test_a_new_connection_that_closes_too_is_a_failure(
        self, sender: WebhookSender, receiver: Receiver
    ) -> None:
        receiver.on("/", behaviours.status(200), behaviours.hang_up())
        await sender.send("t1", receiver.url(), {}, BODY)
        with pytest.raises(SendError, match="closed the connection"):
            await sender.send("t1", receiver.url(), {}, BODY)
        assert len(receiver.callbacks) == 3

    async def test_a_url_with_other_characters_is_quoted(self, sender: WebhookSender, receiver: Receiver) -> None:
        await sender.send("t1", receiver.url("/grüße"), {}, BODY)
        assert receiver.callbacks[0].target == "/gr%C3%BC%C3%9Fe"

    async def test_signatures_that_independent_code_believes(self, sender: WebhookSender, receiver: Receiver) -> None:
        # Given a callback signed while a secret is being rotated
        new, old = signature.new_secret(), signature.new_secret()
        await sender.send("t1", receiver.url(), signature.headers("msg_1", int(time.time()), BODY, [new, old]), BODY)
        (got,) = receiver.callbacks
        # Then the Standard Webhooks library verifies it with either secret
        for secret in (new, old):
            standardwebhooks.Webhook(secret).verify(got.body, dict(got.headers))
        # And the plain signature is the HMAC of the body with the newest
        digest = hmac.new(new.encode(), got.body, hashlib.sha256).hexdigest()
        assert got.headers["X-Signature"] == f"sha256={digest}"

    async def test_one_connection_for_many_callbacks(self, sender: WebhookSender, receiver: Receiver) -> None:
        for _ in range(5):
            await sender.send("t1", receiver.url(), {}, BODY)
        assert receiver.connections == 1

    async def test_its_name_in_host_though_the_address_was_resolved(
        self, sender: WebhookSender, receiver: Receiver
    ) -> None:
        await sender.send("t1", f"http://hooks.test:{receiver.port}/", {}, BODY)
        assert receiver.callbacks[0].headers["host"] == f"hooks.test:{receiver.port}"

    async def test_no_cookie_of_its_own(self, sender: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", behaviours.status(200, headers={"Set-Cookie": "a=b; Path=/"}))
        for _ in range(2):
            await sender.send("t1", f"http://hooks.test:{receiver.port}/", {}, BODY)
        assert "cookie" not in receiver.callbacks[1].headers

    async def test_no_detour_by_a_proxy_of_the_environment(
        self, sender: WebhookSender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert (await sender.send("t1", receiver.url(), {}, BODY)).status == 200


class TestWhatItAnswers:
    async def test_the_status_and_the_start_of_the_body(self, sender: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", behaviours.status(422, "nein, ä\0ö"))
        response = await sender.send("t1", receiver.url(), {}, BODY)
        assert (response.status, response.retry_after, response.snippet) == (422, None, "nein, äö")

    async def test_a_snippet_of_at_most_a_kibibyte(self, sender: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", behaviours.status(500, "x" + "ä" * 5000))
        snippet = (await sender.send("t1", receiver.url(), {}, BODY)).snippet
        assert snippet == "x" + "ä" * 511

    async def test_a_body_that_is_compressed_unasked(self, sender: WebhookSender, receiver: Receiver) -> None:
        async def pack(_: web.Request) -> web.Response:
            return web.Response(status=400, body=gzip.compress(b"missing"), headers={"Content-Encoding": "gzip"})

        receiver.on("/", pack)
        response = await sender.send("t1", receiver.url(), {}, BODY)
        assert (response.status, response.snippet) == (400, "missing")

    async def test_a_redirect_is_not_followed(self, sender: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", behaviours.redirect(receiver.url("/elsewhere")))
        assert (await sender.send("t1", receiver.url(), {}, BODY)).status == 307
        assert [callback.path for callback in receiver.callbacks] == ["/"]

    async def test_gone(self, sender: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", behaviours.gone())
        assert (await sender.send("t1", receiver.url(), {}, BODY)).status == 410

    async def test_a_wait_it_asks_for(self, sender: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", *map(behaviours.retry_after, (120, "0.25", "1m30s")))
        waits = [(await sender.send("t1", receiver.url(), {}, BODY)).retry_after for _ in range(3)]
        assert waits == [120.0, 0.25, 90.0]

    @pytest.mark.parametrize("ahead", [0, 3600, -3600])
    async def test_a_wait_by_a_date_is_of_the_receivers_own_clock(
        self, ahead: int, sender: WebhookSender, receiver: Receiver
    ) -> None:
        clock = NOW_MS / 1000 + ahead
        headers = {"Date": formatdate(clock, usegmt=True), "Retry-After": formatdate(clock + 60, usegmt=True)}
        receiver.on("/", behaviours.status(503, headers=headers))
        assert (await sender.send("t1", receiver.url(), {}, BODY)).retry_after == 60.0

    async def test_a_wait_that_only_its_body_names(self, sender: WebhookSender, receiver: Receiver) -> None:
        said = '{"message": "You are being rate limited.", "retry_after": 0.3}'
        busy = behaviours.status(429, said), behaviours.status(503, "try again in 5s")
        receiver.on("/", *busy, behaviours.status(500, said))
        waits = [(await sender.send("t1", receiver.url(), {}, BODY)).retry_after for _ in range(3)]
        assert waits == [0.3, 5.0, None], "what a 500 says of waits is not meant for this"

    async def test_an_answer_that_comes_before_the_body_was_read(self) -> None:
        said = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
        async with talking(said) as url, sending() as sender:
            response = await sender.send("t1", url, {}, b"x" * 8_000_000)
        assert (response.status, response.snippet) == (413, "no")


class TestHostileReceivers:
    async def test_an_attempt_ends_with_its_deadline(self, hasty: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", behaviours.delayed(asyncio.Event()))
        started = time.monotonic()
        with pytest.raises(SendError, match=r"within 0\.4 s"):
            await hasty.send("t1", receiver.url(), {}, BODY)
        assert DEADLINE * 0.9 < time.monotonic() - started < DEADLINE + 1.5

    @pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 100 Continue\r\n\r\n" * 10])
    async def test_so_it_does_before_the_headers_are_complete(self, said: bytes, hasty: WebhookSender) -> None:
        async with talking(said) as url:
            with pytest.raises(SendError, match="no answer came"):
                await hasty.send("t1", url, {}, BODY)

    async def test_the_deadline_covers_the_lookup_of_the_name(self) -> None:
        async def never(_: str, requester: Requester) -> list[str]:
            await asyncio.Event().wait()
            return []

        sender = WebhookSender(AddressGuard(resolve=never), lambda: NOW_MS, DEADLINE)
        with pytest.raises(SendError, match="no answer came"):
            await sender.send("t1", "http://slow.test/", {}, BODY)
        await sender.close()

    @pytest.mark.parametrize(
        ("behaviour", "words"),
        [
            (behaviours.hang_up(), "closed the connection"),
            (behaviours.babble(), "not valid HTTP"),
            (behaviours.large_headers(), "headers exceed 64 KiB"),
        ],
    )
    async def test_a_broken_answer_fails_the_attempt(
        self, behaviour: behaviours.Behaviour, words: str, sender: WebhookSender, receiver: Receiver
    ) -> None:
        receiver.on("/", behaviour)
        with pytest.raises(SendError, match=words):
            await sender.send("t1", receiver.url("/?token=hidden"), {}, BODY)

    @pytest.mark.parametrize("make", [behaviours.endless, behaviours.gzip_bomb], ids=["endless body", "gzip bomb"])
    async def test_memory_stays_flat_and_the_status_counts(
        self, make: Callable[[], behaviours.Behaviour], sender: WebhookSender, receiver: Receiver
    ) -> None:
        # Given a connection that has warmed up
        receiver.on("/", behaviours.status(200), make())
        await sender.send("t1", receiver.url(), {}, BODY)
        tracemalloc.start()
        try:
            # When the receiver pours out more than anybody wants
            response = await sender.send("t1", receiver.url(), {}, BODY)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Then its status is taken and the rest is not
        assert response.status == 200
        assert len(response.snippet) <= 1024
        assert peak < 2_000_000

    async def test_a_long_body_costs_the_connection(self, sender: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", behaviours.status(200, "x" * 10_000_000), behaviours.status(200))
        for _ in range(2):
            await sender.send("t1", receiver.url(), {}, BODY)
        assert receiver.connections == 2

    async def test_nobody_listens(self, sender: WebhookSender) -> None:
        async with Receiver() as receiver:
            url = receiver.url()
        with pytest.raises(SendError, match="the connection was refused"):
            await sender.send("t1", url, {}, BODY)

    async def test_nobody_of_that_name(self, sender: WebhookSender) -> None:
        with pytest.raises(SendError, match="name has no address"):
            await sender.send("t1", "http://unknown.example/", {}, BODY)

    async def test_credentials_are_refused_and_not_repeated(self, sender: WebhookSender) -> None:
        with pytest.raises(SendError, match="credentials") as failure:
            await sender.send("t1", "http://user:hunter2@hooks.test/", {}, BODY)
        assert "hunter2" not in str(failure.value)

    async def test_cancelling_is_not_an_answer(self, sender: WebhookSender, receiver: Receiver) -> None:
        receiver.on("/", behaviours.delayed(asyncio.Event()))
        attempt = asyncio.create_task(sender.send("t1", receiver.url(), {}, BODY))
        await receiver.wait_for(1)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def test_a_callback_that_finds_no_descriptor_is_not_sent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sending() as sender:
        with monkeypatch.context() as patched:
            without_descriptors(patched)
            with pytest.raises(NotSent):
                await sender.send("t1", receiver.url(), {}, BODY)

    assert receiver.connections == 0
