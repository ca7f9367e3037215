"""Requests that come together begin in turn between clients."""

import asyncio
from collections.abc import Callable
from typing import Any

from answerback.http.request_turns import ALONE, IN_COMPANY, RequestTurns, client_of
from answerback.testing.clock import FakeClock
from bounded_http import App, Patient, exchange, serving


def request(*headers: tuple[bytes, bytes]) -> Any:
    return {"headers": [(b"host", b"x"), *headers], "client": ("10.0.0.1", 1)}


class Arrivals:
    """Requests, and the clients whose requests have begun, in order."""

    def __init__(self) -> None:
        self.turns = RequestTurns(FakeClock().monotonic)
        self.begun: list[str] = []

    def come(self, client: str, requests: int = 1) -> None:
        for _ in range(requests):
            scope = request((b"authorization", client.encode()))
            self.turns.begin(scope, lambda: self.begun.append(client), asyncio.get_running_loop())


async def test_a_lone_clients_requests_begin_many_at_once() -> None:
    arrivals = Arrivals()
    arrivals.come("a", ALONE + 1)
    assert len(arrivals.begun) == ALONE

    await asyncio.sleep(0)

    assert len(arrivals.begun) == ALONE + 1


async def test_anothers_request_begins_in_the_next_turn_however_many_wait() -> None:
    arrivals = Arrivals()
    arrivals.come("flooding", 10 * ALONE)
    arrivals.come("other")

    await asyncio.sleep(0)

    assert "other" in arrivals.begun


async def test_in_company_few_requests_begin_in_a_turn_and_all_in_the_end() -> None:
    arrivals = Arrivals()
    arrivals.come("other")
    arrivals.come("flooding", 10 * IN_COMPANY)
    assert len(arrivals.begun) == IN_COMPANY

    await asyncio.sleep(0)
    assert len(arrivals.begun) == 2 * IN_COMPANY

    for _ in range(10):
        await asyncio.sleep(0)
    assert len(arrivals.begun) == 10 * IN_COMPANY + 1


async def test_requests_that_come_later_begin_at_once_again() -> None:
    arrivals = Arrivals()
    arrivals.come("a", ALONE)
    await asyncio.sleep(0)

    arrivals.come("a")

    assert len(arrivals.begun) == ALONE + 1


def test_a_client_is_known_by_its_credentials_else_by_its_address() -> None:
    assert client_of(request((b"authorization", b"Bearer k"))) == "Bearer k"
    assert client_of(request((b"cookie", b"session=1"))) == "session=1"
    assert client_of(request()) == "10.0.0.1"


async def test_what_comes_over_a_connection_begins_in_its_turn() -> None:
    class Watched(Patient):
        pass

    class Remembering(RequestTurns):
        def begin(self, scope: Any, start: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
            begun.append(client_of(scope))
            super().begin(scope, start, loop)

    begun: list[str] = []
    async with serving(App(), http=Watched) as port:
        Watched.turns = Remembering()
        answer = await exchange(
            port, b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\n\r\n"
        )

    assert answer.startswith(b"HTTP/1.1 200")
    assert begun == ["Bearer k"]
