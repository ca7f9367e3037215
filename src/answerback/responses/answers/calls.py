"""The calls of tools in a streamed answer, piece by piece."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from answerback.kernel.json import Json
from answerback.llm.answers.completions import invalid
from answerback.llm.answers.tool_calls import new_id
from answerback.llm.model import storable, storable_json
from answerback.responses.answers.output import Event, OpenCall
from answerback.responses.model import Item
from answerback.responses.tools.toolbox import Toolbox

_KNOWN = frozenset({"index", "id", "type", "function", "custom"})

MakeRoom = Callable[[str], tuple[str, int]]
"""Makes room for another item of a type in the output: its id and index."""


@dataclass(slots=True)
class _Call:
    """It is `opened` once its tool is known; until then its arguments wait."""

    id: str
    opened: OpenCall | None = None
    waiting: list[str] = field(default_factory=list)
    extra: Item = field(default_factory=dict)


class Calls:
    """Of one answer, by the `index` that `CallPieces` of `llm/answers` gives each, with an id in its first piece."""

    def __init__(self, toolbox: Toolbox, make_room: MakeRoom) -> None:
        self._toolbox = toolbox
        self._make_room = make_room
        self._calls: dict[int | None, _Call] = {}

    def take(self, delta: Mapping[str, Json]) -> Iterator[Event]:
        """The pieces in one delta."""
        for piece in delta.get("tool_calls") or ():
            yield from self._add(self._call(piece["index"], piece.get("id")), piece)
        if function := delta.get("function_call"):
            # In the form of earlier models there is one call, without an id.
            yield from self._add(self._call(None, new_id()), {"function": function})

    def close(self, status: str) -> Iterator[Event]:
        """Raises ProviderError for a call that names no tool."""
        for call in self._calls.values():
            if call.opened is None:
                raise invalid("holds a tool call that names no tool")
            yield from call.opened.close(status)

    @property
    def items(self) -> list[OpenCall]:
        return [call.opened for call in self._calls.values() if call.opened is not None]

    def _call(self, index: int | None, call_id: str) -> _Call:
        if index not in self._calls:
            self._calls[index] = _Call(storable(call_id))
        return self._calls[index]

    def _add(self, call: _Call, piece: Mapping[str, Json]) -> Iterator[Event]:
        call.extra.update({key: storable_json(value) for key, value in piece.items() if key not in _KNOWN})
        said = next((each for each in (piece.get("function"), piece.get("custom")) if isinstance(each, dict)), {})
        text = said.get("arguments", said.get("input"))
        text = text if isinstance(text, str) else ""
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
        call.opened = OpenCall(item_id, index, call.id, tool)
        yield call.opened.begin()
