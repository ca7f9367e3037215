"""Calls and their outputs, which stand in pairs: a model is never shown one without the other."""

from collections.abc import Iterable, Mapping, Sequence

from answerback.kernel.errors import InvalidField
from answerback.responses.model import Item

CALLS = ("function_call", "custom_tool_call")
OUTPUTS = ("function_call_output", "custom_tool_call_output")


class UnansweredCall(InvalidField):
    """A call without its output, or the reverse."""

    code = "invalid_value"


class _Unpaired(ValueError):
    """An item that cannot stand where it does; the words say why."""


class _OpenCalls:
    """Those behind which no output stands yet, by the ids that the model gave them: these come again in later turns."""

    def __init__(self) -> None:
        self._open: dict[str, Item] = {}

    def take(self, item: Item) -> Item | None:
        """The call that the item is the output of. Raises _Unpaired, and leaves the item out."""
        call_id = item.get("call_id", "")
        if item["type"] in CALLS:
            if not _needs_none(self._open.get(call_id)):
                raise _Unpaired(f"no output stands behind the call {call_id!r}, which it makes again")
            self._open[call_id] = item
        elif item["type"] in OUTPUTS:
            if call_id not in self._open:
                raise _Unpaired(f"no call {call_id!r} stands before its output")
            return self._open.pop(call_id)
        return None

    def first(self) -> Item | None:
        """The first that needs an output."""
        return next((each for each in self._open.values() if not _needs_none(each)), None)


def matched(items: Iterable[Item]) -> Mapping[int, Item]:
    """The output of each call, by the call's identity. Raises UnansweredCall, which says how to mend it."""
    calls = _OpenCalls()
    outputs: dict[int, Item] = {}
    for item in items:
        try:
            call = calls.take(item)
        except _Unpaired as why:
            raise UnansweredCall("input", f"{why}: {_remedy(item)}") from None
        if call is not None:
            outputs[id(call)] = item
    if (unanswered := calls.first()) is not None:
        words = f"no tool output found for the call {unanswered['call_id']!r}: add it to 'input'"
        raise UnansweredCall("input", words)
    return outputs


def check_added(before: Iterable[Item], items: Sequence[Item], paths: Sequence[str]) -> None:
    """Raises UnansweredCall, which names the path of an item that could never be read behind those before it. A call
    whose output comes later can."""
    calls = _behind(before)
    for item, path in zip(items, paths, strict=True):
        try:
            calls.take(item)
        except _Unpaired as why:
            raise UnansweredCall(f"{path}.call_id", f"invalid '{path}.call_id': {why}") from None


def check_input(before: Iterable[Item], items: Sequence[Item]) -> None:
    """As `check_added`, for the input of a response."""
    calls = _behind(before)
    for item in items:
        try:
            calls.take(item)
        except _Unpaired as why:
            raise UnansweredCall("input", f"{why}: {_remedy(item)}") from None


def _behind(items: Iterable[Item]) -> _OpenCalls:
    """The calls that are open behind these items."""
    calls = _OpenCalls()
    for item in items:
        try:
            calls.take(item)
        except _Unpaired:
            continue
    return calls


def are_paired(items: Iterable[Item]) -> bool:
    """Whether any of them is one of a pair."""
    return any("call_id" in item for item in items)


def _needs_none(call: Item | None) -> bool:
    """Whether no output must follow: there is no such call, or it was cut off."""
    return call is None or call["status"] == "incomplete"


def _remedy(item: Item) -> str:
    """Items that are stored have an id, those of the request have none."""
    return f"delete the item {item['id']!r}" if "id" in item else "add it to 'input'"
