"""A client that offers another protocol is answered in HTTP/1.1, and loses nothing of what it sent."""

import asyncio

import pytest

from bounded_http import Headers, Patient, connected, exchange, rest, serving

H2C = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
WEBSOCKET = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: a2V5\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: h\r\n\r\n"


def posted(offer: bytes, body: bytes, version: bytes = b"1.1") -> bytes:
    return b"POST / HTTP/%b\r\nhost: h\r\n%bcontent-length: %d\r\n\r\n%b" % (version, offer, len(body), body)


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET, H2C.replace(b"upgrade,", b"Upgrade, close,")])
@pytest.mark.parametrize("chunked", [False, True], ids=["measured", "chunked"])
async def test_the_body_behind_an_offer_is_read(offer: bytes, chunked: bool) -> None:
    app = Headers()
    request = posted(offer, HIDDEN)
    if chunked:
        head = b"POST / HTTP/1.1\r\nhost: h\r\n%btransfer-encoding: chunked\r\n\r\n" % offer
        request = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    async with serving(app, http=Patient) as port:
        answer = await exchange(port, request + LAST)

    # What a body holds is no request, whichever proxy stands in front.
    assert app.bodies == [HIDDEN, b""][: answer.count(b"HTTP/1.1 200")]
    assert answer.count(b"HTTP/1.1 ") == (1 if b"close" in offer else 2)
    assert b"upgrade" not in answer.partition(b"\r\n\r\n")[2]


async def test_a_body_that_comes_later_is_read_as_well() -> None:
    app = Headers()
    request = posted(H2C, HIDDEN)
    async with serving(app, http=Patient) as port, connected(port) as (reader, writer):
        for piece in (request[:30], request[30:90], request[90:-20], request[-20:]):
            writer.write(piece)
            await asyncio.sleep(0)
            await writer.drain()
        writer.write(LAST)
        answer = await rest(reader)

    assert answer.count(b"HTTP/1.1 200") == answer.count(b"HTTP/1.1 ") == 2
    assert app.bodies == [HIDDEN, b""]


async def test_requests_behind_offers_are_answered() -> None:
    app = Headers()
    offering = b"GET / HTTP/1.1\r\nhost: h\r\n" + H2C + b"\r\n"
    async with serving(app, http=Patient) as port:
        answer = await exchange(port, offering * 3 + LAST)

    assert answer.count(b"HTTP/1.1 200") == 4


async def test_offers_without_end_are_bounded_like_other_requests() -> None:
    app = Headers()
    offering = b"GET / HTTP/1.1\r\nhost: h\r\n" + H2C + b"\r\n"
    async with serving(app, http=Patient) as port:
        answer = await exchange(port, offering * 5_000)

    assert answer.count(b"HTTP/1.1 200") == len(app.bodies) < 20


@pytest.mark.parametrize("target", [b"/", b"other.example:443"])
async def test_a_tunnel_is_refused_with_what_would_go_through_it(target: bytes) -> None:
    app = Headers()
    async with serving(app, http=Patient) as port:
        answer = await exchange(port, b"CONNECT %b HTTP/1.1\r\nhost: other.example:443\r\n\r\n%b" % (target, HIDDEN))

    assert answer.startswith(b"HTTP/1.1 501 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert app.bodies == []


@pytest.mark.parametrize(("version", "interim"), [(b"1.0", 0), (b"1.1", 1)])
async def test_an_older_client_gets_no_interim_response(version: bytes, interim: int) -> None:
    async with serving(Headers(), http=Patient) as port:
        answer = await exchange(port, posted(b"connection: close\r\nexpect: 100-continue\r\n", b"body", version))

    assert answer.count(b"HTTP/1.1 100") == interim
    assert answer.count(b"HTTP/1.1 200") == 1
