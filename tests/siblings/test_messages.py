"""Messages between a process and its supervisor arrive whole, in whatever pieces they come."""

import pytest

from answerback.siblings.messages import Decoder, encode


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_messages_come_in_pieces(piece: int) -> None:
    sent = encode("wake", "jobs") + encode("hit", 7, "key_ü", 60, 60, 1) + encode("figures", [["a", [["b", "c"]], 1.5]])
    decoder = Decoder()

    received = [
        message for start in range(0, len(sent), piece) for message in decoder.feed(sent[start : start + piece])
    ]

    assert received == [
        ["wake", "jobs"],
        ["hit", 7, "key_ü", 60, 60, 1],
        ["figures", [["a", [["b", "c"]], 1.5]]],
    ]
