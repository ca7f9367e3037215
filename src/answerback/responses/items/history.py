"""How much may stand before an input, and what of it is left out where the request allows it."""

from collections.abc import Sequence
from itertools import accumulate

from answerback.kernel.errors import InvalidField
from answerback.llm.instructions import INSTRUCTING
from answerback.responses.items.pairs import CALLS, OUTPUTS
from answerback.responses.model import Item


class PreviousResponseNotFound(InvalidField):
    """`previous_response_id` names no stored response of yours: it was deleted, or created with `store: false`."""

    code = "previous_response_not_found"


class ChainTooLong(InvalidField):
    """The responses before this one, or the items of its conversation, hold more than 33,554,432 characters together.
    Begin anew, or send `truncation: "auto"`, which leaves the oldest out."""

    code = "context_length_exceeded"


def newest_within(sizes: Sequence[int], most: int) -> int:
    """How many of the newest hold no more than `most` together; the oldest come first."""
    return sum(size <= most for size in accumulate(reversed(sizes)))


def from_a_turn_on(items: Sequence[Item]) -> list[Item]:
    """Items whose predecessors are left out, without the rest of a turn that has lost its beginning. Where no other one
    begins, only outputs are left out whose calls are gone."""
    begin = next((place for place, item in enumerate(items) if item.get("role") == "user"), None)
    if begin is not None:
        return _from(items, begin)
    calls = {item["call_id"] for item in items if item["type"] in CALLS}
    return [item for item in items if item["type"] not in OUTPUTS or item["call_id"] in calls]


def without_oldest(items: Sequence[Item]) -> list[Item] | None:
    """Without the older half of the turns; None where one turn is left. A turn begins with what a user says, so that
    calls keep their outputs."""
    turns = [place for place, item in enumerate(items) if item.get("role") == "user"]
    return _from(items, turns[(len(turns) + 1) // 2]) if len(turns) > 1 else None


def _from(items: Sequence[Item], begin: int) -> list[Item]:
    """With what instructs the model before."""
    return [*(item for item in items[:begin] if item.get("role") in INSTRUCTING), *items[begin:]]
