"""Where descriptors are short, outgoing connections are refused first, then clients; the database keeps the last."""

import errno
import os
import resource
import socket
from collections.abc import Callable
from typing import Any

import pytest

from answerback.http import descriptors
from answerback.http.client.errors import ConnectFailed
from answerback.http.descriptors import is_shortage, leaves_reserve, outgoing_socket, raise_limit
from answerback.http.server import protocol
from answerback.testing.service import HOST
from bounded_http import Headers, Patient, connected, exchange, rest, serving

ADDRESS: Any = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (HOST, 1))

Limit = Callable[[int], None]


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Makes descriptors seem limited to so many."""

    def limited(number: int) -> None:
        monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: (number, number))

    return limited


def next_descriptor() -> int:
    """The number that the next one gets."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def test_an_outgoing_connection_leaves_an_eighth_to_others(limit: Limit) -> None:
    limit(next_descriptor() * 2)
    outgoing_socket(ADDRESS).close()
    before = next_descriptor()

    limit(before + 1)
    with pytest.raises(OSError, match="Too many open files") as refused:
        outgoing_socket(ADDRESS)

    assert is_shortage(refused.value)
    assert next_descriptor() == before


def test_clients_leave_some_to_the_database(limit: Limit) -> None:
    limit(1024)

    assert [leaves_reserve(number) for number in (895, 896, 991, 992, 1023)] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (OSError(errno.EMFILE, ""), True),
        (OSError(errno.ENFILE, ""), True),
        (OSError(errno.EADDRNOTAVAIL, ""), True),
        (socket.gaierror(socket.EAI_SYSTEM, "System error"), True),
        (socket.gaierror(socket.EAI_NONAME, "no such name"), False),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), False),
        (TimeoutError(), False),
        (ValueError(errno.EMFILE), False),
    ],
)
def test_what_this_machine_lacks_is_no_fault_of_the_other_side(error: Exception, short: bool) -> None:
    assert is_shortage(error) is short
    led_to = ConnectFailed("the connection failed")
    led_to.__cause__ = error
    assert is_shortage(led_to) is short


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [(256, 4096, 4096), (1024, 1_048_576, 65_536), (1024, resource.RLIM_INFINITY, 65_536), (4096, 4096, None)],
)
def test_the_soft_limit_is_raised(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int | None) -> None:
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: made.append(limits))

    raise_limit()

    assert made == ([] if wanted is None else [(wanted, hard)])


async def test_a_client_too_many_is_asked_to_come_again(limit: Limit) -> None:
    async with serving(Headers(), http=Patient) as port:
        limit(3)
        answer = await exchange(port, b"")

    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1\r\n" in answer.lower()


async def test_idle_connections_make_room_for_a_new_one(limit: Limit) -> None:
    class Aging(Patient):
        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._heard_at -= 2 * protocol.IDLE_SECONDS

    async with serving(Headers(), http=Aging) as port, connected(port) as (idle, kept):
        kept.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        assert (await idle.readline()).startswith(b"HTTP/1.1 200")
        limit(3)

        answer = await exchange(port, b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")

        assert answer.startswith(b"HTTP/1.1 200")
        assert (await rest(idle)).endswith(b"host")
