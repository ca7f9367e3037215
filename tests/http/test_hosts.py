"""A request names its host once (RFC 9112, section 3.2)."""

import pytest

from bounded_http import Headers, Patient, exchange, serving

HOST, CLOSE = b"host: h\r\n", b"connection: close\r\n"


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [
        (b"1.1", b"", 400),
        (b"1.1", HOST, 200),
        (b"1.1", b"host:\r\n", 200),
        (b"1.1", HOST + b"Host: h\r\n", 400),
        (b"1.0", b"", 200),
        (b"1.0", HOST, 200),
        (b"1.0", HOST * 2, 400),
    ],
)
async def test_a_request_has_one_host_and_one_of_http_1_0_needs_none(version: bytes, hosts: bytes, status: int) -> None:
    app = Headers()
    async with serving(app, http=Patient) as port:
        answer = await exchange(port, b"POST / HTTP/%b\r\n%b%b\r\n" % (version, hosts, CLOSE))

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert len(app.bodies) == (status == 200)
    if status == 400:
        assert b'"code":"invalid_http"' in answer
        assert b"one Host header" in answer


async def test_a_request_without_a_host_is_not_run_nor_what_stands_behind_it() -> None:
    app = Headers()
    async with serving(app, http=Patient) as port:
        answer = await exchange(
            port, b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nab" + b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
        )

    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 400 ") == 1
    assert app.bodies == []
