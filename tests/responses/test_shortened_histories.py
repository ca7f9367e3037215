"""Where the oldest items are left out, the rest begins with a turn, and no output is without its call."""

from typing import Any

import pytest

from answerback.responses.items.history import from_a_turn_on, newest_within

RULES = {"type": "message", "role": "developer"}
USER = {"type": "message", "role": "user"}
SAID = {"type": "message", "role": "assistant"}


def call(number: int) -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"c{number}"}


def output(number: int) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"c{number}"}


@pytest.mark.parametrize(
    ("items", "kept"),
    [
        ([USER, SAID], [USER, SAID]),
        ([output(1), SAID, RULES, USER, call(2), output(2)], [RULES, USER, call(2), output(2)]),
        ([output(1), call(2), output(2), SAID], [call(2), output(2), SAID]),
        ([], []),
    ],
)
def test_the_rest_begins_with_a_turn(items: list[Any], kept: list[Any]) -> None:
    assert from_a_turn_on(items) == kept


@pytest.mark.parametrize(("sizes", "kept"), [([], 0), ([5, 4], 2), ([5, 5], 1), ([10], 0), ([1, 10, 1], 1)])
def test_the_newest_stay_as_far_as_they_fit(sizes: list[int], kept: int) -> None:
    assert newest_within(sizes, 9) == kept
