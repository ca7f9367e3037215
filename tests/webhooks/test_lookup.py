"""Looking up names: tenants share the threads, and nobody waits for another's dead names."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from answerback.webhooks.sending import lookup as lookups
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.lookup import Requester, SystemLookup
from answerback.webhooks.sending.sender import WebhookSender

THREADS = 5
"""Of which a tenant alone takes four at a factor of 4."""


class Resolver:
    """Stands for the system's: names that begin with `dead` have no answer before `release`, those that begin with
    `slow` have none before `slow_answers`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._released = threading.Semaphore(0)
        self.slow_answers = threading.Event()
        self.asked: list[str] = []
        self.under_way = 0
        self._changed = asyncio.Event()

    def __call__(self, host: str) -> Sequence[str]:
        self._loop.call_soon_threadsafe(self._note, host, 1)
        try:
            if host.startswith("dead"):
                self._released.acquire()
                raise socket.gaierror("no such name")
            if host.startswith("slow"):
                self.slow_answers.wait()
            return ["127.0.0.1"]
        finally:
            self._loop.call_soon_threadsafe(self._note, host, -1)

    def _note(self, host: str, more: int) -> None:
        if more > 0:
            self.asked.append(host)
        self.under_way += more
        self._changed.set()

    def release(self, n: int = 1) -> None:
        self._released.release(n)

    async def until_asked(self, n: int) -> None:
        async with asyncio.timeout(10):
            while len(self.asked) < n:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "THREADS", THREADS)


@pytest.fixture
async def resolver(threads: None) -> AsyncIterator[Resolver]:
    made = Resolver(asyncio.get_running_loop())
    yield made
    made.release(1000)
    made.slow_answers.set()


@pytest.fixture
def lookup(resolver: Resolver) -> Iterator[SystemLookup]:
    made = SystemLookup(4.0, resolver)
    yield made
    made.close()


async def dead(
    lookup: SystemLookup, resolver: Resolver, n: int, tenant: str = "a"
) -> list[asyncio.Task[Sequence[str]]]:
    """The tenant looks up `n` dead names, as many at once as it may."""
    tasks = [asyncio.ensure_future(lookup(f"dead{i}.test", Requester(tenant))) for i in range(n)]
    await resolver.until_asked(min(n, THREADS - 1))
    return tasks


async def test_a_tenants_dead_names_leave_a_thread_for_others(lookup: SystemLookup, resolver: Resolver) -> None:
    waiting = await dead(lookup, resolver, 40)

    assert await lookup("alive.test", Requester("b")) == ["127.0.0.1"]

    assert resolver.under_way == THREADS - 1
    assert not any(task.done() for task in waiting)


async def test_a_tenant_at_its_share_waits_for_a_thread_of_its_own(lookup: SystemLookup, resolver: Resolver) -> None:
    waiting = await dead(lookup, resolver, 40)

    resolver.release(36)
    await resolver.until_asked(40)

    resolver.release(4)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(end) for end in ended} == {socket.gaierror}


async def test_a_thread_is_taken_until_the_resolver_returns_though_its_caller_has_left(
    lookup: SystemLookup, resolver: Resolver
) -> None:
    for task in await dead(lookup, resolver, THREADS - 1):
        task.cancel()
    another = asyncio.ensure_future(lookup("alive.test", Requester("a")))
    await asyncio.wait([another], timeout=0.01)
    assert not another.done()

    resolver.release()

    assert await another == ["127.0.0.1"]


async def test_a_waiter_that_leaves_takes_no_thread(lookup: SystemLookup, resolver: Resolver) -> None:
    waiting = await dead(lookup, resolver, THREADS)

    waiting[-1].cancel()
    resolver.release(THREADS - 1)
    await asyncio.gather(*waiting, return_exceptions=True)

    assert await lookup("alive.test", Requester("a")) == ["127.0.0.1"]
    assert f"dead{THREADS - 1}.test" not in resolver.asked


async def test_connections_that_begin_at_once_share_a_lookup(lookup: SystemLookup, resolver: Resolver) -> None:
    found = await asyncio.gather(*(lookup("alive.test", Requester("a")) for _ in range(100)))

    assert found == [["127.0.0.1"]] * 100
    await lookup("alive.test", Requester("b"))
    assert resolver.asked == ["alive.test"]


async def test_however_many_wait_for_a_dead_name_it_takes_one_thread(lookup: SystemLookup, resolver: Resolver) -> None:
    waiting = [asyncio.ensure_future(lookup("dead.test", Requester(f"tenant-{n % 3}"))) for n in range(60)]
    await resolver.until_asked(1)
    # One that gives up ends it for no other
    waiting[0].cancel()

    for n in range(THREADS):
        await lookup(f"alive{n}.test", Requester("tenant-0"))

    resolver.release()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ended] == [asyncio.CancelledError, *[socket.gaierror] * 59]
    assert resolver.asked.count("dead.test") == 1


async def test_a_name_that_was_dead_is_looked_up_again(lookup: SystemLookup, resolver: Resolver) -> None:
    for times in (1, 2):
        resolver.release()
        with pytest.raises(socket.gaierror):
            await lookup("dead.test", Requester("a"))
        assert resolver.asked == ["dead.test"] * times


async def test_one_that_waited_for_its_turn_shares_the_lookup_that_began_meanwhile(
    lookup: SystemLookup, resolver: Resolver
) -> None:
    holding = await dead(lookup, resolver, THREADS - 1)
    waiting = asyncio.ensure_future(lookup("slow.test", Requester("a")))
    await asyncio.wait([waiting], timeout=0.01)
    other = asyncio.ensure_future(lookup("slow.test", Requester("b")))
    await resolver.until_asked(THREADS)

    resolver.release(THREADS - 1)
    await asyncio.gather(*holding, return_exceptions=True)
    assert await lookup("alive.test", Requester("a")) == ["127.0.0.1"]
    resolver.slow_answers.set()

    assert await asyncio.gather(waiting, other) == [["127.0.0.1"]] * 2
    assert resolver.asked.count("slow.test") == 1


async def test_a_closed_lookup_finds_nothing(lookup: SystemLookup) -> None:
    lookup.close()

    with pytest.raises(OSError, match="stops"):
        await lookup("alive.test", Requester("a"))


async def test_the_deadline_of_an_attempt_stands_still_while_it_waits_for_its_turn(
    lookup: SystemLookup, resolver: Resolver
) -> None:
    # Given a tenant whose dead names hold all the threads that it may have
    holding = await dead(lookup, resolver, THREADS - 1)
    sender = WebhookSender(AddressGuard(resolve=lookup), lambda: 0, timeout_seconds=0.05)
    attempt = asyncio.ensure_future(sender.send("a", "http://alive.test:9/", {}, b"{}"))
    # When its attempt waits for longer than an attempt may take
    await asyncio.wait([attempt], timeout=0.15)
    assert not attempt.done()
    resolver.release(THREADS - 1)
    # Then it is made all the same: this address is refused, at no receiver's cost
    with pytest.raises(SendError, match="may not be called") as refused:
        await attempt
    assert refused.value.waited >= 0.1
    await asyncio.gather(*holding, return_exceptions=True)
    await sender.close()


async def test_the_deadline_of_an_attempt_covers_the_lookup_itself(lookup: SystemLookup) -> None:
    sender = WebhookSender(AddressGuard(resolve=lookup), lambda: 0, timeout_seconds=0.05)

    with pytest.raises(SendError, match="no answer came") as ended:
        await sender.send("a", "http://dead.test/", {}, b"{}")
    assert ended.value.waited == 0.0
    await sender.close()


async def test_a_request_joins_no_lookup_that_waits_for_another_tenants_turn(
    lookup: SystemLookup, resolver: Resolver
) -> None:
    guard = AddressGuard(allow_loopback=True, resolve=lookup)
    holding = await dead(lookup, resolver, THREADS - 1)
    behind = asyncio.ensure_future(guard.check("http://alive.test/", "a"))
    await asyncio.wait([behind], timeout=0.01)

    await guard.check("http://alive.test/", "b")

    assert not behind.done()
    resolver.release(THREADS - 1)
    await behind
    await asyncio.gather(*holding, return_exceptions=True)
    await guard.close()
