"""Server-sent events are parsed by the standard, wherever the network cuts the bytes."""

import pytest

from answerback.llm.answers.sse import MAX_EVENT_BYTES, MAX_EVENT_LINES, Event, EventParser, EventTooLarge, first_data


def events(*received: bytes) -> list[Event]:
    parser = EventParser()
    found = [event for each in received for event in parser.feed(each)]
    return [*found, *parser.end()]


def data(*received: bytes) -> list[bytes]:
    return [event.data for event in events(*received)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\n\r\n\rdata: a\n\n\n\n", [b"a"]),
        (b": comment\n\n:\ndata: a\n: between\ndata: b\n\n", [b"a\nb"]),
        (b"id: 7\nretry: 100\nevent: chunk\ndata: a\n\n", [b"a"]),
        (b"data:a\n\ndata:  b\n\n", [b"a", b" b"]),
        (b"data\n\ndata:\n\ndata:\ndata:\n\n", [b"", b"", b"\n"]),
        (b"unknown: field\ndata: a\n\n", [b"a"]),
        (b"event: only\n\nid: only\n\ndata: a\n\n", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a", [b"a"]),
        (b"data: a\r", [b"a"]),
        (b"", []),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a", b"b"]),
        (b'data: a\n\n{"error": {}}\n', [b"a", b'{"error": {}}']),
        (b'{"a": 1}\n{"b": 2}\n', [b'{"a": 1}', b'{"b": 2}']),
        (b'{\n "a": 1\n}\ndata: b\n\n', [b'{\n "a": 1\n}', b"b"]),
        (b"[DONE]\n", [b"[DONE]"]),
        (b'data: {"a": 1}\ndata: {"b": 2}\ndata: [DONE]\n\n', [b'{"a": 1}', b'{"b": 2}', b"[DONE]"]),
        (b'data: {"a":\ndata: [{"b": 2}\ndata: ,{"c": {}\ndata: }]}\n\n', [b'{"a":\n[{"b": 2}\n,{"c": {}\n}]}']),
    ],
)
def test_events_are_found_however_they_are_cut(body: bytes, expected: list[bytes]) -> None:
    assert data(body) == expected
    assert data(*(body[n : n + 1] for n in range(len(body)))) == expected
    for cut in range(len(body)):
        assert data(body[:cut], body[cut:]) == expected


def test_an_event_has_the_name_that_stands_in_it_and_the_next_has_none() -> None:
    assert events(b"event: error\ndata: a\n\ndata: b\n\n") == [Event(b"a", b"error"), Event(b"b")]


@pytest.mark.parametrize("piece", [MAX_EVENT_BYTES, 65_536], ids=["at once", "in pieces"])
def test_an_event_may_be_as_large_as_an_answer_and_no_larger_at_once_or_in_pieces(piece: int) -> None:
    largest = b"data: " + b"x" * (MAX_EVENT_BYTES - 7)

    def cut(body: bytes) -> list[bytes]:
        return [body[n : n + piece] for n in range(0, len(body), piece)]

    assert [len(each) for each in data(*cut(largest + b"\n\n"), b"data: next\n\n")] == [len(largest) - 6, 4]
    with pytest.raises(EventTooLarge):
        data(*cut(largest + b"xx\n\n"))


def test_lines_without_an_end_to_their_event_are_counted() -> None:
    with pytest.raises(EventTooLarge):
        data(*[b"data: %b\n" % (b"x" * 1_000) * 100] * 100)


@pytest.mark.parametrize("line", [b"data:\n", b"data: a\n", b"data: [DONE]\n", b"[{\n"], ids=repr)
def test_an_event_has_some_thousand_lines_at_most(line: bytes) -> None:
    assert len(events(line * MAX_EVENT_LINES, b"\n")) == 1
    with pytest.raises(EventTooLarge):
        data(line * (MAX_EVENT_LINES + 1))


def test_an_event_whose_blank_line_is_missing_is_whole_where_the_next_one_begins() -> None:
    parser = EventParser()

    assert parser.feed(b"event: piece\ndata: {}\n") == []
    assert parser.feed(b"data: {}\n" * 100_000) == [Event(b"{}", b"piece")] * 100_000


def test_of_a_body_only_as_much_is_read_as_holds_its_first_event() -> None:
    assert first_data(b"data: a\n\n" + b"data:\n" * 1_000_000) == b"a"
    assert first_data(b"data:\n" * MAX_EVENT_LINES * 2).startswith(b"data:\n")


def test_comments_are_not_counted() -> None:
    assert data(*[b": keep-alive\n" * 10_000] * 100, b"data: a\n\n") == [b"a"]
