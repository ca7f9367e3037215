"""Streams as real upstreams send them: what is harmless is taken, and what is not whole is never taken for it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import product
from typing import Any

import pytest

from answerback.kernel.allowance import Allowance
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HeavyWork
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers import streams
from answerback.llm.answers.documents import read_completion
from answerback.llm.answers.streams import chunks
from answerback.llm.model import Chunk, Expected, Usage
from answerback.llm.transport import MAX_RESPONSE_BYTES

EVENTS, JSON = "text/event-stream", "application/json"
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
COUNTED = Usage(1, 2, 3)
DONE = "[DONE]"


class Scripted:
    """A response that came in these pieces; then the body ends, or breaks, or `hangs`, or is too `late`."""

    def __init__(
        self, *pieces: bytes, kind: str = EVENTS, breaks: bool = False, hangs: bool = False, late: bool = False
    ) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {"Content-Type": kind} if kind else {}
        self._pieces = [piece for piece in pieces if piece]
        self._breaks = breaks
        self._hangs = hangs
        self._late = late
        self.closed = False
        self.streamed = Allowance(1_000_000, 1_000_000)
        self.seconds_left = 60.0

    async def read_some(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._hangs:
            await asyncio.Event().wait()
        if self._late:
            raise ProviderError(ErrorCode.UPSTREAM_TIMEOUT, "too late", retryable=True)
        if self._breaks:
            raise ProviderError(ErrorCode.UPSTREAM_UNREACHABLE, "broke off", retryable=True)
        return b""

    async def read_what_came(self) -> tuple[bytes, ProviderError | None]:
        body = b""
        try:
            while piece := await self.read_some():
                body += piece
        except ProviderError as error:
            return body, error
        return body, None

    def unread(self, received: bytes) -> None:
        self._pieces[:0] = [received] if received else []

    def close(self) -> None:
        self.closed = True


def piece(text: str | None = None, finish: Json = None, index: Json = 0, **fields: Any) -> dict[str, Json]:
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}], **fields}


def sse(*documents: Any) -> bytes:
    return b"".join(b"data: %b\n\n" % (d if isinstance(d, str) else json.dumps(d)).encode() for d in documents)


HELLO = (piece("Hel"), piece("lo"))
WHOLE = (*HELLO, piece(finish="stop"))
OTHER = piece("Hello", "stop", 1)
COMPLETION = {
    "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


async def streamed(*pieces: bytes, asked: int = 1, **how: Any) -> tuple[str, Usage | None]:
    """The text of the stream and its usage."""
    read = await chunks_of(*pieces, asked=asked, **how)
    return "".join(chunk.text for chunk in read), next((c.usage for c in reversed(read) if c.usage), None)


async def chunks_of(*pieces: bytes, asked: int = 1, **how: Any) -> list[Chunk]:
    response = Scripted(*pieces, **how)
    try:
        return [chunk async for chunk in chunks(response, lambda: 0, Expected("m", asked))]  # type: ignore[arg-type]
    finally:
        assert response.closed


async def joined(*pieces: bytes, asked: int = 1, **how: Any) -> dict[str, Any]:
    """The same body as a whole completion."""
    response = Scripted(*pieces, **how)
    body, document = await read_completion(response, lambda: 0, Expected("m", asked), HeavyWork())  # type: ignore[arg-type]
    assert json.loads(body) == document
    return document


def text_of(document: dict[str, Any]) -> str:
    return document["choices"][0]["message"]["content"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "events",
    [
        (*WHOLE, {"choices": None, "usage": USAGE}, DONE),
        (*WHOLE, {"usage": USAGE}, DONE),
        (*WHOLE, {"choices": [], "usage": USAGE}, DONE),
        (*WHOLE, DONE, {"choices": [], "usage": USAGE}),
        (*WHOLE, DONE, {"usage": USAGE}),
        (*WHOLE, {"choices": [], "usage": USAGE}),
        (*HELLO, piece(finish="stop", usage=USAGE), DONE),
        (*HELLO, piece(finish="stop", x_groq={"usage": USAGE}), DONE),
        (*HELLO, {"choices": [piece(finish="stop")["choices"][0] | {"usage": USAGE}]}, DONE),
        (*WHOLE, {"choices": [], "usage": {"prompt_tokens": 1.0, "completion_tokens": "2"}}, DONE),
    ],
    ids=str,
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_usage_is_found_wherever_it_comes(events: Iterable[Any], at_once: bool) -> None:
    pieces = [sse(each) for each in events]

    assert await streamed(*([b"".join(pieces)] if at_once else pieces)) == ("Hello", COUNTED)


@pytest.mark.parametrize("how", [{"hangs": True}, {"breaks": True}], ids=str)
async def test_what_follows_a_whole_answer_is_waited_for_a_moment_only(
    how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "TAIL_SECONDS", 0.01)
    monkeypatch.setattr(streams, "END_SECONDS", 0.01)

    assert await streamed(sse(*WHOLE, DONE), **how) == ("Hello", None)
    assert await streamed(sse(*WHOLE), **how) == ("Hello", None)
    assert await streamed(sse(*WHOLE), b'data: {"choices": [], "usa', **how) == ("Hello", None)
    assert text_of(await joined(sse(*WHOLE), **how)) == "Hello"


class Silent(Scripted):
    """A response that comes to no end. Only its silence takes time, by a clock of its own."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(*pieces)
        self.seconds = 0.0

    async def read_some(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        while True:
            self.seconds += 0.01
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("events", "asked", "most"),
    [((*WHOLE, DONE), 1, 0.1), (WHOLE, 1, 5.0), ((*WHOLE, OTHER), 2, 5.0), ((OTHER, *WHOLE), 2, 5.0)],
    ids=["done", "ended", "both ended", "the second first"],
)
async def test_an_answer_ends_soon_though_its_connection_stays_open(
    events: Iterable[Any], asked: int, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = Silent(sse(*events))
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: response.seconds)

    read = [chunk async for chunk in chunks(response, lambda: 0, Expected("m", asked))]  # type: ignore[arg-type]

    assert "".join(chunk.text for chunk in read) == "Hello"
    assert response.seconds <= most


async def test_a_choice_that_has_not_begun_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "END_SECONDS", 0.01)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await streamed(sse(*WHOLE), asked=2, hangs=True)


@pytest.mark.parametrize("how", [{"hangs": True}, {"breaks": True}], ids=str)
async def test_an_answer_that_goes_on_after_its_end_has_not_ended_yet(
    how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "END_SECONDS", 0.01)
    events = sse(piece("Hel", "stop"), piece("lo"))

    assert (await streamed(events))[0] == "Hello"
    assert (await streamed(events, sse(piece("!", "stop")), **how))[0] == "Hello!"
    with pytest.raises((ProviderError, TimeoutError)):
        async with asyncio.timeout(0.1):
            await streamed(events, **how)


async def test_where_each_piece_is_an_end_the_answer_ends_with_its_body() -> None:
    events = sse(piece("Hel", "stop"), piece("lo", "stop"))

    assert (await streamed(events))[0] == "Hello"
    assert (await streamed(events, sse(DONE), hangs=True))[0] == "Hello"
    with pytest.raises(ProviderError):
        await streamed(events, breaks=True)


@pytest.mark.parametrize("how", [{"asked": 2}, {}], ids=str)
async def test_a_connection_that_breaks_before_all_has_ended_breaks_the_stream(how: dict[str, int]) -> None:
    events = WHOLE if how else (*HELLO, piece(finish="a_word_of_its_own"))

    with pytest.raises(ProviderError):
        await streamed(sse(*events), breaks=True, **how)


async def test_after_the_end_only_the_usage_counts() -> None:
    assert await streamed(sse(*WHOLE, DONE), b"data: nonsense\n\n", sse({"error": {}, "usage": USAGE})) == (
        "Hello",
        COUNTED,
    )


LIVENESS = [
    b"data:\n\n",
    b"data: \n\n",
    b": OPENROUTER PROCESSING\n\n",
    b"event: ping\ndata: {}\n\n",
    b'event: ping\ndata: {"type": "ping"}\n\n',
    b"event: heartbeat\ndata: now\n\n",
    b"event: close\ndata: bye\n\n",
    b"event: open\ndata: connected\n\n",
    b"event: metadata\ndata: [1, 2]\n\n",
    b'data: {"type": "ping"}\n\n',
    b'data: {"object": "heartbeat"}\n\n',
    b"data: ping\n\n",
    b"id: 1\nretry: 5\n\n",
    b"\n\r\n\r",
    b"\xef\xbb\xbf",
    b'data: {"object": "chat.completion.chunk", "choices": null}\n\n',
    b'data: {"hook_results": {"before_request_hooks": []}}\n\n',
    b'data: {"citations": ["https://a.test"], "search_results": []}\n\n',
    b'data: {"id": "x", "provider": "OpenAI"}\n\n',
    b'data: {"x_groq": {"id": "r"}}\n\n',
    b'data: {"usage": null}\n\n',
    b'data: {"code": 0, "msg": "success"}\n\n',
    b'data: {"message": "processing"}\n\n',
    b'data: {"message": "completed"}\n\n',
    b'data: {"type": "session.created", "session_id": "s"}\n\n',
    b'data: {"choices": [null]}\n\n',
    b'data: {"choices": [null, null], "id": "x"}\n\n',
    b'data: {"prompt_progress": {"total": 3, "processed": 1}}\n\n',
]
"""What gateways say beside an answer (Portkey, Perplexity, OpenRouter, Groq, llama.cpp)."""


@pytest.mark.parametrize("sign", LIVENESS, ids=str)
async def test_signs_of_life_are_no_events(sign: bytes) -> None:
    first, *rest = [sse(each) for each in (*WHOLE, DONE)]

    assert await streamed(sign, first, sign, *rest, sign) == ("Hello", None)
    assert text_of(await joined(sign + first, *rest)) == "Hello"


@pytest.mark.parametrize(
    "said",
    [
        {"detail": "boom"},
        {"detail": [{"loc": ["body", "x"], "msg": "boom"}]},
        {"message": "Endpoint request timed out"},
        {"errorMessage": "boom", "requestId": "r"},
        {"status": 500, "title": "Internal Server Error"},
        {"status": "failed"},
        {"choices": [], "detail": "boom"},
    ],
    ids=str,
)
async def test_an_error_within_a_stream_is_one_though_an_end_follows(said: dict[str, Json]) -> None:
    for read in (streamed, joined):
        with pytest.raises(ProviderError):
            await read(sse(*HELLO, said, *WHOLE[-1:], DONE))


@pytest.mark.parametrize(
    "event",
    [
        b"event: close\ndata: {bye\n\n",
        b"event: exception\ndata: boom\n\n",
        b"event: delta\ndata: lo\n\n",
        b"event: message\ndata: lo\n\n",
        b"data: bye\n\n",
    ],
    ids=str,
)
async def test_an_event_that_may_be_a_piece_or_a_failure_breaks_a_stream(event: bytes) -> None:
    for read in (streamed, joined):
        with pytest.raises(ProviderError):
            await read(sse(*WHOLE) + event + sse(DONE))


@pytest.mark.parametrize("sign", LIVENESS, ids=str)
async def test_signs_of_life_alone_are_no_answer(sign: bytes) -> None:
    for read in (streamed, joined):
        with pytest.raises(ProviderError):
            await read(sign, sign, b"data: [DONE]\n\n")


async def test_a_choice_of_null_beside_the_answer_stands_for_nothing() -> None:
    beside = [{"choices": [None, *each["choices"]]} for each in WHOLE]
    whole = {**COMPLETION, "choices": [None, *COMPLETION["choices"]]}

    assert await streamed(sse(*beside, DONE)) == ("Hello", None)
    assert text_of(await joined(sse(*beside, DONE))) == "Hello"
    assert text_of(await joined(json.dumps(whole).encode(), kind=JSON)) == "Hello"
    assert (await streamed(json.dumps(whole).encode(), kind=JSON))[0] == "Hello"


ENDS = (b"[done]", b"[Done] ", b"DONE", b"[END]", b"<DONE>", b"[ DONE ]", b"[DONE].", b"[DONE]\\n", b'{"done": true}')


@pytest.mark.parametrize("end", ENDS, ids=str)
async def test_whatever_is_made_of_done_ends_a_stream_properly(end: bytes) -> None:
    doubtful = sse(*HELLO, piece(finish="a_word_of_its_own")) + b"data: " + end + b"\n\n"

    assert (await streamed(sse(*WHOLE) + b"data: " + end + b"\n\n"))[0] == "Hello"
    assert (await streamed(doubtful))[0] == "Hello"
    assert text_of(await joined(doubtful)) == "Hello"


@pytest.mark.parametrize(
    "before", [b"\0data: ", b" data: ", b"DATA: ", b"data : ", b"data: data: ", b"data:\t"], ids=str
)
async def test_no_event_is_lost_for_how_its_line_begins(before: bytes) -> None:
    events = sse(*WHOLE, DONE)

    for body in (events.replace(b"data: ", before), events.replace(b"data: ", before, 1)):
        assert (await streamed(body))[0] == "Hello"
        assert text_of(await joined(body)) == "Hello"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"detail": "Insufficient credits"}, ErrorCode.UPSTREAM_CREDIT),
        ({"errorMessage": "You have insufficient credits."}, ErrorCode.UPSTREAM_CREDIT),
        ({"detail": "Rate limit exceeded"}, ErrorCode.UPSTREAM_RATE_LIMITED),
        ({"message": "boom"}, ErrorCode.UPSTREAM_ERROR),
        ({"type": "error", "message": "boom"}, ErrorCode.UPSTREAM_ERROR),
        ({"status": "error", "message": "boom"}, ErrorCode.UPSTREAM_ERROR),
        ({"data": {"choices": []}}, ErrorCode.UPSTREAM_INVALID),
    ],
    ids=str,
)
async def test_what_is_no_answer_says_why_where_it_can(said: dict[str, Any], code: ErrorCode) -> None:
    for read, body in product((streamed, joined), (sse(said, DONE), json.dumps(said).encode())):
        with pytest.raises(ProviderError) as raised:
            await read(body)
        assert raised.value.failure.code is code
        if "message" in said:
            assert raised.value.reason == "boom"


@pytest.mark.parametrize("read", [streamed, joined])
async def test_bytes_that_are_no_utf8_cost_no_answer(read: Callable[..., Awaitable[Any]]) -> None:
    whole = json.dumps(COMPLETION).encode().replace(b"Hello", b"H\xe9llo")
    events = sse(*WHOLE, DONE).replace(b"Hel", b"H\xe9l")

    for body in (whole, events):
        answer = await read(body)
        assert (answer[0] if isinstance(answer, tuple) else text_of(answer)) == "H\ufffdllo"


async def test_azures_chunk_without_choices_is_passed_on() -> None:
    azure = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}

    assert azure.items() <= (await chunks_of(sse(azure, *WHOLE)))[0].document.items()


@pytest.mark.parametrize("kind", [EVENTS, JSON, "text/plain", "", "application/octet-stream"])
@pytest.mark.parametrize(
    "body",
    [
        sse(*WHOLE, {"choices": [], "usage": USAGE}, DONE),
        b"\xef\xbb\xbf \n" + sse(*WHOLE, {"choices": [], "usage": USAGE}, DONE),
        json.dumps(COMPLETION).encode(),
        json.dumps(COMPLETION, indent=2).encode() + b"\n",
        json.dumps(COMPLETION).encode() + b"\n\ndata: [DONE]\n\n",
        json.dumps(COMPLETION, indent=2).encode() + b"\ndata: [DONE]",
        b": keep-alive\n\n" + json.dumps(COMPLETION).encode() + b"\n",
        sse(COMPLETION, DONE),
        sse(COMPLETION),
        b"\n".join(json.dumps(each).encode() for each in (*WHOLE, {"choices": [], "usage": USAGE})),
        json.dumps((*WHOLE, {"choices": [], "usage": USAGE})).encode(),
        sse(*WHOLE, {"choices": [], "usage": USAGE}, DONE).replace(b"\n\n", b"\n"),
    ],
    ids=[
        *("events", "mark", "json", "pretty", "json and done", "pretty and done", "comment", "wrapped", "bare"),
        *("lines", "list", "no blank lines"),
    ],
)
async def test_the_framing_is_what_the_bytes_are(kind: str, body: bytes) -> None:
    for pieces in ([body], [body[n : n + 3] for n in range(0, len(body), 3)]):
        assert await streamed(*pieces, kind=kind) == ("Hello", COUNTED)
        document = await joined(*pieces, kind=kind)
        assert (text_of(document), document["choices"][0]["finish_reason"]) == ("Hello", "stop")
        assert document["usage"] == USAGE


@pytest.mark.parametrize("kind", [JSON, "text/plain", ""])
async def test_a_stream_with_another_label_is_passed_on_as_it_comes(kind: str) -> None:
    response = Scripted(sse(piece("Hel")), kind=kind, hangs=True)
    reply = chunks(response, lambda: 0, Expected("m"))  # type: ignore[arg-type]

    assert (await asyncio.wait_for(anext(reply), 5)).text == "Hel"
    await reply.aclose()


async def test_the_first_token_leaves_before_what_came_with_it_is_read() -> None:
    reply = chunks(Scripted(sse(*WHOLE, DONE)), lambda: 0, Expected("m"))  # type: ignore[arg-type]
    left = asyncio.Event()

    assert (await anext(reply)).text
    # As a response is written: at the end of the turn.
    asyncio.get_running_loop().call_soon(left.set)
    await anext(reply)

    assert left.is_set()
    await reply.aclose()


@pytest.mark.parametrize(
    "indexes",
    [[None, None, None], [1, 1, 1], [0, 1, 2], [3, 5, 9], ["0", "0", "0"], [0, 0, None], [0, None, 0]],
    ids=str,
)
async def test_the_only_choice_may_be_numbered_in_any_way(indexes: list[Json]) -> None:
    events = [piece("Hel", index=indexes[0]), piece("lo", index=indexes[1]), piece(None, "stop", index=indexes[2])]

    read = await chunks_of(sse(*events, DONE))

    assert "".join(chunk.text for chunk in read) == "Hello"
    assert [json.loads(chunk.data)["choices"][0]["index"] for chunk in read] == [0, 0, 0], "clients join by it"
    assert text_of(await joined(sse(*events, DONE))) == "Hello"


async def test_a_chunk_is_passed_on_to_the_letter_unless_clients_could_not_join_it() -> None:
    head = b'"object":"chat.completion.chunk","id":"c","model":"m","created":1'
    choice = b'{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}'
    good = b'{"x_own": [1.50], %b,"choices":[%b]}' % (head, choice)
    odd = {"choices": [{"index": 0, "delta": None, "finish_reason": ""}]}
    misnamed = piece("b", object=None)

    first, *rebuilt, _ = await chunks_of(b"data: %b\n\n" % good, sse(odd, misnamed, piece(finish="stop")))

    assert first.data == good
    assert [json.loads(chunk.data)["choices"] for chunk in rebuilt] == [
        [{"index": 0, "delta": {}, "finish_reason": None}],
        misnamed["choices"],
    ]
    assert json.loads(rebuilt[1].data)["object"] == "chat.completion.chunk"


BROKEN: dict[str, tuple[Any, ...]] = {
    "no reason": (*HELLO, DONE),
    "an empty reason": (*HELLO, piece(finish=""), DONE),
    "a reason in words of none": (*HELLO, piece(finish="null"), DONE),
    "a network error": (*HELLO, piece(finish="network_error"), DONE),
    "an abort": (*HELLO, piece(finish="abort"), DONE),
    "no resources": (*HELLO, piece(finish="insufficient_system_resource"), DONE),
    "an unknown word and no end": (*HELLO, piece(finish="a_word_of_its_own")),
    "an error after the end": (*WHOLE, {"error": {"code": 500}}, DONE),
    "an error line": (*WHOLE, '\n{"error": {"code": 500}}'),
    "half an event": (*WHOLE, '{"choices": [], "usa'),
    "two choices, one whole": (piece("a"), piece("b"), piece("c", index=1), piece(None, "stop")),
    "an end of a choice that did not begin": (piece("a"), piece("b"), piece(None, "stop", index=1)),
    "choices that were not asked for": (piece("a"), piece("b", index=1), piece("c"), piece(None, "stop")),
    "an event that is not JSON": (*HELLO, "nul", piece(finish="stop"), DONE),
    "an event of two texts": (*HELLO, '"a" "b"', piece(finish="stop"), DONE),
    "an event of nothing": (*HELLO, {}, piece(finish="stop"), DONE),
    "an event of null": (*HELLO, "null", piece(finish="stop"), DONE),
    "an event of an empty list": (*HELLO, "[]", piece(finish="stop"), DONE),
    "an event of a number": (*HELLO, "1", piece(finish="stop"), DONE),
    "a list that may hold an answer": (*HELLO, '[1, {"choices": []}]', piece(finish="stop"), DONE),
    "a choice that is a text": (*HELLO, {"choices": ["a"]}, piece(finish="stop"), DONE),
    "an answer of nothing": (piece(""), piece(finish="stop"), DONE),
    "an answer of blanks": (piece(" \n"), piece(finish="stop"), DONE),
    "whole answers, longer and longer": ({"choices": [COMPLETION["choices"][0] | {"finish_reason": None}]}, COMPLETION),
    "calls announced only": (piece(finish="tool_calls"), DONE),
}


@pytest.mark.parametrize("events", BROKEN.values(), ids=BROKEN)
async def test_what_is_not_whole_is_an_error_streamed_and_joined(events: tuple[Any, ...]) -> None:
    for read in (streamed, joined):
        with pytest.raises(ProviderError):
            await read(sse(*events))


@pytest.mark.parametrize(
    "event",
    [
        b'event: error\ndata: {"message": "no"}\n\n',
        b"event: error\ndata: overloaded\n\n",
        b'error: {"code": 500, "message": "no", "type": "server_error"}\n\n',
    ],
)
async def test_an_event_that_is_named_an_error_is_one(event: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        await streamed(sse(*HELLO), event, sse(piece(finish="stop"), DONE))

    assert caught.value.failure.code is ErrorCode.UPSTREAM_ERROR


@pytest.mark.parametrize("end", [b"", b"\n", b"\r"])
async def test_a_last_event_without_its_blank_line_counts(end: bytes) -> None:
    body = sse(*HELLO, piece(finish="stop", usage=USAGE)).rstrip() + end

    assert await streamed(body) == ("Hello", COUNTED)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b" "])
@pytest.mark.parametrize("events", [(piece("Hello", "stop"),), WHOLE], ids=["one event", "several"])
async def test_a_last_event_whose_newlines_never_come_ends_the_answer_soon(
    end: bytes, events: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "END_SECONDS", 0.01)
    body = sse(*events).rstrip() + end

    async with asyncio.timeout(30):
        assert (await streamed(body, hangs=True))[0] == "Hello"
        assert text_of(await joined(body, hangs=True)) == "Hello"


@pytest.mark.parametrize(
    "events",
    [HELLO, (*HELLO, piece(finish="a_word_of_its_own")), (piece("Hello", "stop"),)],
    ids=["no end", "a doubtful end", "an end"],
)
async def test_an_event_without_newlines_counts_for_nothing_once_the_time_is_over(events: tuple[Any, ...]) -> None:
    *before, last = [sse(each) for each in events]
    response = Scripted(*before, last.rstrip(), late=True)

    with pytest.raises(ProviderError) as raised:
        async for _ in chunks(response, lambda: 0, Expected("m", 1)):  # type: ignore[arg-type]
            pass

    assert raised.value.failure.code is ErrorCode.UPSTREAM_TIMEOUT


async def test_wherever_a_body_is_cut_it_is_whole_only_from_the_end_of_the_answer_on() -> None:
    body = sse(*WHOLE, DONE)
    end = body.index(b'"stop"') + len(b'"stop"}]}')

    async def whole(cut: int, **how: bool) -> bool:
        try:
            return (await streamed(body[:cut], **how))[0] == "Hello"
        except ProviderError:
            return False

    for how in ({}, {"breaks": True}):
        assert [cut for cut in range(len(body) + 1) if await whole(cut, **how)] == list(range(end, len(body) + 1))


@pytest.mark.parametrize("separator", [b"\n", b"\r", b"\r\n"])
async def test_no_event_is_lost_however_lines_end(separator: bytes) -> None:
    body = sse(*WHOLE, {"choices": [], "usage": USAGE}, DONE).replace(b"\n", separator)

    assert await streamed(*(body[n : n + 1] for n in range(len(body)))) == ("Hello", COUNTED)


async def test_an_unknown_word_ends_a_stream_that_ended_properly() -> None:
    read = await chunks_of(sse(*HELLO, piece(finish="a_word_of_its_own"), DONE))

    assert [chunk.finish_reason for chunk in read] == [None, None, "a_word_of_its_own"]


@pytest.mark.parametrize("field", ["native_finish_reason", "finishReason", "finish_details"])
async def test_an_end_may_be_said_in_another_field(field: str) -> None:
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": None, field: {"type": "max_tokens"}}]}

    read = await chunks_of(sse(*HELLO, last, DONE))

    assert read[-1].finish_reason == "max_tokens"


@pytest.mark.parametrize("name", ["done", "end"])
async def test_an_end_may_be_a_name(name: str) -> None:
    unknown = piece(finish="a_word_of_its_own")

    assert (await streamed(sse(*HELLO, unknown), f"event: {name}\ndata: {{}}\n\n".encode()))[0] == "Hello"


async def test_an_image_of_megabytes_is_taken_at_once_and_in_pieces() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_500_000}}
    body = sse({"choices": [{"delta": {"images": [image]}}]}, piece(finish="stop"), DONE)

    for pieces in ([body], [body[n : n + 65_536] for n in range(0, len(body), 65_536)]):
        assert len((await chunks_of(*pieces))[0].data) > 1_500_000
        assert (await joined(*pieces))["choices"][0]["message"]["images"] == [image]


async def test_a_joined_answer_is_bounded_like_any_other() -> None:
    with pytest.raises(ProviderError, match=str(MAX_RESPONSE_BYTES)):
        await joined(*[sse({"choices": [{"delta": {"reasoning": "x" * 1_000_000}}]})] * 9)


async def test_reasoning_alone_is_an_answer_to_relay() -> None:
    thought = ({"choices": [{"index": 0, "delta": {"reasoning_content": each}}]} for each in ("h", "m"))
    events = sse(*thought, piece("", "length"), DONE)

    assert await streamed(events) == ("", None)
    assert (await joined(events))["choices"][0]["message"] == {
        "role": "assistant",
        "reasoning_content": "hm",
        "content": "",
    }


async def test_a_joined_answer_holds_all_that_its_chunks_said() -> None:
    def call(**fields: Any) -> dict[str, Json]:
        return {"choices": [{"index": 0, "delta": {"tool_calls": [fields]}}]}

    head = {"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    events = (
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}], **head},
        piece("Let me ", **head),
        piece("see.", **head),
        call(index=0, id="a", type="function", function={"name": "f", "arguments": '{"x":'}),
        call(index=0, function={"arguments": "1}"}),
        call(index=1, id="b", type="function", function={"name": "g", "arguments": "{}"}),
        call(index=1, id="c", type="function", function={"name": "g", "arguments": "{}"}),
        piece(None, "tool_calls", **head),
        {"choices": [], "usage": USAGE, **head},
        DONE,
    )

    document = await joined(sse(*events))

    assert document == {
        **head,
        "object": "chat.completion",
        "usage": USAGE,
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "Let me see.",
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                        {"id": "c", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                    ],
                },
            }
        ],
    }


async def test_more_tool_calls_than_any_answer_has_are_refused() -> None:
    calls = [{"index": n, "id": str(n), "function": {"name": "f", "arguments": "{}"}} for n in range(1_025)]

    with pytest.raises(ProviderError, match="256 tool calls"):
        await joined(sse({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}, piece(finish="stop")))


@pytest.mark.parametrize(
    "body",
    [
        b"\n".join(json.dumps(each).encode() for each in (*HELLO * 2_000, piece(finish="stop"))),
        json.dumps([*HELLO * 2_000, piece(finish="stop")]).encode(),
        b"data: " + json.dumps([*HELLO * 2_000, piece(finish="stop")]).encode() + b"\n\n",
    ],
    ids=["lines", "list", "list in an event"],
)
@pytest.mark.parametrize("read", [streamed, joined])
async def test_thousands_of_chunks_that_come_at_once_leave_others_their_turns(
    read: Callable[..., Awaitable[object]], body: bytes
) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    await read(body, kind=JSON)
    task.cancel()

    assert turns > 4_000 // (2 * streams.A_TURN)


async def test_a_stream_that_never_pauses_is_read_at_a_rate() -> None:
    loop = asyncio.get_running_loop()
    endless = Scripted(*([sse(*HELLO) * 20] * 10_000))
    began, read = loop.time(), 0
    async for _ in chunks(endless, lambda: 0, Expected("m")):  # type: ignore[arg-type]
        read += 1
        if loop.time() - began > 1.0 and read > 1_000:
            break
    seconds = loop.time() - began

    assert read < streams.CHUNKS_AT_ONCE + streams.CHUNKS_A_SECOND * seconds + streams.A_TURN


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (b'{"choices": [' + b",".join([b"{}"] * 257) + b"]}", "256 choices"),
        (b'{"choices": [], "usage": [' + b",".join([b"0"] * 500_001) + b"]}", "500000 values"),
    ],
    ids=["choices", "values"],
)
@pytest.mark.parametrize("read", [streamed, joined])
async def test_an_event_of_more_than_any_answer_holds_is_refused_unread(
    read: Callable[..., Awaitable[object]], event: bytes, words: str
) -> None:
    with pytest.raises(ProviderError, match=words):
        await read(b"data: " + event + b"\n\n", sse(*WHOLE))


@pytest.mark.parametrize("read", [streamed, joined])
async def test_a_document_of_more_values_than_any_answer_has_is_refused_unread(
    read: Callable[..., Awaitable[object]],
) -> None:
    def holding(values: int, text: str = "") -> bytes:
        return json.dumps({**COMPLETION, "values": [0] * values, "text": text}).encode()

    with pytest.raises(ProviderError, match="500000 values"):
        await read(holding(500_001), kind=JSON)
    # In a text they are no values.
    await read(holding(400_000, "[0, 0]" * 200_000), kind=JSON)


UNASKED: dict[str, list[Any]] = {
    "by turns": [piece("Hel"), piece("lo"), piece("x", index=1), piece(None, "length", 1), piece(None, "stop")],
    "one after the other": [piece("Hello", "stop"), piece("x", "stop", 1)],
    "the second one first": [piece("Hel", index=1), piece("x"), piece("lo", "stop", 1), piece("y", "stop")],
    "side by side": [
        {"choices": [*piece("Hel")["choices"], *piece("x", index=1)["choices"]]},
        piece("y", index=1),
        piece("lo"),
        piece(None, "length", 1),
        piece(None, "stop"),
    ],
    "side by side, the second one first": [
        {"choices": [*piece("Hel", index=1)["choices"], *piece("x")["choices"]]},
        piece("y"),
        piece("lo", index=1),
        piece(None, "length"),
        piece(None, "stop", 1),
    ],
}


@pytest.mark.parametrize("events", UNASKED.values(), ids=UNASKED)
async def test_a_choice_that_was_not_asked_for_is_no_part_of_the_answer(events: list[Any]) -> None:
    document = await joined(sse(*events, DONE))
    read = await chunks_of(sse(*events, DONE))

    assert text_of(document) == "Hello"
    assert document["choices"][0]["finish_reason"] == "stop"
    assert {chunk.finish_reason for chunk in read} == {None, "stop"}
    sent = [choice for chunk in read for choice in json.loads(chunk.data)["choices"]]
    assert "".join(each["delta"].get("content") or "" for each in sent if each["index"] == 0) == "Hello"


async def test_calls_of_a_choice_that_was_not_asked_for_are_not_mixed_with_the_answers() -> None:
    def call(index: int, **fields: Any) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {"tool_calls": [{"index": 0, **fields}]}}]}

    events = [
        call(0, id="a", type="function", function={"name": "f", "arguments": ""}),
        call(0, function={"arguments": '{"x"'}),
        call(1, id="b", type="function", function={"name": "g", "arguments": ""}),
        call(1, function={"arguments": '{"y"'}),
        call(0, function={"arguments": ":1}"}),
        call(1, function={"arguments": ":2}"}),
        piece(None, "tool_calls"),
        piece(None, "tool_calls", 1),
    ]

    document = await joined(sse(*events, DONE))

    (made,) = document["choices"][0]["message"]["tool_calls"]
    assert made["function"] == {"name": "f", "arguments": '{"x":1}'}


@pytest.mark.parametrize("first", [0, 1])
async def test_choices_that_were_asked_for_are_joined_apart(first: int) -> None:
    said = [
        (piece("a"), piece("b", index=1)),
        (piece("A"), piece("B", index=1)),
        (piece(None, "stop"), piece(None, "stop", 1)),
    ]
    events = [pair[each] for pair in said for each in (first, 1 - first)]

    document = await joined(sse(*events, DONE), asked=2)

    assert [(each["index"], each["message"]["content"]) for each in document["choices"]] == [(0, "aA"), (1, "bB")]
