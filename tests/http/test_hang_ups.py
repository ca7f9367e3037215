"""A client that hangs up stops the work of its request, and nothing else does."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Scope

from answerback.http.disconnect import CLIENT, Client, ClientGone, while_connected
from answerback.http.sse import sse_response
from answerback.testing.service import HOST
from bounded_http import PATIENCE, Patient, serving

REQUEST = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"


class Work:
    """Goes on until it may end; knows whether it was cancelled."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.stopped = asyncio.Event()

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        return "done"


def nothing() -> None: ...


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def client() -> Client:
    return Client(nothing, nothing)


def scope_of(client: Client) -> Scope:
    return {"type": "http", "extensions": {CLIENT: client}}


def do(work: Work, client: Client) -> asyncio.Task[str]:
    return asyncio.create_task(while_connected(scope_of(client), work()))


async def test_the_work_ends_for_a_client_that_stays(work: Work, client: Client) -> None:
    task = do(work, client)
    await work.begun.wait()
    work.may_end.set()

    assert await task == "done"


async def test_a_client_that_hangs_up_stops_the_work(work: Work, client: Client) -> None:
    task = do(work, client)
    await work.begun.wait()
    client.went()

    with pytest.raises(ClientGone):
        await task
    assert work.stopped.is_set()
    assert not task.cancelling()


async def test_the_work_for_a_client_that_has_gone_is_stopped_at_once(work: Work, client: Client) -> None:
    client.went()

    with pytest.raises(ClientGone):
        await do(work, client)


async def test_a_client_that_hangs_up_after_the_work_stops_nothing(work: Work, client: Client) -> None:
    async def request_and_more() -> str:
        await while_connected(scope_of(client), work())
        client.went()
        await asyncio.sleep(0)
        return "went on"

    work.may_end.set()
    assert await asyncio.create_task(request_and_more()) == "went on"


async def test_a_request_that_is_cancelled_as_its_client_hangs_up_ends_as_cancelled(work: Work, client: Client) -> None:
    task = do(work, client)
    await work.begun.wait()
    client.went()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_failure_of_the_work_is_its_own(client: Client) -> None:
    async def fail() -> str:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await while_connected(scope_of(client), fail())


async def test_a_connection_that_closes_stops_the_work_of_its_request(work: Work) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, _: Any) -> None:
        await Request(scope, receive).body()
        try:
            await while_connected(scope, work())
        except ClientGone:
            ended.set_result("gone")

    async with serving(app, http=Patient) as port, asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(REQUEST)
        await work.begun.wait()
        writer.close()

        assert await ended == "gone"
        await work.stopped.wait()


async def test_a_connection_that_closes_ends_its_stream_and_the_log_of_requests_sees_it(work: Work) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def events() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        await work()
        yield b"data: 2\n\n"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()
        received: list[str] = []

        async def receive_noting() -> Any:
            message = await receive()
            received.append(message["type"])
            return message

        await sse_response(events())(scope, receive_noting, send)
        ended.set_result(received)

    async with serving(app, http=Patient) as port, asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(REQUEST)
        await work.begun.wait()
        writer.close()

        assert await ended == ["http.disconnect"]
        assert work.stopped.is_set()
