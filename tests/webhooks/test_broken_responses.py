"""A status counts once its head has come; framing without end costs its sender its own attempt, and no other."""

import itertools
from collections.abc import Iterable, Iterator

import pytest
from sending import BODY, answering

from answerback.testing import behaviours
from answerback.testing.receiver import Receiver
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.sending.sender import WebhookSender

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BUFFERED = 12_000_000
"""More than the sockets of both sides hold, and less than a server sends in a second."""
BROKEN = {
    "a line that is no field": HEAD + b"what is this\r\nContent-Length: 5\r\n\r\nhello",
    "a space in a field's name": HEAD + b"X Y: z\r\nContent-Length: 5\r\n\r\nhello",
    "a folded field": HEAD + b"X: y\r\n z\r\nContent-Length: 5\r\n\r\nhello",
    "a long field": HEAD + b"X: " + b"y" * 9_000 + b"\r\nContent-Length: 5\r\n\r\nhello",
    "length too small": HEAD + b"Content-Length: 2\r\n\r\nhello",
    "bytes after a 204": b"HTTP/1.1 204 No Content\r\n\r\nhello",
    "a 204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "a second response": HEAD + b"Content-Length: 2\r\n\r\nhiHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    "broken compression": HEAD + b"Content-Length: 5\r\nContent-Encoding: gzip\r\n\r\nhello",
    "broken chunks": CHUNKED + b"5\r\nhello\r\nzz\r\n",
    "length not a number": HEAD + b"Content-Length: many\r\n\r\nhello",
    "negative length": HEAD + b"Content-Length: -1\r\n\r\nhello",
    "two lengths": HEAD + b"Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    "after an interim response": b"HTTP/1.1 103 Early\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\nhello",
}

EMPTY = b"Content-Length: 0\r\n\r\n"
ODD = {
    "lines that end in LF": (200, b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    "no reason": (200, b"HTTP/1.1 200\r\n" + EMPTY),
    "HTTP/1.0, ended by its end": (200, b"HTTP/1.0 200 OK\r\n\r\nhello"),
    "a status that nobody knows": (299, b"HTTP/1.1 299 Odd\r\n" + EMPTY),
    "a reset of a form": (205, b"HTTP/1.1 205 Reset Content\r\n" + EMPTY),
    "the same length twice": (200, HEAD + b"Content-Length: 0\r\n" + EMPTY),
    "bytes that are no ASCII": (200, HEAD + b"X: \xe9\xff\r\n" + EMPTY),
    "a charset of its own": (
        200,
        HEAD + b"Content-Type: text/plain; charset=punycode\r\nContent-Length: 5\r\n\r\nab-cd",
    ),
    "a space before the colon": (200, HEAD + b"X : y\r\n" + EMPTY),
    "two interim responses": (
        202,
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 202 Accepted\r\n" + EMPTY,
    ),
    "go on, three times": (200, b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + HEAD + EMPTY),
    "trailers": (200, CHUNKED + b"2\r\nhi\r\n0\r\nX: y\r\n\r\n"),
}


class TestStatus:
    @pytest.mark.parametrize("piecewise", [False, True], ids=["at once", "byte by byte"])
    @pytest.mark.parametrize(("status", "said"), ODD.values(), ids=ODD)
    async def test_it_counts_however_odd_the_response(
        self, status: int, said: bytes, piecewise: bool, sender: WebhookSender
    ) -> None:
        pieces = [bytes([each]) for each in said] if piecewise else [said]
        async with answering(pieces) as url:
            assert (await sender.send("t1", url, {}, BODY)).status == status

    @pytest.mark.parametrize("piecewise", [False, True], ids=["at once", "byte by byte"])
    @pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
    async def test_it_counts_whatever_is_wrong_behind_its_head(
        self, said: bytes, piecewise: bool, sender: WebhookSender
    ) -> None:
        pieces = [bytes([each]) for each in said] if piecewise else [said]
        async with answering(pieces) as url:
            response = await sender.send("t1", url, {}, BODY)
        assert response.status == (204 if b" 204 " in said else 200)

    @pytest.mark.parametrize("behaviour", [behaviours.break_off(), behaviours.drip(0.01), behaviours.drip(60)])
    async def test_it_counts_though_the_body_never_comes_whole(
        self, behaviour: behaviours.Behaviour, hasty: WebhookSender, receiver: Receiver
    ) -> None:
        receiver.on("/", behaviour)
        response = await hasty.send("t1", receiver.url(), {}, BODY)
        assert (response.status, response.snippet[:1]) == (200, "x")

    async def test_bytes_behind_a_response_are_no_answer_to_the_next_callback(self, sender: WebhookSender) -> None:
        # Given a receiver that sends the answer to its next callback in advance
        async with answering([BROKEN["a second response"]]) as url:
            statuses = [(await sender.send("t1", url, {}, BODY)).status for _ in range(2)]
        assert statuses == [200, 200]


class Taken:
    """Pieces that count how many bytes of them were taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.bytes += len(piece)
            yield piece


class TestEndlessFraming:
    @pytest.mark.parametrize(
        "said",
        [
            itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
            itertools.chain([HEAD], itertools.repeat(b"x: y\r\n" * 1000)),
            itertools.chain([HEAD + b"X: "], itertools.repeat(b"y" * 10_000)),
            itertools.repeat(b"\r\n" * 1000),
        ],
        ids=["interim responses", "headers", "one header", "blank lines"],
    )
    async def test_before_the_status_it_ends_the_attempt(self, said: Iterable[bytes], sender: WebhookSender) -> None:
        taken = Taken(said)
        async with answering(taken) as url:
            with pytest.raises(SendError, match="headers exceed 64 KiB"):
                await sender.send("t1", url, {}, BODY)
        assert taken.bytes < BUFFERED

    @pytest.mark.parametrize(
        "said",
        [
            itertools.chain([CHUNKED + b"1;"], itertools.repeat(b"x" * 10_000)),
            itertools.chain([CHUNKED], itertools.repeat((b"1;" + b"y" * 90 + b"\r\nx\r\n") * 100)),
            itertools.chain([CHUNKED + b"1\r\nx\r\n0\r\n"], itertools.repeat(b"x: y\r\n" * 1000)),
            itertools.chain([CHUNKED], itertools.repeat(b"1\r\nx\r\n" * 10_000)),
        ],
        ids=["extension of one chunk", "extensions of chunks", "trailers", "chunks of one byte"],
    )
    async def test_after_the_status_it_ends_the_body(self, said: Iterable[bytes], sender: WebhookSender) -> None:
        taken = Taken(said)
        async with answering(taken) as url:
            response = await sender.send("t1", url, {}, BODY)
        assert response.status == 200
        assert len(response.snippet) < 1024, "a body would have been read to 16 KiB"
        assert taken.bytes < BUFFERED
