"""Where descriptors are short, outgoing connections are refused first, then clients; the database keeps the last."""

import errno
import os
import resource
import socket
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from answerback.http import descriptors
from answerback.http.client.errors import ConnectFailed
from answerback.http.descriptors import is_shortage, leaves_reserve, outgoing_socket, raise_limit
from answerback.http.server import listener, room
from answerback.testing.service import HOST
from bounded_http import Headers, Patient, connected, exchange, rest, serving

ADDRESS: Any = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (HOST, 1))

REQUEST = b"GET / HTTP/1.1\r\nhost: h\r\n"
LAST = REQUEST + b"connection: close\r\n\r\n"

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


@pytest.mark.parametrize("sent", [b"", LAST])
async def test_a_client_too_many_is_asked_to_come_again(limit: Limit, sent: bytes) -> None:
    async with serving(Headers(), http=Patient) as port:
        limit(3)
        answer = await exchange(port, sent)

    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1\r\n" in answer.lower()


class Aging(Patient):
    """As if a connection had been silent for long before a next one comes."""

    made: ClassVar[list[int]] = []

    def connection_made(self, transport: Any) -> None:
        self.made.append(transport.get_extra_info("socket").fileno())
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._heard_at -= 2 * room.LATE_SECONDS


@pytest.mark.parametrize(
    ("sent", "end"), [(REQUEST + b"\r\n", b"\r\n\r\nhost"), (REQUEST + b"x-slow: ", b"request_timeout")]
)
async def test_what_is_idle_or_late_makes_room_and_a_new_one_leaves_the_reserve(
    limit: Limit, monkeypatch: pytest.MonkeyPatch, sent: bytes, end: bytes
) -> None:
    monkeypatch.setattr(descriptors, "CLIENTS_LEAVE", 100_000)
    monkeypatch.setattr(Aging, "made", [])
    async with serving(Headers(), http=Aging) as port, connected(port) as (spared, kept):
        kept.write(sent)
        await exchange(port, LAST)
        limit(Aging.made[0] + 1)

        answer = await exchange(port, LAST)

        assert answer.startswith(b"HTTP/1.1 200")
        assert end in await rest(spared)


async def test_where_none_is_left_what_can_be_spared_makes_room_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SHORTAGE_SECONDS", 60.0)
    async with serving(Headers(), http=Aging) as port, connected(port) as (idle, kept):
        kept.write(REQUEST + b"\r\n")
        assert (await idle.readline()).startswith(b"HTTP/1.1 200")
        accept, short = socket.socket.accept, [OSError(errno.EMFILE, os.strerror(errno.EMFILE))]

        def scarce(listening: socket.socket) -> Any:
            if short:
                raise short.pop()
            return accept(listening)

        monkeypatch.setattr(socket.socket, "accept", scarce)

        assert (await exchange(port, LAST)).startswith(b"HTTP/1.1 200")
        assert (await rest(idle)).endswith(b"host")
