"""Chunks that are like one before are not read as JSON; what comes out is the same."""

import json
import random
import tracemalloc
from collections.abc import Sequence

import pytest

from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers.alike import AlikeChunks
from answerback.llm.answers.chunk_reader import ChunkReader
from answerback.llm.model import Chunk, Expected

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def encoded(delta: object, end: str | None = None, *, ascii_only: bool = True, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": end}
    return json.dumps({**HEAD, "choices": [choice], **more}, ensure_ascii=ascii_only).encode(errors="surrogatepass")


def piece(text: object) -> bytes:
    return encoded({"content": text}, ascii_only=False)


def read(events: Sequence[bytes]) -> tuple[list[Chunk], str | None]:
    """The chunks, and why the stream broke."""
    reader, chunks = ChunkReader(lambda: 0, Expected("m")), list[Chunk]()
    try:
        for event in events:
            chunks += reader.read(b"data: " + event + b"\n\n")
        reader.check_whole()
    except ProviderError as error:
        return chunks, str(error)
    return chunks, None


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The events that were read as JSON."""
    from answerback.llm.answers import events

    read = list[bytes]()
    decode = events.decode
    monkeypatch.setattr(events, "decode", lambda data: read.append(data) or decode(data))
    return read


def test_only_what_is_unlike_is_read_as_json(decoded: list[bytes]) -> None:
    first, end = encoded({"role": "assistant", "content": ""}), encoded({}, "stop")
    words = ["Hello", " world", ' "quoted"', " line\n", " ünï", " 世界", " \\ "]

    chunks, broke = read([first, *map(piece, words), end, b"[DONE]"])

    assert broke is None
    assert [chunk.text for chunk in chunks] == ["", *words, ""]
    assert [chunk.data for chunk in chunks[1:-1]] == [piece(word) for word in words]
    assert decoded == [first, piece("Hello"), end]


@pytest.mark.parametrize(
    "odd",
    [
        piece(""),
        piece(None),
        piece([{"type": "text", "text": "part"}]),
        piece("nul\0"),
        encoded({"content": "\ud83d"}),
        encoded({"content": "half \ude00"}),
        encoded({"content": "\ud83d\ude00"}),
        encoded({"content": "x", "refusal": "no"}),
        encoded({"content": "x", "role": "user"}),
        encoded(
            {"content": "x", "tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}
        ),
        encoded({"content": "x"}, "length"),
        encoded({"content": "x"}, "network_error"),
        encoded({"content": "x"}, usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
        encoded({"content": "x"}, error={"message": "broke"}),
        piece('x"},"finish_reason":"stop","y":{"z":"'),
        piece("x").replace(b'"x"', b'"x","content":"y"'),
        piece("x").replace(b'"x"', b'"x\xff"'),
        piece("x").replace(b'"x"', b'"x\ty"'),
        piece("x").replace(b'"x"', b'"x\\q"'),
        piece("x").replace(b'"x"', b'"x\\"'),
        piece("x").replace(b'"x"', b'"'),
        piece("x").replace(b'"chatcmpl-1"', b"null"),
        piece("x")[:-1],
        b"",
        b"ping",
        b'{"choices":[]}',
        b"[DONE]",
    ],
)
def test_an_odd_event_between_them_counts_as_it_would_without(odd: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = [piece("a"), piece("b"), odd, piece("c"), odd, piece("d"), encoded({}, "stop"), b"[DONE]"]
    quick = read(stream)

    monkeypatch.setattr(AlikeChunks, "learn", lambda *_: None)

    assert quick == read(stream)


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_or_flipped_byte_counts_as_it_would_without(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    streams = []
    for _ in range(50):
        stream = [piece(word) for word in ("a", "bc", 'd"e', "f\\", "g\n")] + [encoded({}, "stop"), b"[DONE]"]
        number = draw.randrange(1, 5)
        harmed = bytearray(stream[number])
        if draw.random() < 0.5:
            del harmed[draw.randrange(len(harmed)) :]
        else:
            harmed[draw.randrange(len(harmed))] = draw.choice(b'"\\{}[]:,x\x00\xff')
        stream[number] = bytes(harmed)
        streams.append(stream)
    quick = [read(stream) for stream in streams]

    monkeypatch.setattr(AlikeChunks, "learn", lambda *_: None)

    assert quick == [read(stream) for stream in streams]


def test_a_stream_whose_chunks_all_differ_is_soon_not_compared_any_more() -> None:
    """As of upstreams that pad each chunk with something random."""
    alike = AlikeChunks()
    for number in range(20):
        data = encoded({"content": "x"}, obfuscation=str(number))
        assert alike.document(data) is None
        alike.learn(Chunk(data, json.loads(data), "x", None, None))

    assert alike.document(encoded({"content": "y"}, obfuscation="19")) is None


def test_the_text_of_the_one_that_others_are_like_is_not_kept() -> None:
    reader, event = ChunkReader(lambda: 0, Expected("m")), b"data: " + piece("x" * 1_000_000) + b"\n\n"
    assert len(list(reader.read(b"data: " + encoded({"role": "assistant", "content": ""}) + b"\n\n"))) == 0
    tracemalloc.start()

    read = [chunk.text[:1] for chunk in reader.read(event)]

    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read[-1] == "x"
    assert held < 200_000
