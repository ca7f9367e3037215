"""What is kept of an answer, whatever the answer is."""

import base64
import gzip

import pytest

from answerback.webhooks.sending.response import MAX_BODY, BoundedBody


class TestBoundedBodies:
    @pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "made-up"])
    def test_nothing_is_kept_of_an_unknown_encoding(self, encoding: str) -> None:
        body = BoundedBody(encoding)
        body.feed(b"\x1f\x8bwhatever")
        assert body.snippet() == ""

    def test_nothing_is_kept_of_what_does_not_decompress(self) -> None:
        body = BoundedBody("gzip")
        body.feed(b"this is not gzip")
        assert body.snippet() == ""

    @pytest.mark.parametrize("packed", ["eJzLSM3JyQcABiwCFQ==", "y0jNyckHAA=="], ids=["zlib", "bare"])
    def test_deflate_in_both_its_forms(self, packed: str) -> None:
        body = BoundedBody("deflate")
        for byte in base64.b64decode(packed):
            body.feed(bytes([byte]))
        assert body.snippet() == "hello"

    def test_a_bomb_is_full_at_its_limit(self) -> None:
        body = BoundedBody("gzip")
        body.feed(gzip.compress(bytes(1_000_000)))
        assert body.full

    def test_a_stream_that_inflates_to_nothing_ends_too(self) -> None:
        body = BoundedBody("deflate")
        for _ in range(MAX_BODY // 5 + 1):
            body.feed(b"\x00\x00\x00\xff\xff")  # an empty stored block
        assert body.full
