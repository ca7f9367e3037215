"""A supervisor's end of the link: it never blocks, loses nothing but what a frozen process has no room for, and shows
an end."""

import selectors
import socket
from collections.abc import Iterator

import pytest

from answerback.siblings.channel import WAITING_BYTES, Channel
from answerback.siblings.messages import Decoder, encode


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as selector:
        yield selector


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def process(pair: tuple[socket.socket, socket.socket]) -> socket.socket:
    """The other end, as a process holds it."""
    return pair[1]


@pytest.fixture
def channel(pair: tuple[socket.socket, socket.socket], selector: selectors.BaseSelector) -> Channel:
    return Channel(pair[0], selector)


def ready(selector: selectors.BaseSelector) -> int:
    return sum(events for _, events in selector.select(0))


def test_messages_go_both_ways(channel: Channel, process: socket.socket, selector: selectors.BaseSelector) -> None:
    channel.send(encode("wake", "jobs"))
    channel.flush()
    process.send(encode("ready"))

    assert list(Decoder().feed(process.recv(1000))) == [["wake", "jobs"]]
    assert ready(selector) == selectors.EVENT_READ
    assert list(channel.receive()) == [["ready"]]


def test_messages_leave_together(channel: Channel, process: socket.socket) -> None:
    channel.send(encode("wake", "jobs"))
    channel.send(encode("wake", "deliveries"))
    process.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        process.recv(1)

    channel.flush()

    assert list(Decoder().feed(process.recv(1000))) == [["wake", "jobs"], ["wake", "deliveries"]]


def test_what_a_slow_process_has_no_room_for_waits_and_is_sent_later(
    channel: Channel, process: socket.socket, selector: selectors.BaseSelector
) -> None:
    text = "x" * 500_000
    channel.send(encode("figures", text))
    channel.flush()
    assert ready(selector) == 0

    decoder, received = Decoder(), list[object]()
    while not received:
        received += decoder.feed(process.recv(100_000))
        if ready(selector) & selectors.EVENT_WRITE:
            channel.flush()

    assert received == [["figures", text]]
    assert ready(selector) == 0


def test_what_waits_for_a_frozen_process_is_bounded(channel: Channel, process: socket.socket) -> None:
    message = encode("wake", "x" * 100_000)
    for _ in range(100):
        channel.send(message)
        channel.flush()

    process.settimeout(0.0)
    decoder, received = Decoder(), 0
    while True:
        try:
            received += len(list(decoder.feed(process.recv(100_000))))
        except BlockingIOError:
            break
        channel.flush()

    assert WAITING_BYTES // len(message) <= received < 100


def test_the_end_of_a_process_is_shown_after_what_it_sent(channel: Channel, process: socket.socket) -> None:
    process.send(encode("ready"))
    process.close()

    assert list(channel.receive()) == [["ready"]]
    assert channel.open
    assert list(channel.receive()) == []
    assert not channel.open
    channel.send(encode("wake", "jobs"))
