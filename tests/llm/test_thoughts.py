"""What a model thinks, in whichever field its upstream says it."""

from typing import Any

import pytest

from answerback.llm.answers.thoughts import Thought, merged, thought_in

DETAILS: Any = [{"type": "reasoning.text", "index": 0, "text": "hm"}]


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
