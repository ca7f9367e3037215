"""A client that hangs up stops the work of its request, and nothing else does."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from answerback.http.disconnect import CLIENT, Client, ClientGone, while_connected
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


def do(work: Work, client: Client) -> asyncio.Task[str]:
    request = Request({"type": "http", "extensions": {CLIENT: client}})
    return asyncio.create_task(while_connected(request, work()))


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
        await while_connected(Request({"type": "http", "extensions": {CLIENT: client}}), work())
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
        await while_connected(Request({"type": "http", "extensions": {CLIENT: client}}), fail())


async def test_a_connection_that_closes_stops_the_work_of_its_request(work: Work) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, _: Any) -> None:
        request = Request(scope, receive)
        await request.body()
        try:
            await while_connected(request, work())
        except ClientGone:
            ended.set_result("gone")

    async with serving(app, http=Patient) as port, asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(REQUEST)
        await work.begun.wait()
        writer.close()

        assert await ended == "gone"
        await work.stopped.wait()
