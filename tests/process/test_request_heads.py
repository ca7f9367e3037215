"""Odd heads of requests."""

import asyncio
import json

from answerback.testing.service import HOST, Service


async def test_an_endless_header_is_refused_while_other_clients_are_served() -> None:
    async with Service({"MOCK_MODE": "true"}) as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nx: ")
        try:
            for _ in range(1_000):
                writer.write(b"a" * 65_536)
                await writer.drain()
        except ConnectionError:
            pass
        answer = await _rest(reader)
        writer.close()

        assert not answer or answer.startswith(b"HTTP/1.1 431 ")
        assert await _get(service.port, b"x" * 1_000) == b"HTTP/1.1 200 OK"


async def test_headers_below_the_limit_pass_on_every_request_of_a_connection() -> None:
    async with Service({"MOCK_MODE": "true"}) as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        for _ in range(20):
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 30_000 + b"\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 200 OK")
        writer.close()


REFUSED = [
    (b"nonsense\r\n\r\n", 400, "invalid_http", "- -"),
    (b"GET /v1/jobs HTTP/1.1\r\nbad header\r\n\r\n", 400, "invalid_http", "GET /v1/jobs"),
    (b"GET /v1/sessions/secret HTTP/1.1\r\nbad header\r\n\r\n", 400, "invalid_http", "GET /v1/sessions/…"),
    (b"FOO /v1/jobs HTTP/1.1\r\nhost: h\r\n\r\n", 501, "method_unknown", "- -"),
    (b"GET /v1/jobs HTTP/2.0\r\nhost: h\r\n\r\n", 505, "http_version_unknown", "GET /v1/jobs"),
    (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: h\r\n\r\n", 431, "headers_too_large", "- -"),
    (b"POST /webhook?x HTTP/1.1\r\nx: " + b"a" * 200_000, 431, "headers_too_large", "POST /webhook"),
]


async def test_a_request_refused_before_routing_has_an_id_and_a_log_line() -> None:
    async with Service({"MOCK_MODE": "true", "LOG_FORMAT": "text"}) as service:
        for data, status, code, asked in REFUSED:
            head, _, body = (await _exchange(service.port, data)).partition(b"\r\n\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head.decode().splitlines()[1:])

            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert headers["x-request-id"].startswith("req_")
            assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
            problem = json.loads(body)
            assert problem == {"detail": problem["error"]["message"], "error": problem["error"]}
            assert problem["error"]["code"] == code
            await service.until_logged(headers["x-request-id"])
            line = service.logs.splitlines()[-1]
            assert f" - WARNING - ERROR | {asked} | handler=- | time=" in line
            assert line.endswith(f" | status_code={status} | code={code} | request_id={headers['x-request-id']}")

        named = b"GET /v1/models HTTP/1.1\r\nx-request-id: mine\r\nhost: h\r\nbad header\r\n\r\n"
        head, _, body = (await _exchange(service.port, named)).partition(b"\r\n\r\n")
        assert b"x-request-id: mine" in head
        assert json.loads(body)["error"].keys() == {"message", "type", "param", "code"}
        assert "Invalid HTTP" not in service.logs


async def test_a_target_that_names_another_host_is_not_answered_as_this_one() -> None:
    async with Service({"MOCK_MODE": "true"}) as service:
        for target, status in ((b"http://rebound.example", 421), (b"http://localhost", 200), (b"", 200)):
            head = b"GET %b/v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n" % target
            assert (await _exchange(service.port, head)).startswith(b"HTTP/1.1 %d " % status)


async def _exchange(port: int, data: bytes) -> bytes:
    """The response. A long request is sent only until it is answered: unread bytes would reset the connection."""
    reader, writer = await asyncio.open_connection(HOST, port)
    answer = b""
    for begin in range(0, len(data), 16_384):
        writer.write(data[begin : begin + 16_384])
        try:
            answer = await asyncio.wait_for(reader.read(10_000), 0.05)
            break
        except TimeoutError:
            continue
    answer += await _rest(reader)
    writer.close()
    return answer


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""


async def _get(port: int, value: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx: " + value + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer.partition(b"\r\n")[0]
