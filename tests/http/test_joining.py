"""An SDK's retry joins the call that it lost the connection of, or gets the answer that came meanwhile."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from answerback.http import joining
from answerback.http.disconnect import CLIENT, ClientGone
from answerback.http.disconnect import Client as Sender
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


class Client(Sender):
    """One request, whose connection may be cut: `went`."""

    def __init__(self, tries: int = 0, body: bytes = b"{}", path: str = "/v1/chat/completions") -> None:
        super().__init__(unexpected, resume)
        self._body: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]
        scope = {"type": "http", "path": path, "headers": [(b"x-stainless-retry-count", b"%d" % tries)]}
        self.request = Request({**scope, "extensions": {CLIENT: self}}, self._receive)

    async def _receive(self) -> Any:
        return self._body.pop()


def resume() -> None:
    """Nothing is read of this connection."""


def unexpected() -> None:
    raise AssertionError("whole responses need no hang-up")


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


def ask(
    calls: JoinableCalls, client: Client, upstream: Upstream, tenant: str = "a", *, changes: bool = False
) -> asyncio.Task[Response]:
    return asyncio.create_task(calls.answer(client.request, tenant, upstream.answer, changes=changes))


async def leave(calls: JoinableCalls, upstream: Upstream, body: bytes = b"{}") -> None:
    """A client that hangs up before its answer."""
    client = Client(body=body)
    call = ask(calls, client, upstream, changes=True)
    await upstream.asked.acquire()
    client.went()
    with pytest.raises(ClientGone):
        await call


async def settle() -> None:
    """Lets every task go on until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_retry_gets_the_answer_of_the_call_that_still_runs(upstream: Upstream) -> None:
    calls, lost = JoinableCalls(), Client()
    first = ask(calls, lost, upstream)
    await upstream.asked.acquire()
    lost.went()
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
    clients[1].went()
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
    lost.went()
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
    lost.went()
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


@pytest.mark.parametrize("changes", [True, False])
async def test_an_answer_that_nobody_received_is_the_retrys(upstream: Upstream, changes: bool) -> None:
    calls = JoinableCalls()
    await leave(calls, upstream)
    upstream.may.set()
    await settle()

    retry = await ask(calls, Client(tries=1), upstream, changes=changes)
    another = await ask(calls, Client(tries=1), upstream, changes=changes)

    assert (retry.body, another.body) == (b"answer 1", b"answer 2")


async def test_a_retry_that_leaves_as_well_loses_no_answer(upstream: Upstream) -> None:
    calls, lost = JoinableCalls(), Client(tries=1)
    await leave(calls, upstream)
    second = ask(calls, lost, upstream, changes=True)
    await settle()
    lost.went()
    with pytest.raises(ClientGone):
        await second
    upstream.may.set()
    await settle()

    assert (await ask(calls, Client(tries=2), upstream, changes=True)).body == b"answer 1"
    assert upstream.calls == 1


async def test_each_of_two_that_asked_the_same_gets_an_answer_of_its_own(upstream: Upstream) -> None:
    calls = JoinableCalls()
    await leave(calls, upstream)
    await leave(calls, upstream)
    upstream.may.set()
    await settle()

    retries = [await ask(calls, Client(tries=1), upstream, changes=True) for _ in range(2)]

    assert [each.body for each in retries] == [b"answer 1", b"answer 2"]
    assert upstream.calls == 2


async def test_nobody_coming_back_lets_the_answer_go(upstream: Upstream) -> None:
    calls = JoinableCalls(kept_seconds=0)
    await leave(calls, upstream)
    upstream.may.set()
    await settle()

    assert (await ask(calls, Client(tries=1), upstream)).body == b"answer 2"


@pytest.mark.parametrize(("bound", "most"), [("MOST_KEPT", 1), ("MOST_KEPT_BYTES", 15)])
async def test_the_oldest_answer_goes_first(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(joining, bound, most)
    calls = JoinableCalls()
    await leave(calls, upstream, b"1")
    await leave(calls, upstream, b"2")
    upstream.may.set()
    await settle()

    assert (await ask(calls, Client(tries=1, body=b"2"), upstream)).body == b"answer 2"
    assert (await ask(calls, Client(tries=1, body=b"1"), upstream)).body == b"answer 3"


async def test_a_failure_that_nobody_heard_of_is_tried_again(upstream: Upstream) -> None:
    calls, lost = JoinableCalls(), Client()

    async def fail() -> Response:
        await upstream.may.wait()
        raise ValueError("broken")

    first = asyncio.create_task(calls.answer(lost.request, "a", fail))
    await settle()
    lost.went()
    with pytest.raises(ClientGone):
        await first
    upstream.may.set()
    await settle()

    assert (await ask(calls, Client(tries=1), upstream)).body == b"answer 1"


async def leave_what_is_slow_to_stop(calls: JoinableCalls, upstream: Upstream, cancelled: asyncio.Event) -> None:
    async def slow_to_stop() -> Response:
        try:
            return await upstream.answer()
        finally:
            await cancelled.wait()

    lost = Client()
    first = asyncio.create_task(calls.answer(lost.request, "a", slow_to_stop))
    await upstream.asked.acquire()
    lost.went()
    with pytest.raises(ClientGone):
        await first


async def test_a_stop_waits_until_calls_are_cancelled(upstream: Upstream) -> None:
    calls, cancelled = JoinableCalls(), asyncio.Event()
    await leave_what_is_slow_to_stop(calls, upstream, cancelled)

    stop = asyncio.create_task(calls.stop())
    await upstream.stop.wait()
    await settle()
    assert not stop.done()
    cancelled.set()
    await stop


async def test_a_call_that_cannot_be_cancelled_does_not_hold_up_a_stop(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "STOP_SECONDS", 0)
    calls, cancelled = JoinableCalls(), asyncio.Event()
    await leave_what_is_slow_to_stop(calls, upstream, cancelled)

    await calls.stop()

    assert upstream.stopped == 1
    cancelled.set()
