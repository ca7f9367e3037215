"""Requests with a key that go wrong: a failed or broken one leaves its key free, an answered one is not lost."""

import asyncio

import aiohttp
import pytest
from idempotent_calls import BENCHMARKS, ROUTES, STREAMS, WHOLE, call, code_of, until_settled

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from builders import raw
from troubles import SECRET, chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("name", WHOLE | STREAMS)
async def test_an_error_leaves_the_key_free(http: aiohttp.ClientSession, llm: FakeLLM, name: str) -> None:
    route, text = ROUTES[name], f"unlucky {name}"
    llm.on(text, replies.status(500), replies.say("fine now"))

    failed, again = await call(http, route, text), await call(http, route, text)

    assert (failed.status, again.status, again.stored, llm.count(text)) == (502, 200, False, 2)


async def test_a_benchmark_that_could_not_be_written_leaves_the_key_free(
    http: aiohttp.ClientSession, service: Service
) -> None:
    folder = service.folder / "benchmarks"
    folder.mkdir(exist_ok=True)
    folder.rename(service.folder / "aside")
    folder.write_text("in the way")
    failed = await call(http, BENCHMARKS["benchmark"], "no room")
    folder.unlink()

    again = await call(http, BENCHMARKS["benchmark"], "no room")

    assert (failed.status, again.status, again.stored) == (503, 200, False)


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_that_breaks_is_not_stored(http: aiohttp.ClientSession, llm: FakeLLM, name: str) -> None:
    route, text = ROUTES[name], f"broken {name}"
    llm.on(text, replies.stream(sse(chunk("half"), done=False), "broken"), replies.say("whole"))

    if name == "words":
        with pytest.raises(aiohttp.ClientPayloadError):
            await call(http, route, text)
    else:
        broken = await call(http, route, text)
        assert (broken.status, b"half" in broken.body) == (200, True)
    whole = await until_settled(http, route, text)

    assert (whole.status, whole.stored, b"whole" in whole.body, llm.count(text)) == (200, False, True, 2)


@pytest.mark.parametrize("name", WHOLE | BENCHMARKS)
async def test_a_client_that_hangs_up_on_a_whole_answer_can_fetch_it_later(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str
) -> None:
    route, text = ROUTES[name], f"back soon {name}"
    gone = asyncio.Event()
    llm.on(text, replies.hang(gone, replies.echo()))
    asking = asyncio.ensure_future(call(http, route, text))
    await llm.wait_for_calls(llm.total + 1)
    asking.cancel()
    await asyncio.wait({asking})
    assert (await call(http, route, text)).status == 409

    gone.set()
    reply = await until_settled(http, route, text)

    assert (reply.status, reply.stored, llm.count(text)) == (200, True, 1)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_hangs_up_on_a_stream_stops_it_and_frees_the_key(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str, begun: bool
) -> None:
    route, text = ROUTES[name], f"enough of {name} {begun}"
    endless = replies.stream(sse(chunk("once upon"), done=False), "never")
    llm.on(text, endless if begun else replies.hang(), replies.say("the end"))
    gone = llm.disconnects
    asking = asyncio.ensure_future(call(http, route, text))
    await llm.wait_for_calls(llm.total + 1)

    asking.cancel()

    await llm.wait_for_disconnects(gone + 1, timeout=5)
    reply = await until_settled(http, route, text)
    assert (reply.status, reply.stored, llm.count(text)) == (200, False, 2)


@pytest.mark.parametrize("name", ["events", "generate-stream", "chat-stream"])
async def test_a_client_that_hangs_up_at_the_end_of_a_stream_gets_the_whole_again(
    http: aiohttp.ClientSession, llm: FakeLLM, name: str
) -> None:
    route, text = ROUTES[name], f"to the end {name}"
    sent = {"Idempotency-Key": text, **route.headers}

    async with http.post(route.path, headers=sent, **route.body(text)) as response:
        async for line in response.content:
            if line in (b"data: [DONE]\n", b'data: {"done":true}\n'):
                response.close()
                break

    again = await call(http, route, text)
    assert (again.status, again.stored, llm.count(text)) == (200, True, 1)


@pytest.mark.parametrize("name", ["ask", "chat-stream"])
async def test_a_request_that_died_with_its_process_frees_its_key_when_its_lease_expires(
    http: aiohttp.ClientSession, llm: FakeLLM, service: Service, name: str
) -> None:
    route, text = ROUTES[name], f"killed {name}"
    llm.on(text, replies.hang(), replies.echo())
    asking = asyncio.ensure_future(call(http, route, text))
    await llm.wait_for_calls(llm.total + 1)
    await service.kill()
    with pytest.raises(aiohttp.ClientError):
        await asking
    await service.start()

    waits = await call(http, route, text)
    with raw(service.database) as database:
        # As if that long had passed.
        database.execute("UPDATE idempotency_records SET lease_expires_at = 0 WHERE key = ?", (text,))
    answered, again = await call(http, route, text), await call(http, route, text)

    assert (waits.status, code_of(waits)) == (409, "idempotency_in_progress")
    assert [(each.status, each.stored) for each in (answered, again)] == [(200, False), (200, True)]
    assert llm.count(text) == 2


async def test_a_stored_response_outlives_its_process(
    http: aiohttp.ClientSession, llm: FakeLLM, service: Service
) -> None:
    first = await call(http, WHOLE["chat"], "outlives")

    await service.kill()
    await service.start()

    again = await call(http, WHOLE["chat"], "outlives")
    assert (again.body, again.stored, llm.count("outlives")) == (first.body, True, 1)


async def test_the_log_has_no_traceback_no_text_and_no_key(service: Service) -> None:
    assert "Traceback" not in service.logs
    assert "back soon" not in service.logs
    assert SECRET not in service.logs
