"""The pieces of streamed tool calls, as OpenAI's clients join them: each call has an `index` of its own, and says its
id, its type and its name once."""

from collections.abc import Mapping
from dataclasses import dataclass

from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.completions import invalid
from answerback.llm.tool_calls import as_text, is_usable_id, names_no_tool, new_id, type_of

MOST_CALLS = 256
"""Tool calls of one answer, and pieces of them in one delta: each piece looks for the call that it belongs to."""


def too_many_calls() -> ProviderError:
    return invalid(f"holds more than {MOST_CALLS} tool calls")


@dataclass(slots=True)
class _Begun:
    """A call, as the upstream says it: `named` is what its pieces have called the tool so far, `given` whether anything
    of its arguments has come."""

    index: Json
    id: Json
    named: str = ""
    given: bool = False


class CallPieces:
    """The calls of one choice."""

    def __init__(self) -> None:
        self._calls: list[_Begun] = []
        self._ids: set[str] = set()
        self._function_call: _Begun | None = None

    def check_whole(self) -> None:
        """Raises ProviderError if a call named no tool."""
        if not all(call.named for call in self._calls):
            raise names_no_tool()
        if self._function_call is not None and not (self._calls or self._function_call.named):
            raise names_no_tool()

    def note_function_call(self, piece: Json) -> None:
        """A piece of the one call in the form of earlier models. Raises ProviderError for one that is no object."""
        if not isinstance(piece, dict):
            raise names_no_tool()
        call = self._function_call = self._function_call or _Begun(None, None)
        call.named = call.named or _name({"function": piece})

    def conforming(self, pieces: Json) -> list[Json]:
        """The pieces of one delta as clients can join them. Raises ProviderError for what is no list of objects (nulls
        are passed over), and beyond `MOST_CALLS`."""
        if not isinstance(pieces, list):
            raise names_no_tool()
        joinable = list[Json]()
        taken = set[int]()
        if len(pieces) > MOST_CALLS:
            raise too_many_calls()
        for piece in pieces:
            if piece is None:
                continue
            if not isinstance(piece, dict):
                raise names_no_tool()
            position = self._position(piece, taken)
            begins = position == len(self._calls)
            if begins:
                if position == MOST_CALLS:
                    raise too_many_calls()
                self._calls.append(_Begun(piece.get("index"), piece.get("id")))
            taken.add(position)
            joinable.append(self._piece(piece, position, begins=begins))
        return joinable

    def completed(self, pieces: list[Json]) -> list[Json]:
        """These pieces, the last ones, with empty arguments for each function that was called without any: clients
        decode what they have joined, and nothing is no JSON."""
        made = list(pieces)
        last = {piece["index"]: at for at, piece in enumerate(pieces)}
        for position, call in enumerate(self._calls):
            if call.given:
                continue
            call.given = True
            if position not in last:
                last[position] = len(made)
                made.append({"index": position})
            piece = made[last[position]]
            made[last[position]] = {**piece, "function": {**(piece.get("function") or {}), "arguments": "{}"}}
        return made

    def _position(self, piece: Mapping[str, Json], taken: set[int]) -> int:
        """Which call the piece belongs to; behind the last one, if it begins another."""
        for position in reversed(range(len(self._calls))):
            if (goes_on := self._goes_on(piece, self._calls[position], beside=position in taken)) is not None:
                return position if goes_on else len(self._calls)
        return len(self._calls)

    def _goes_on(self, piece: Mapping[str, Json], call: _Begun, *, beside: bool) -> bool | None:
        """Whether the piece belongs to the call, or begins one; None if it may belong to an earlier one. It belongs to
        the one with its `index`, unless it has another id; without an index to the one with its id, and without either
        to the last one, unless it names another tool or stands beside a piece of it."""
        index, named = piece.get("index"), _name(piece)
        if piece.get("id") and call.id:
            twice = bool(named) and None not in (index, call.index) and index != call.index
            return True if piece["id"] == call.id and not twice else None
        if index is not None:
            return True if index == call.index else None
        return not beside and (not named or not call.named or named == call.named)

    def _piece(self, piece: Mapping[str, Json], position: int, *, begins: bool) -> dict[str, Json]:
        call = self._calls[position]
        call.id = call.id or piece.get("id")
        made = {**piece, "index": position}
        if begins:
            made["id"] = self._own_id(piece.get("id"))
            made["type"] = type_of(piece)
        else:
            # Clients join texts of later pieces to those that came before.
            made.pop("id", None)
            made.pop("type", None)
        if isinstance(function := piece.get("function"), dict):
            made["function"] = self._function(function, call)
        elif isinstance(custom := piece.get("custom"), dict):
            named = custom.get("name")
            call.named = call.named or (named if isinstance(named, str) else "")
            call.given = True
            if not isinstance(said := custom.get("input"), str | None):
                made["custom"] = {**custom, "input": as_text(said)}
        return made

    def _function(self, function: Mapping[str, Json], call: _Begun) -> dict[str, Json]:
        made = dict(function)
        name = _name({"function": function})
        if call.named or not name:
            made.pop("name", None)
        call.named = call.named or name
        arguments = function.get("arguments")
        if not isinstance(arguments, str | None):
            arguments = made["arguments"] = as_text(arguments)
        call.given = call.given or bool(arguments)
        return made

    def _own_id(self, given: Json) -> str:
        own = given if is_usable_id(given) and given not in self._ids else new_id()
        self._ids.add(own)
        return own


def _name(piece: Mapping[str, Json]) -> str:
    function = piece.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""
