"""A request names its host and its caller once; a target of absolute form names the host (RFC 9112, section 3.2)."""

from typing import Any

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


@pytest.mark.parametrize(("values", "status"), [(("a",), 200), (("a", "a"), 200), (("a", "b"), 400)])
async def test_a_request_has_one_caller(values: tuple[str, ...], status: int) -> None:
    fields = b"".join(f"Authorization: {value}\r\n".encode() for value in values)
    async with serving(Headers(), http=Patient) as port:
        answer = await exchange(port, b"POST / HTTP/1.1\r\n%b%b%b\r\n" % (HOST, fields, CLOSE))

    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert (b"one Authorization header" in answer) == (status == 400)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((good, 200) for good in (b"h", b"h.", b"a_b-c.x:8080", b"h:", b"127.0.0.1:1", b"[::1]:80", b"h\xc3\xb6")),
        *((bad, 400) for bad in (b"a@h", b"h:1:1", b"h/x", b"h#x", b"h?x", b"[::1", b"a, h", b"a h", b"h:x", b"h\\x")),
    ],
)
async def test_a_host_is_a_name_or_an_address_and_a_port(host: bytes, status: int) -> None:
    async with serving(Headers(), http=Patient) as port:
        answer = await exchange(port, b"POST / HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (host, CLOSE))

    assert answer.startswith(b"HTTP/1.1 %d" % status)


async def test_a_request_without_a_host_is_not_run_nor_what_stands_behind_it() -> None:
    app = Headers()
    async with serving(app, http=Patient) as port:
        answer = await exchange(
            port, b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nab" + b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
        )

    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 400 ") == 1
    assert app.bodies == []


class NamedHosts:
    """Answers with the `Host` that the request has for the application."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        hosts = b",".join(value for name, value in scope["headers"] if name == b"host")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(hosts))]})
        await send({"type": "http.response.body", "body": hosts, "more_body": False})


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://other.example/", b"other.example"),
        (b"http://other.example:81/a?b", b"other.example:81"),
        (b"HTTPS://user:pass@Other.example/", b"Other.example"),
        (b"http://[2001:db8::1]:80/", b"[2001:db8::1]:80"),
        (b"/http://other.example/", b"h"),
        (b"//other.example/", b"h"),
        (b"/?to=http://other.example/", b"h"),
    ],
)
async def test_the_authority_of_a_target_counts_and_not_the_host_beside_it(target: bytes, host: bytes) -> None:
    async with serving(NamedHosts(), http=Patient) as port:
        answer = await exchange(port, b"GET %b HTTP/1.1\r\n%b%b\r\n" % (target, HOST, CLOSE))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.partition(b"\r\n\r\n")[2] == host


@pytest.mark.parametrize(
    "coding", [b"gzip, chunked", b"gzip", b"identity", b"chunked, chunked", b"gzip\r\nTransfer-Encoding: chunked"]
)
async def test_a_transfer_coding_other_than_chunked_is_refused(coding: bytes) -> None:
    app = Headers()
    async with serving(app, http=Patient) as port:
        head = b"POST / HTTP/1.1\r\n%bTransfer-Encoding: %b\r\n\r\n" % (HOST, coding)
        answer = await exchange(port, head + b"2\r\n{}\r\n0\r\n\r\n")

    assert answer.startswith((b"HTTP/1.1 501 ", b"HTTP/1.1 400 "))
    assert b"Transfer-Encoding" in answer or b"not a valid HTTP request" in answer
    assert app.bodies == []
