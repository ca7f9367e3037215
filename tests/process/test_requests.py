"""Requests that are refused before their body is read: size, method, path, query."""

import asyncio

import pytest
from relay import Client, fields, problem, raw_exchange

MAX_BODY = 1_048_576


def head(client: Client, *lines: str) -> bytes:
    start = ("POST /webhook HTTP/1.1", "host: relay", f"authorization: Bearer {client.key}", *lines)
    return "\r\n".join([*start, "", ""]).encode()


async def test_a_body_whose_length_is_too_large_is_refused_unread(client: Client) -> None:
    reply = await raw_exchange(client.relay.service, head(client, f"content-length: {MAX_BODY + 1}"))

    assert str(MAX_BODY) in problem(reply, 413, "body_too_large")
    assert await client.jobs() == []


async def test_a_client_that_waits_for_a_100_and_gets_an_answer_begins_anew(client: Client) -> None:
    """It may send its body or not: what comes next on the connection could be either."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.relay.service.port)
    writer.write(head(client, f"content-length: {MAX_BODY + 1}", "expect: 100-continue"))

    answer = await asyncio.wait_for(reader.read(), 10)

    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()


async def test_a_client_that_waits_for_a_100_and_gets_one_keeps_its_connection(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.relay.service.port)
    for _ in range(2):
        writer.write(head(client, "content-length: 2", "expect: 100-continue"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert answer.startswith(b"HTTP/1.1 422 ")
        assert b"\r\nconnection: close\r\n" not in answer.lower()
        await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    writer.close()


async def test_a_body_that_grows_too_large_is_refused(client: Client) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    too_much = chunk * (MAX_BODY // 65_536) + b"1\r\n \r\n"

    reply = await raw_exchange(client.relay.service, head(client, "transfer-encoding: chunked") + too_much)

    problem(reply, 413, "body_too_large")
    assert await client.jobs() == []


async def test_the_largest_body_is_read(client: Client) -> None:
    data = b" " * (MAX_BODY - 2) + b"{}"

    reply = await client.request("POST", "/webhook", data=data)

    assert fields(problem(reply, 422, "validation_error")) == {"body.message", "body.callback_url"}


async def test_a_chunked_body_is_as_good_as_any(client: Client) -> None:
    text = f'{{"message": "hi", "callback_url": "{client.callback_url}"}}'.encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:9], text[9:])) + b"0\r\n\r\n"

    reply = await raw_exchange(client.relay.service, head(client, "transfer-encoding: chunked") + chunks)

    assert reply.status == 202


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/webhook", "/webhook/"])
async def test_the_webhook_route_takes_post_only(client: Client, method: str, path: str) -> None:
    reply = await client.request(method, path)

    problem(reply, 405, "method_not_allowed")
    assert reply.headers["Allow"] == "POST"


async def test_a_405_names_all_methods_of_the_path(client: Client) -> None:
    reply = await client.request("POST", "/v1/sessions/customer-42")

    problem(reply, 405, "method_not_allowed")
    assert reply.headers["Allow"] == "DELETE, GET, HEAD"


async def test_head_is_refused_without_a_body(client: Client) -> None:
    reply = await client.request("HEAD", "/webhook")

    assert (reply.status, reply.raw) == (405, b"")


@pytest.mark.parametrize("path", ["/", "/nothing", "/v2", "/v1jobs", "/webhook/more", "/v1/jobs/a/b", "/%00", "/%ff"])
async def test_an_unknown_path_is_not_found(client: Client, path: str) -> None:
    problem(await client.request("GET", path), 404, "not_found")


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/audio/speech", "/v1/assistants/s", "/v1/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_unknown_path_below_v1_is_not_found_as_openais_clients_read_it(
    client: Client, method: str, path: str
) -> None:
    reply = await client.request(method, path)

    assert reply.status == 404
    assert reply.headers["Content-Type"] == "application/json"
    error = reply.json["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, "not_found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1.0", "limit"),
        ("limit=1_0", "limit"),
        ("limit=1e1", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("status=done", "status"),
        ("delivery=sent", "delivery"),
        ("kind=" + "x" * 65, "kind"),
        ("kind=%00", "kind"),
        ("before=" + "x" * 65, "before"),
        ("before=nonsense", "before"),
        ("session_id=" + "x" * 2049, "session_id"),
    ],
    ids=lambda value: value[:20],
)
async def test_a_wrong_query_is_refused_by_its_name(client: Client, query: str, field: str) -> None:
    detail = problem(await client.request("GET", f"/v1/jobs?{query}"), 422, "validation_error")

    assert fields(detail) == {f"query.{field}"}


@pytest.mark.parametrize("job_id", ["job_nothing", "%00", "%ff", "'", "x" * 5000], ids=lambda value: value[:12])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/{}"),
        ("POST", "/v1/jobs/{}/cancel"),
        ("POST", "/v1/jobs/{}/retry"),
        ("POST", "/v1/deliveries/{}/resend"),
    ],
)
async def test_an_unknown_id_is_not_found(client: Client, method: str, path: str, job_id: str) -> None:
    problem(await client.request(method, path.format(job_id)), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/%00"),
        ("POST", "/v1/jobs/job_%00/retry"),
        ("POST", "/v1/deliveries/%00/resend"),
        ("DELETE", "/v1/sessions/a%00b"),
        ("POST", "/v1/llm/callback/%00"),
    ],
)
async def test_a_path_with_nul_is_not_found(client: Client, method: str, path: str) -> None:
    raw = await raw_exchange(client.relay.service, head(client).replace(b"POST /webhook", f"{method} {path}".encode()))

    problem(raw, 404, "not_found")


async def test_nul_in_a_query_is_refused(client: Client) -> None:
    asked = head(client).replace(b"POST /webhook", b"GET /v1/jobs?session_id=%00")

    assert fields(problem(await raw_exchange(client.relay.service, asked), 422, "validation_error")) == {
        "query.session_id"
    }
