"""The line that every request leaves, with the status that is true in the end; and the log as a file."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from answerback.testing import FakeLLM, Service, replies

SECRET = "sk-upstream-secret"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - "


ON_CONSOLE = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(llm: FakeLLM) -> AsyncIterator[Service]:
    settings = {
        "OPENROUTER_BASE_URL": llm.base_url,
        "OPENROUTER_API_KEY": SECRET,
        "LLM_TIMEOUT_SECONDS": "1",
        "MAX_RETRIES": "0",
        "LOG_FORMAT": "text",
        "LOGS_DIR": "logs/of/ours",
    }
    async with Service(settings) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(service.url) as session:
        yield session


async def line_with(service: Service, part: str) -> str:
    """The request line that holds this, once it is written."""
    async with asyncio.timeout(10):
        while not (found := [each for each in service.logs.splitlines() if part in each and "handler=" in each]):
            await _another_line(service)
    return found[-1]


async def _another_line(service: Service) -> None:
    async with aiohttp.ClientSession(service.url) as session, session.get("/healthz"):
        return


@ON_CONSOLE
async def test_a_good_request_reads_as_earlier_services_wrote_it(service: Service, http: aiohttp.ClientSession) -> None:
    async with http.get("/models", headers={"X-Request-Id": "the-models"}) as response:
        assert response.status == 200

    pattern = STAMP + r"INFO - OK \| GET /models \| handler=\w+ \| time=\d+\.\d{4}s \| status_code=200"
    pattern += r" \| request_id=the-models"
    assert re.fullmatch(pattern, await line_with(service, "GET /models"))


@pytest.mark.parametrize(
    ("question", "reply", "status", "code"),
    [
        ("limited", replies.status(429), 429, "upstream_rate_limited"),
        ("broken", replies.status(500), 502, "upstream_error"),
        ("slow", replies.hang(), 503, "upstream_timeout"),
        ("refused", replies.status(400), 400, "upstream_refused"),
    ],
)
@ON_CONSOLE
async def test_upstream_trouble_is_an_error_line_with_its_true_status_and_code_and_no_traceback(
    service: Service,
    http: aiohttp.ClientSession,
    llm: FakeLLM,
    question: str,
    reply: replies.Reply,
    status: int,
    code: str,
) -> None:
    llm.on(question, reply)

    async with http.post("/api/ask", json={"question": question}) as response:
        assert response.status == status

    line = await line_with(service, f"status_code={status}")
    level = "ERROR" if status >= 500 else "WARNING"
    assert re.fullmatch(
        STAMP + rf"{level} - ERROR \| POST /api/ask \| handler=ask \| time=\d\.\d{{4}}s \| "
        rf"status_code={status} \| code={code} \| request_id=req_\w+",
        line,
    )
    assert "Traceback" not in service.logs


@pytest.mark.parametrize("accept", ["text/plain", "text/event-stream"])
@ON_CONSOLE
async def test_a_stream_that_breaks_is_an_error_line_at_its_end(
    service: Service, http: aiohttp.ClientSession, llm: FakeLLM, accept: str
) -> None:
    llm.on(f"break {accept}", replies.break_off())
    before = service.logs.count("stream=broken")

    async with http.post(
        "/api/streaming", json={"question": f"break {accept}"}, headers={"Accept": accept}
    ) as response:
        assert response.status == 200
        try:
            await response.read()
        except aiohttp.ClientPayloadError:
            assert accept == "text/plain"

    async with asyncio.timeout(10):
        while service.logs.count("stream=broken") == before:
            await _another_line(service)
    line = await line_with(service, "stream=broken")
    assert re.search(
        r" - ERROR - ERROR \| POST /api/streaming \| .* \| status_code=200 \| code=\w+ \| stream=broken \|", line
    )


@ON_CONSOLE
async def test_a_good_stream_is_timed_to_its_end(service: Service, http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("a slow good one", replies.delayed(0.3, replies.say("done")))

    async with http.post("/api/streaming", json={"question": "a slow good one"}) as response:
        await response.read()

    line = await line_with(service, "INFO - OK | POST /api/streaming")
    seconds = re.search(r"time=(\d+\.\d+)s", line)
    assert seconds is not None
    assert float(seconds[1]) >= 0.3
    assert re.search(
        r" \| status_code=200 \| model=\S+ \| tokens=\d+ \| finish=stop \| llm_ms=\d+ \| request_id=", line
    )


@ON_CONSOLE
async def test_a_client_that_disconnects_is_logged_as_such(service: Service, llm: FakeLLM) -> None:
    until = asyncio.Event()
    llm.on("nobody waits", replies.hang(until))
    body = b'{"question": "nobody waits"}'
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    head = f"POST /api/ask HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    calls = llm.total
    writer.write(head.encode() + body)
    await llm.wait_for_calls(calls + 1)

    writer.close()

    assert "ERROR | POST /api/ask" in await line_with(service, "status_code=499")


@ON_CONSOLE
async def test_a_feed_that_its_reader_closes_ended_as_it_should(service: Service, http: aiohttp.ClientSession) -> None:
    async with http.get("/v1/feed") as response:
        await response.content.readline()
        response.close()

    line = await line_with(service, "GET /v1/feed")
    assert "INFO - OK | GET /v1/feed" in line
    assert "status_code=200" in line


@ON_CONSOLE
async def test_a_path_cannot_forge_a_line_nor_show_what_is_secret_in_it(
    service: Service, http: aiohttp.ClientSession
) -> None:
    async with http.get("/v1/sessions/https%3A%2F%2Fx.example%2Fhook%3Ftoken%3Dhunter2"):
        pass
    async with http.get("/no%0A2026-01-01%2000:00:00,000%20INFO%20OK%20|%20GET%20/forged"):
        pass

    assert "hunter2" not in service.logs
    assert (await line_with(service, "forged")).count("handler=-") == 1
    assert not [each for each in service.logs.splitlines() if each.startswith("2026-01-01 00:00:00,000")]


@ON_CONSOLE
async def test_the_file_holds_the_same_lines_and_nothing_that_was_said(
    service: Service, http: aiohttp.ClientSession
) -> None:
    async with http.post("/api/ask", json={"question": "do not write this down"}) as response:
        assert response.status == 200
    await _another_line(service)

    written = (service.folder / "logs/of/ours/answerback.log").read_text()
    assert "POST /api/ask" in written
    assert written.splitlines()[0] == service.logs.splitlines()[0]
    assert "do not write this down" not in written
    assert SECRET not in written


async def test_json_keeps_the_fields_of_a_request() -> None:
    async with Service({"MOCK_DELAY_SECONDS": "0"}) as service, aiohttp.ClientSession(service.url) as http:
        async with http.get("/v1/jobs?limit=1", headers={"x-request-id": "abc"}) as response:
            assert response.status == 200
        await service.terminate()
        lines = [json.loads(each) for each in service.logs.splitlines()]

    (line,) = [each for each in lines if each.get("request_id") == "abc"]
    assert line["ms"] > 0
    expected = {"event": "request", "level": "info", "method": "GET", "path": "/v1/jobs", "handler": "list_jobs"}
    assert expected.items() <= line.items()
    assert line["status"] == 200


async def test_a_short_secret_is_named_at_start_and_never_shown() -> None:
    async with Service({"CALLBACK_HMAC_SECRET": "hunter2", "AUTH_TOKEN": "x" * 16}) as service:
        await service.terminate()
        lines = [json.loads(each) for each in service.logs.splitlines()]

    assert [each["setting"] for each in lines if each["event"] == "short_secret"] == ["CALLBACK_HMAC_SECRET"]
    assert "hunter2" not in service.logs
