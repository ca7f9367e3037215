"""A response is read from the bytes of a connection, however they come, and every byte counts."""

import pytest

from answerback.http.client.errors import BodyBroken, HttpError, NotHttp, TooMuchFraming
from answerback.http.client.head import MAX_FIELDS
from answerback.http.client.parser import MAX_INTERIM_RESPONSES, ResponseParser

OK = b"HTTP/1.1 200 OK\r\n"
FRAMING = 1024
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

WHOLE: dict[str, tuple[bytes, bytes, bool]] = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "a length of nothing": (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    "one length, said twice": (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "chunks": (CHUNKED + b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n", b"hello world", True),
    "chunks and trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nExpires: never\r\n\r\n", b"hello", True),
    "a size with zeros and capitals": (CHUNKED + b"00A \r\n0123456789\r\n0\r\n\r\n", b"0123456789", True),
    "lines that end with LF": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", b"hello", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "not modified, with the length of another": (b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", b"", True),
    "after interim responses": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
        b"hi",
        True,
    ),
    "a folded field": (OK + b"X: a\r\n  b\r\nContent-Length:\r\n 5\r\n\r\nhello", b"hello", True),
    "after a blank line": (b"\r\n" + OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "a server that closes": (OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    "HTTP/1.0 that keeps": (
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello",
        b"hello",
        True,
    ),
    "a byte too many": (OK + b"Content-Length: 5\r\n\r\nhello!", b"hello", False),
    "a byte behind the chunks": (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n!", b"hello", False),
}


def read(said: bytes, size: int) -> tuple[ResponseParser, bytes]:
    parser, content = ResponseParser(FRAMING), b""
    for at in range(0, len(said), size):
        content += parser.feed(said[at : at + size])
    return parser, content


@pytest.mark.parametrize("size", [1, 3, 1_000_000])
@pytest.mark.parametrize("name", WHOLE)
def test_a_response_is_whole_however_its_bytes_come(name: str, size: int) -> None:
    said, expected, reusable = WHOLE[name]
    parser, content = read(said, size)
    assert (parser.complete, content, parser.reusable) == (True, expected, reusable)


def test_headers_are_found_in_any_case_and_kept_apart() -> None:
    parser, _ = read(OK + b"X-A: 1 \r\nx-a:\t2\r\nEmpty:\r\nContent-Length: 0\r\n\r\n", 1)
    assert parser.head is not None
    headers = parser.head.headers
    assert (headers.getall("x-A"), headers["EMPTY"], headers.get("none")) == (["1", "2"], "", None)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    parser, content = read(OK + b"\r\nhello", 2)
    assert (content, parser.complete) == (b"hello", False)
    assert parser.closed() is None
    assert (parser.complete, parser.reusable) == (True, False)


@pytest.mark.parametrize("said", [OK + b"Content-Length: 5\r\n\r\nhell", CHUNKED + b"5\r\nhello\r\n"])
def test_a_connection_that_closes_within_a_body_breaks_it(said: bytes) -> None:
    parser, _ = read(said, 4)
    assert isinstance(parser.closed(), BodyBroken)


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: many",
        b"Content-Length: -1",
        b"Content-Length: +1",
        b"Content-Length: 1, 2",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked, gzip",
    ],
)
def test_a_head_that_does_not_say_where_its_body_ends_is_known_all_the_same(fields: bytes) -> None:
    parser = ResponseParser(FRAMING)
    with pytest.raises(BodyBroken):
        parser.feed(OK + fields + b"\r\n\r\nhello")
    assert parser.head is not None
    assert parser.head.status == 200


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"\r\n", b"-1\r\n", b"5\r\nhello!\r\n", b"1000000000000000\r\n"])
def test_broken_chunks_leave_the_head_and_what_came_before(chunks: bytes) -> None:
    parser = ResponseParser(FRAMING)
    content = parser.feed(CHUNKED + b"2\r\nhi\r\n" + chunks)
    assert parser.head is not None
    assert content in (b"hi", b"hihello")
    assert isinstance(parser.error, BodyBroken)


@pytest.mark.parametrize(
    "said",
    [
        b"this is not HTTP",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"\x16\x03\x01",
    ],
)
def test_what_is_not_http_is_refused(said: bytes) -> None:
    with pytest.raises(NotHttp):
        ResponseParser(FRAMING).feed(said)


@pytest.mark.parametrize(
    "line",
    [b"no colon", b": no name", b"a b: c", b" folded: at once", b"a: b\0c", b"a: b\rc", b"\xff: a"],
)
def test_a_line_that_is_no_field_is_left_out_and_the_connection_not_trusted(line: bytes) -> None:
    parser, content = read(OK + line + b"\r\nX: y\r\nContent-Length: 5\r\n\r\nhello", 7)
    assert (parser.complete, content, parser.reusable) == (True, b"hello", False)
    assert parser.head is not None
    assert dict(parser.head.headers) == {"X": "y", "Content-Length": "5"}


def test_a_space_before_the_colon_does_not_hide_a_length() -> None:
    parser, content = read(OK + b"Content-Length : 5\r\n\r\nhello", 100)
    assert (parser.complete, content) == (True, b"hello")


def test_a_field_may_be_long() -> None:
    parser, content = read(OK + b"A: " + b"x" * 60_000 + b"\r\nContent-Length: 5\r\n\r\nhello", 1000)
    assert (parser.complete, content) == (True, b"hello")


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(TooMuchFraming):
        ResponseParser(FRAMING).feed(OK + b"a: b\r\n" * (MAX_FIELDS + 1) + b"\r\n")


ENDLESS: dict[str, tuple[bytes, bytes, type[HttpError]]] = {
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", TooMuchFraming),
    "blank lines": (b"", b"\r\n" * 500, TooMuchFraming),
    "fields": (OK, b"a: b\r\n", TooMuchFraming),
    "one field": (OK + b"a: ", b"x" * 1000, TooMuchFraming),
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n", TooMuchFraming),
    "an extension": (CHUNKED + b"5;", b"x" * 1000, TooMuchFraming),
    "extensions": (CHUNKED, b"1;" + b"x" * 90 + b"\r\ny\r\n", TooMuchFraming),
    "trailers": (CHUNKED + b"0\r\n", b"a: b\r\n", TooMuchFraming),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_framing_without_end_is_given_up_soon(name: str) -> None:
    begin, again, refusal = ENDLESS[name]
    parser = ResponseParser(FRAMING)
    parser.feed(begin)
    fed = 0
    error: HttpError | None = None
    while error is None and fed < 1_000_000:
        fed += len(again)
        try:
            parser.feed(again)
        except HttpError as raised:
            error = raised
        else:
            error = parser.error
    assert isinstance(error, refusal)
    assert fed < 100_000


def test_chunks_of_one_byte_may_be_few() -> None:
    parser, content = read(CHUNKED + b"1\r\nx\r\n" * 200 + b"0\r\n\r\n", 65_536)
    assert (parser.complete, content) == (True, b"x" * 200)


def test_a_chunk_that_comes_alone_counts_like_any_other() -> None:
    parser = ResponseParser(FRAMING)
    parser.feed(CHUNKED)
    fed = [parser.feed(each) for each in (b"5\r\nhello\r\n", b"2\r\n\r\n\r\n", b"5\r\nhe", b"llo\r\n", b"0\r\n\r\n")]
    assert (fed, parser.complete, parser.reusable) == ([b"hello", b"\r\n", b"he", b"llo", b""], True, True)


def test_chunks_of_ordinary_size_may_be_many() -> None:
    parser, content = read(CHUNKED + (b"10\r\n" + b"x" * 16 + b"\r\n") * 10_000 + b"0\r\n\r\n", 65_536)
    assert (parser.complete, len(content)) == (True, 160_000)


def test_interim_responses_are_few() -> None:
    parser = ResponseParser(FRAMING)
    parser.feed(b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_INTERIM_RESPONSES)
    parser.feed(OK + b"\r\n")
    assert parser.head is not None
