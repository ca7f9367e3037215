"""Calls and outputs that are added to a conversation: what could never be read is refused, and named by its place."""

from typing import Any

import pytest

from answerback.responses.items.input import items_of
from answerback.responses.items.pairs import UnansweredCall, check_added, matched

CALL: Any = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
OUTPUT: Any = {"type": "function_call_output", "call_id": "c1", "output": "rain"}
SAID: Any = {"role": "user", "content": "hi"}
SKIPPED: Any = {"type": "web_search_call", "id": "ws_1"}


def add(before: list[Any], *added: Any) -> None:
    given = items_of(list(added), "items")
    check_added(items_of(before).items, given.items, given.paths)


@pytest.mark.parametrize(
    ("before", "added"),
    [
        ([], [CALL]),
        ([], [CALL, OUTPUT, CALL, OUTPUT]),
        ([CALL], [SAID, OUTPUT]),
        ([CALL, OUTPUT], [CALL]),
        ([{**CALL, "status": "incomplete"}], [CALL]),
    ],
)
def test_what_can_be_read_later_is_taken(before: list[Any], added: list[Any]) -> None:
    add(before, *added)


@pytest.mark.parametrize(
    ("before", "added", "place"),
    [
        ([], [OUTPUT], 0),
        ([CALL, OUTPUT], [SAID, OUTPUT], 1),
        ([], [SKIPPED, CALL, OUTPUT, OUTPUT], 3),
        ([CALL], [CALL], 0),
        ([{**CALL, "call_id": "c2"}], [OUTPUT], 0),
    ],
)
def test_what_could_never_be_read_is_refused(before: list[Any], added: list[Any], place: int) -> None:
    with pytest.raises(UnansweredCall, match="c1") as refused:
        add(before, *added)

    assert refused.value.field == f"items[{place}].call_id"


def test_an_unpaired_item_that_is_stored_is_to_be_deleted() -> None:
    stored = {**OUTPUT, "id": "fco_1"}

    with pytest.raises(UnansweredCall, match="delete the item 'fco_1'"):
        matched([stored])
    with pytest.raises(UnansweredCall, match="add it to 'input'"):
        matched([OUTPUT])
