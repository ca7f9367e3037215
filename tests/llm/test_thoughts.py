"""What a model thinks, in whichever field its upstream says it."""

import time
from typing import Any

import pytest

from answerback.llm.answers.thoughts import Thought, merged, thought_in

DETAILS: Any = [{"type": "reasoning.text", "index": 0, "text": "hm"}]


def test_thoughts_in_many_pieces_are_joined_in_the_time_of_their_length() -> None:
    """It takes a tenth of the bound; half a minute where each piece is added to the text before."""
    pieces = [{"type": "reasoning.text", "index": 0, "text": "0123456789"} for _ in range(200_000)]
    began = time.thread_time()

    (whole,) = merged(pieces)

    assert time.thread_time() - began < 2
    assert len(whole["text"]) == 2_000_000


@pytest.mark.parametrize(
    ("said", "thought"),
    [
        ({"content": "yes"}, None),
        ({"reasoning_content": "", "reasoning": None}, None),
        ({"reasoning_content": "hm"}, Thought("hm", "reasoning_content")),
        ({"reasoning": "hm"}, Thought("hm", "reasoning")),
        ({"reasoning": "hm", "reasoning_content": "hm"}, Thought("hm", "reasoning_content")),
        ({"reasoning": "hm", "reasoning_details": DETAILS}, Thought("hm", "reasoning_details", DETAILS)),
        ({"reasoning_details": DETAILS}, Thought("hm", "reasoning_details", DETAILS)),
        ({"reasoning_details": [5, {"text": 5}]}, Thought("", "reasoning_details", [5, {"text": 5}])),
        ({"thinking": "hm"}, Thought("hm", None)),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, Thought("hm", None)),
        ({"reasoning": 5, "reasoning_details": "x", "thinking": 5}, None),
    ],
)
def test_thoughts_are_found(said: Any, thought: Thought | None) -> None:
    assert thought_in(said) == thought


def test_streamed_details_become_whole_ones() -> None:
    pieces = [
        {"type": "reasoning.text", "index": 0, "text": "h"},
        {"type": "reasoning.text", "index": 0, "text": "m", "signature": None},
        {"type": "reasoning.text", "index": 0, "text": "", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 1, "data": "x"},
        "nonsense",
    ]

    assert merged(pieces) == [
        {"type": "reasoning.text", "index": 0, "text": "hm", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 1, "data": "x"},
    ]
