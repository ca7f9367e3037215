"""Bodies are decompressed as they come, bounded, and taken as they are where their label is wrong."""

import gzip
import zlib

import pytest

from answerback.http.client.decoding import Inflate
from answerback.http.client.errors import BodyUndecodable, TooMuchFraming

TEXT = b'{"text": "' + b"x" * 5000 + b'"}'


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def inflated(inflate: Inflate, data: bytes, size: int, limit: int = 100) -> bytes:
    content = b""
    for at in range(0, len(data), size):
        content += inflate.feed(data[at : at + size], limit)
        while inflate.rest:
            content += inflate.feed(b"", limit)
    return content


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:10]) + gzip.compress(TEXT[10:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", bare(TEXT)),
    ],
    ids=["gzip", "x-gzip", "gzip of two members", "deflate", "bare deflate"],
)
def test_a_body_is_decompressed_however_it_comes(coding: str, sent: bytes, size: int) -> None:
    inflate = Inflate(coding)
    assert inflated(inflate, sent, size) == TEXT
    assert inflate.whole


@pytest.mark.parametrize(
    ("coding", "size"),
    [("gzip", 3), ("gzip", 100_000), ("deflate", 100_000), ("br", 3), ("zstd", 100_000)],
)
@pytest.mark.parametrize("sent", [TEXT, b"data: {}\n\n", b"<html></html>"])
def test_what_is_not_compressed_is_taken_as_it_is(coding: str, sent: bytes, size: int) -> None:
    inflate = Inflate(coding)
    assert inflated(inflate, sent, size) == sent
    assert inflate.whole


@pytest.mark.parametrize(
    ("coding", "sent"), [("br", b"\x0b\x02\x80"), ("gzip", b"\x1f\x8b\x09nonsense"), ("zstd", b"\x28")]
)
def test_what_cannot_be_decompressed_is_refused(coding: str, sent: bytes) -> None:
    with pytest.raises(BodyUndecodable):
        inflated(Inflate(coding), sent + b"\x00" * 50, 100)


def test_half_a_body_is_not_whole() -> None:
    inflate = Inflate("gzip")
    inflated(inflate, gzip.compress(TEXT)[:-9], 100)
    assert not inflate.whole


def test_no_more_is_decompressed_than_asked_for() -> None:
    assert len(Inflate("gzip").feed(gzip.compress(b"x" * 1_000_000), 1000)) == 1000


def without_end(piece: bytes) -> bytes:
    return piece * (200_000 // len(piece))


def begun() -> bytes:
    deflating = zlib.compressobj(9, zlib.DEFLATED, 31)
    return deflating.compress(b"{") + deflating.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize(
    "sent",
    [
        without_end(gzip.compress(b"")),
        without_end(gzip.compress(b" ")),
        begun() + without_end(b"\x00\x00\x00\xff\xff"),
        b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + without_end(b"a name"),
    ],
    ids=["empty members", "members of one byte", "empty blocks", "a file's name"],
)
def test_compressed_data_of_nothing_is_given_up_soon(sent: bytes) -> None:
    with pytest.raises(TooMuchFraming):
        inflated(Inflate("gzip"), sent, 4096)


def test_content_makes_up_for_what_is_compressed_to_more_than_itself() -> None:
    events = [b"data: %d\n\n" % number for number in range(20_000)]
    sent = b"".join(gzip.compress(b"".join(events[at : at + 100])) for at in range(0, len(events), 100))
    assert inflated(Inflate("gzip"), sent, 4096) == b"".join(events)
