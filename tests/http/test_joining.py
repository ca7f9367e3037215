"""An SDK's retry joins the call that it lost the connection of."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from answerback.http.disconnect import ClientGone
from answerback.http.joining import JoinableCalls


class Upstream:
    """Answers once it may, and counts how often it was asked and how often a call was stopped."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.asked = asyncio.Semaphore(0)
        self.calls = self.stopped = 0
        self.stop = asyncio.Event()

    async def answer(self) -> Response:
        self.calls += 1
        number = self.calls
        self.asked.release()
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            self.stop.set()
            raise
        return Response(b"answer %d" % number, 200, {"x-own": "kept"}, "application/json")


class Client:
    """One request, whose connection may be cut."""

    def __init__(self, tries: int = 0, body: bytes = b"{}", path: str = "/v1/chat/completions") -> None:
        self.gone = asyncio.Event()
        self._body: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]
        self.request = Request(
            {"type": "http", "path": path, "headers": [(b"x-stainless-retry-count", b"%d" % tries)]}, self._receive
        )

    async def _receive(self) -> Any:
        if self._body:
            return self._body.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


def ask(calls: JoinableCalls, client: Client, upstream: Upstream, tenant: str = "a") -> asyncio.Task[Response]:
    return asyncio.create_task(calls.answer(client.request, tenant, upstream.answer))


async def settle() -> None:
    """Lets every task go on until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_retry_gets_the_answer_of_the_call_that_still_runs(upstream: Upstream) -> None:
    calls, lost = JoinableCalls(), Client()
    first = ask(calls, lost, upstream)
    await upstream.asked.acquire()
    lost.gone.set()
    with pytest.raises(ClientGone):
        await first

    retry = ask(calls, Client(tries=1), upstream)
    await settle()
    upstream.may.set()

    response = await retry
    assert (response.body, response.status_code) == (b"answer 1", 200)
    assert dict(response.headers) == {"x-own": "kept", "content-length": "8", "content-type": "application/json"}
    assert (upstream.calls, upstream.stopped) == (1, 0)


async def test_a_retry_joins_while_the_first_try_is_still_there(upstream: Upstream) -> None:
    calls = JoinableCalls()
    first = ask(calls, Client(), upstream)
    await upstream.asked.acquire()
    retry = ask(calls, Client(tries=2), upstream)
    await settle()
    upstream.may.set()

    assert {(await first).body, (await retry).body} == {b"answer 1"}
    assert upstream.calls == 1


async def test_what_changes_something_is_joined_only_once_its_client_has_hung_up(upstream: Upstream) -> None:
    calls, lost = JoinableCalls(), Client()
    clients = [lost, Client(tries=1), Client(tries=1)]
    first, other = (
        asyncio.create_task(calls.answer(each.request, "a", upstream.answer, changes=True)) for each in clients[:2]
    )
    await upstream.asked.acquire()
    await upstream.asked.acquire()
    clients[1].gone.set()
    with pytest.raises(ClientGone):
        await other

    retry = asyncio.create_task(calls.answer(clients[2].request, "a", upstream.answer, changes=True))
    await settle()
    upstream.may.set()

    assert ((await first).body, (await retry).body) == (b"answer 1", b"answer 2")
    assert upstream.calls == 2


async def test_nobody_coming_back_stops_the_call(upstream: Upstream) -> None:
    calls, lost = JoinableCalls(grace_seconds=0.01), Client()
    first = ask(calls, lost, upstream)
    await upstream.asked.acquire()
    lost.gone.set()
    with pytest.raises(ClientGone):
        await first

    await upstream.stop.wait()

    retry = ask(calls, Client(tries=1), upstream)
    await upstream.asked.acquire()
    upstream.may.set()
    assert (await retry).body == b"answer 2"


async def test_a_call_that_is_being_stopped_is_not_joined(upstream: Upstream) -> None:
    calls, lost, closed = JoinableCalls(grace_seconds=0.01), Client(), asyncio.Event()

    async def slow_to_stop() -> Response:
        try:
            return await upstream.answer()
        finally:
            await closed.wait()

    first = asyncio.create_task(calls.answer(lost.request, "a", slow_to_stop))
    await upstream.asked.acquire()
    lost.gone.set()
    with pytest.raises(ClientGone):
        await first
    await upstream.stop.wait()

    retry = ask(calls, Client(tries=1), upstream)
    await upstream.asked.acquire()
    upstream.may.set()
    closed.set()

    assert (await retry).body == b"answer 2"


@pytest.mark.parametrize(
    ("other", "tenant"),
    [
        (Client(tries=0), "a"),
        (Client(tries=1, body=b"[]"), "a"),
        (Client(tries=1, path="/v1/embeddings"), "a"),
        (Client(tries=1), "b"),
    ],
    ids=["a first try", "another body", "another path", "another tenant"],
)
async def test_what_is_no_retry_of_it_is_a_call_of_its_own(upstream: Upstream, other: Client, tenant: str) -> None:
    calls = JoinableCalls()
    first = ask(calls, Client(), upstream)
    await upstream.asked.acquire()

    second = ask(calls, other, upstream, tenant)
    await upstream.asked.acquire()
    upstream.may.set()

    assert ((await first).body, (await second).body) == (b"answer 1", b"answer 2")


async def test_a_failure_is_that_of_both(upstream: Upstream) -> None:
    calls = JoinableCalls()

    async def fail() -> Response:
        await upstream.may.wait()
        raise ValueError("broken")

    both = [asyncio.create_task(calls.answer(client.request, "a", fail)) for client in (Client(), Client(tries=1))]
    await settle()
    upstream.may.set()

    for each in both:
        with pytest.raises(ValueError, match="broken"):
            await each


async def test_a_call_that_has_ended_is_not_joined(upstream: Upstream) -> None:
    calls = JoinableCalls()
    upstream.may.set()

    first = await ask(calls, Client(), upstream)
    again = await ask(calls, Client(tries=1), upstream)

    assert (first.body, again.body) == (b"answer 1", b"answer 2")
