"""The calls of tools in a streamed answer: which piece belongs to which call, and what each is called."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from answerback.kernel.json import Json
from answerback.llm import completions
from answerback.llm.call_pieces import MOST_CALLS
from answerback.llm.model import storable, storable_json
from answerback.llm.tool_calls import LONGEST_ID
from answerback.responses.model import Item
from answerback.responses.output import Event, OpenCall
from answerback.responses.tools import Toolbox

_KNOWN = frozenset({"index", "id", "type", "function", "custom"})

Open = Callable[[str], tuple[str, int]]
"""Makes room for another item of a type in the output: its id and index."""


@dataclass(slots=True)
class _Call:
    """A call as its upstream names it. It is `opened` once its tool is known; until then its arguments wait."""

    index: Json
    upstream_id: str | None
    opened: OpenCall | None = None
    waiting: list[str] = field(default_factory=list)
    extra: Item = field(default_factory=dict)


class Calls:
    """Of one answer. A piece belongs to the call with its `index`; a new id there begins another call. Without an index
    it belongs to the call with its id, and without either to the last one."""

    def __init__(self, toolbox: Toolbox, make_room: Open) -> None:
        self._toolbox = toolbox
        self._make_room = make_room
        self._calls: list[_Call] = []
        self._ids: set[str] = set()

    def take(self, delta: Mapping[str, Json]) -> Iterator[Event]:
        """The pieces in one delta. Raises ProviderError for more calls than an answer may have."""
        pieces = delta.get("tool_calls")
        if not pieces and isinstance(delta.get("function_call"), dict):
            pieces = [{"index": 0, "function": delta["function_call"]}]
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                yield from self._add(piece)

    def close(self, status: str) -> Iterator[Event]:
        """Raises ProviderError for a call that names no tool."""
        for call in self._calls:
            if call.opened is None:
                raise completions.invalid("holds a tool call that names no tool")
            yield from call.opened.close(status)

    @property
    def items(self) -> list[OpenCall]:
        return [call.opened for call in self._calls if call.opened is not None]

    def _add(self, piece: Mapping[str, Json]) -> Iterator[Event]:
        said = piece.get("function")
        said = said if isinstance(said, dict) else piece.get("custom")
        said = said if isinstance(said, dict) else {}
        call = self._of(piece, named=bool(said.get("name")))
        call.extra.update({key: storable_json(value) for key, value in piece.items() if key not in _KNOWN})
        text = _arguments(said.get("arguments", said.get("input")))
        if call.opened is None and isinstance(name := said.get("name"), str) and name:
            yield from self._open(call, storable(name))
            text = "".join([*call.waiting, text])
        if call.opened is None:
            call.waiting.append(text)
        else:
            call.opened.extra = call.extra
            yield from call.opened.add(text)

    def _open(self, call: _Call, function: str) -> Iterator[Event]:
        tool = self._toolbox.tool(function)
        item_id, index = self._make_room("custom_tool_call" if tool.kind == "custom" else "function_call")
        call.opened = OpenCall(item_id, index, self._own_id(call.upstream_id), tool)
        yield call.opened.begin()

    def _of(self, piece: Mapping[str, Json], *, named: bool) -> _Call:
        upstream_id = piece.get("id")
        upstream_id = upstream_id if isinstance(upstream_id, str) and upstream_id else None
        index = piece.get("index")
        for call in reversed(self._calls):
            if _belongs(call, index, upstream_id, named=named):
                return call
        if len(self._calls) == MOST_CALLS:
            raise completions.invalid(f"holds more than {MOST_CALLS} tool calls")
        self._calls.append(_Call(index, upstream_id))
        return self._calls[-1]

    def _own_id(self, upstream_id: str | None) -> str:
        call_id = upstream_id
        if call_id is None or len(call_id) > LONGEST_ID or call_id in self._ids:
            call_id = f"call_{uuid.uuid4().hex}"
        call_id = storable(call_id)
        self._ids.add(call_id)
        return call_id


def _belongs(call: _Call, index: Json, upstream_id: str | None, *, named: bool) -> bool:
    if upstream_id is None:
        return index is None or index == call.index
    if call.upstream_id is not None and upstream_id != call.upstream_id:
        return False
    if index is None or index == call.index:
        return True
    # One id on two indexes: two calls where each names its tool, else an index that counts the pieces.
    return call.upstream_id is not None and not named


def _arguments(given: Json) -> str:
    if given is None:
        return ""
    return storable(given) if isinstance(given, str) else json.dumps(storable_json(given), ensure_ascii=False)
