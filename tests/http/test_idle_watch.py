"""A connection is closed once it has waited for a request for long enough, however many it had before."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from answerback.http.server.idle_watch import IdleWatch

SECONDS = 75.0


class Loop:
    """An event loop with a clock that is set, and one timer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due = 0.0
        self.call: Callable[[], None] | None = None
        self.timers = 0

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Any:
        return self.call_at(self.now + seconds, call)

    def call_at(self, due: float, call: Callable[[], None]) -> Any:
        assert self.call is None, "a second timer"
        self.due, self.call = due, call
        self.timers += 1
        return self

    def cancel(self) -> None:
        self.call = None

    def run_until(self, now: float) -> None:
        while self.call is not None and self.due <= now:
            call, self.call, self.now = self.call, None, self.due
            call()
        self.now = now


class Connection:
    def __init__(self, loop: Loop) -> None:
        self.busy = self.closed = False
        self.watch = IdleWatch(cast(asyncio.AbstractEventLoop, loop), SECONDS, lambda: self.busy, self.close)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def connection(loop: Loop) -> Connection:
    connection = Connection(loop)
    connection.watch.begin()
    return connection


def test_a_connection_that_gets_no_request_is_closed_in_time(loop: Loop, connection: Connection) -> None:
    loop.run_until(SECONDS - 0.1)
    assert not connection.closed
    loop.run_until(SECONDS)
    assert connection.closed


def test_the_time_counts_from_the_last_request_and_a_timer_serves_many(loop: Loop, connection: Connection) -> None:
    # Given a thousand requests within a minute
    for each in range(1000):
        loop.run_until(each * 0.06)
        connection.watch.begin()
    # When the first of them is longer ago than that, Then the connection stays
    loop.run_until(SECONDS + 59)
    assert not connection.closed
    # And closes when the last one is
    loop.run_until(SECONDS + 60)
    assert connection.closed
    assert loop.timers == 2


def test_a_connection_is_not_closed_while_a_request_is_in_hand(loop: Loop, connection: Connection) -> None:
    connection.busy = True
    loop.run_until(10 * SECONDS)
    assert not connection.closed

    connection.busy = False
    connection.watch.begin()
    loop.run_until(11 * SECONDS)
    assert connection.closed


def test_a_connection_that_is_gone_is_not_closed_again(loop: Loop, connection: Connection) -> None:
    connection.watch.end()
    loop.run_until(10 * SECONDS)
    assert not connection.closed
