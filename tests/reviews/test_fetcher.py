"""Fetching files: what comes back, what never will, and where no redirect and no name may lead."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from answerback.reviews.files import address_pace
from answerback.reviews.files import fetcher as files
from answerback.reviews.files.address_pace import AddressPace
from answerback.reviews.files.errors import FileError
from answerback.reviews.files.fetcher import MAX_REDIRECTS, FileFetcher
from answerback.reviews.files.plain import CHARSETS
from answerback.reviews.model import File
from answerback.testing import behaviours
from answerback.testing.behaviours import Behaviour
from answerback.testing.receiver import Receiver
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.lookup import Requester
from scarcity import without_descriptors

LIMIT = 1000
SECONDS = 0.3


async def resolve(host: str, requester: Requester) -> list[str]:
    if not host.endswith(".test"):
        raise OSError("no such name")
    return ["127.0.0.1"]


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", LIMIT)
    monkeypatch.setattr(files, "FETCH_SECONDS", SECONDS)


@asynccontextmanager
async def fetching(guard: AddressGuard | None = None, pace: AddressPace | None = None) -> AsyncIterator[FileFetcher]:
    guard = guard or AddressGuard(allow_loopback=True, resolve=resolve)
    fetcher = FileFetcher(guard, pace or AddressPace(time.monotonic))
    try:
        yield fetcher
    finally:
        await fetcher.close()


def file(data: bytes, **headers: str) -> Behaviour:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=data, headers=headers)

    return answer


async def refused(url: str, guard: AddressGuard | None = None) -> FileError:
    async with fetching(guard) as fetcher:
        with pytest.raises(FileError) as error:
            await fetcher.fetch(url, "t1")
    return error.value


async def test_a_charset_in_an_extended_form_is_a_text_that_names_none(receiver: Receiver) -> None:
    receiver.on("/a", file(b"x", **{"Content-Type": "text/plain; charset*=utf-8''punycode"}))

    async with fetching() as fetcher:
        fetched = await fetcher.fetch(receiver.url("/a"), "t1")

    assert isinstance(fetched.charset, str)
    assert fetched.charset not in CHARSETS


COSTLY = 60_000


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, b'Content-Type: text/plain; a="' + b";" * COSTLY),
        (200, b'Content-Type: text/plain; a="' + b'\\";' * (COSTLY // 3)),
        (200, b"Content-Type: text/plain; " + b"charset*0=x;" * (COSTLY // 12)),
        (302, b"Location: http://" + "\ufdfa".encode() * (COSTLY // 3) + b".test/"),
        (302, b"Location: //" + b"\xff" * COSTLY),
        (302, b"Location: /" + b"../" * (COSTLY // 3)),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_no_server_chooses_what_its_headers_cost(receiver: Receiver, status: int, headers: bytes) -> None:
    """Given headers that some parsers read again for each of their characters; it takes a tenth of the bound."""

    receiver.on("/a", behaviours.babble(b"HTTP/1.1 %d X\r\n%b\r\nContent-Length: 1\r\n\r\nx" % (status, headers)))
    async with fetching() as fetcher:
        began = time.thread_time()
        with contextlib.suppress(FileError):
            await fetcher.fetch(receiver.url("/a"), "t1")

    assert time.thread_time() - began < 0.25


async def test_a_redirect_whose_path_is_not_ascii_is_followed(receiver: Receiver) -> None:
    receiver.on("/a", behaviours.redirect("/gr\u00fc\u00df"))
    receiver.on("/gr\u00fc\u00df", file(b"x"))

    async with fetching() as fetcher:
        assert (await fetcher.fetch(receiver.url("/a"), "t1")).data == b"x"


async def test_a_file_comes_as_it_is(receiver: Receiver) -> None:
    receiver.on("/a", file(b"x" * LIMIT, **{"Content-Type": "Text/Plain; charset=ISO-8859-1"}))

    async with fetching() as fetcher:
        fetched = await fetcher.fetch(receiver.url("/a?signature=a%2Fb+c"), "t1")

    assert fetched == File(b"x" * LIMIT, "text/plain", "ISO-8859-1")
    (request,) = receiver.callbacks
    assert request.target == "/a?signature=a%2Fb+c"
    assert request.headers["Accept-Encoding"] == "identity"
    assert not {"authorization", "cookie", "referer"} & {name.lower() for name in request.headers}


@pytest.mark.parametrize(
    ("served", "reason", "retryable"),
    [
        (behaviours.status(400), "its server answers 400", False),
        (behaviours.status(403), "its server answers 403", False),
        (behaviours.status(204), "its server answers 204", False),
        (behaviours.status(304), "its server answers 304", False),
        (behaviours.status(302), "its server answers 302", False),
        (behaviours.status(408), "its server answers 408", True),
        (behaviours.status(429), "its server answers 429", True),
        (behaviours.status(500), "its server answers 500", True),
        (file(b"x" * (LIMIT + 1)), "is larger than 1000 bytes", False),
        (behaviours.endless(), "is larger than 1000 bytes", False),
        (behaviours.gzip_bomb(1024 * 1024), "comes compressed although it was asked for plain", False),
        (behaviours.drip(length=LIMIT), "did not come within 0.3 s", True),
        (behaviours.delayed(asyncio.Event()), "did not come within 0.3 s", True),
        (behaviours.hang_up(), "its server closed the connection", True),
        (behaviours.break_off(), "the answer broke off", True),
        (behaviours.babble(), "not valid HTTP", True),
        (behaviours.babble(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"), "is larger", False),
        (behaviours.large_headers(), "its headers exceed 64 KiB", True),
        (behaviours.redirect("gopher://example.test/"), "its URL must start with http:// or https://", False),
        (behaviours.redirect("http://10.0.0.1/"), "its URL's address '10.0.0.1' may not be called", False),
        (behaviours.redirect("//[::1%25eth0]:x/"), "cannot be fetched", False),
        (behaviours.redirect("http://user:pass@example.test/"), "its URL must not contain credentials", False),
    ],
)
async def test_what_does_not_come(receiver: Receiver, served: Behaviour, reason: str, retryable: bool) -> None:
    receiver.on("/a", served)

    error = await refused(receiver.url("/a"))

    assert reason in error.message
    assert "receiver" not in error.message
    assert error.retryable is retryable


async def test_redirects_are_followed_for_a_while(receiver: Receiver) -> None:
    for n in range(MAX_REDIRECTS):
        receiver.on(f"/{n}", behaviours.redirect(f"/{n + 1}", 301 + n))
    receiver.on(f"/{MAX_REDIRECTS}", file(b"there"))
    receiver.on("/circle", behaviours.redirect("/circle"))

    async with fetching() as fetcher:
        assert (await fetcher.fetch(receiver.url("/0"), "t1")).data == b"there"

    error = await refused(receiver.url("/circle"))
    assert "redirected more than 3 times" in error.message
    assert not error.retryable


async def test_a_name_that_does_not_exist_may_do_so_later() -> None:
    error = await refused("http://nowhere.example/")
    assert error.retryable
    assert "name has no address" in error.message


async def test_nobody_listens() -> None:
    error = await refused("http://127.0.0.1:9/")
    assert error.retryable


async def test_a_name_that_changes_its_mind_is_caught_at_the_connection(receiver: Receiver) -> None:
    answers = iter(["93.184.216.34", "10.0.0.1"])

    async def fickle(_: str, requester: Requester) -> list[str]:
        return [next(answers)]

    guard = AddressGuard(resolve=fickle)
    await guard.check(f"http://fickle.test:{receiver.port}/")

    error = await refused(f"http://fickle.test:{receiver.port}/", guard)

    assert "may not be called" in error.message
    assert not error.retryable
    assert not receiver.callbacks


async def test_loopback_is_closed_where_the_service_is_public(receiver: Receiver) -> None:
    error = await refused(receiver.url("/a"), AddressGuard())
    assert "CALLBACK_ALLOWED_NETWORKS" in error.message
    assert not receiver.callbacks


async def test_a_server_under_many_names_and_ports_is_asked_as_often_as_under_one(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_pace, "BURST_SECONDS", 5.5)
    monkeypatch.setattr(files, "FETCH_SECONDS", 20.0)
    receiver.on("/f", file(b"x"))
    async with Receiver() as other, fetching(pace=AddressPace(lambda: 0.0)) as fetcher:
        other.on("/f", file(b"x"))
        fetches = [fetcher.fetch(f"http://n{n}.test:{(receiver, other)[n % 2].port}/f", "t1") for n in range(10)]
        ends = await asyncio.gather(*fetches, return_exceptions=True)

        waits = [end for end in ends if isinstance(end, FileError) and end.wait and end.retryable]
        assert (len(receiver.callbacks) + len(other.callbacks), len(waits)) == (5, 5)


async def test_what_a_server_sends_counts(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a pace that 800 bytes use up
    monkeypatch.setattr(address_pace, "BURST_SECONDS", 5.5)
    monkeypatch.setattr(address_pace, "BYTES_PER_SECOND", 200)
    receiver.on("/f", file(b"x" * 800))
    async with fetching(pace=AddressPace(lambda: 0.0)) as fetcher:
        await fetcher.fetch(receiver.url("/f"), "t1")
        with pytest.raises(FileError) as waits:
            await fetcher.fetch(receiver.url("/f"), "t1")

    assert waits.value.wait
    assert len(receiver.callbacks) == 1


async def test_each_redirect_counts(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_pace, "BURST_SECONDS", 4.5)
    receiver.on("/0", behaviours.redirect("/1"))
    receiver.on("/1", file(b"x"))
    async with fetching(pace=AddressPace(lambda: 0.0)) as fetcher:
        for _ in range(2):
            await fetcher.fetch(receiver.url("/0"), "t1")
        with pytest.raises(FileError) as waits:
            await fetcher.fetch(receiver.url("/0"), "t1")

    assert waits.value.wait
    assert len(receiver.callbacks) == 4


async def test_a_server_whose_name_leads_elsewhere_by_now_is_asked_no_more(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FETCH_SECONDS", 20.0)
    answers = iter(["127.0.0.1", "127.0.0.2"])

    async def fickle(_: str, requester: Requester) -> list[str]:
        return [next(answers)]

    receiver.on("/f", file(b"x"))
    async with fetching(AddressGuard(allow_loopback=True, resolve=fickle)) as fetcher:
        await fetcher.fetch(f"http://fickle.test:{receiver.port}/f", "t1")
        with pytest.raises(FileError, match="refused"):
            await fetcher.fetch(f"http://fickle.test:{receiver.port}/f", "t1")

    assert len(receiver.callbacks) == 1


async def test_a_fetch_that_finds_no_descriptor_has_asked_nobody(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fetching() as fetcher:
        with monkeypatch.context() as patched:
            without_descriptors(patched)
            with pytest.raises(FileError) as failed:
                await fetcher.fetch(receiver.url(), "t1")

    assert (failed.value.retryable, failed.value.wait is None, receiver.connections) == (True, False, 0)
