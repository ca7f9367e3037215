"""The pieces of streamed tool calls, as OpenAI's clients join them: each call has an `index` of its own, and says its
id, its type and its name once."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers.call_arguments import Arguments
from answerback.llm.answers.completions import invalid
from answerback.llm.answers.tool_calls import (
    NO_NAMES,
    as_text,
    is_usable_id,
    names_no_tool,
    new_id,
    type_of,
    with_function,
)

MOST_CALLS = 256
"""Tool calls of one answer, and pieces of them in one delta: each piece looks for the call that it belongs to."""


def too_many_calls() -> ProviderError:
    return invalid(f"holds more than {MOST_CALLS} tool calls")


@dataclass(slots=True)
class _Begun:
    """A call, as the upstream says it: `named` is what its pieces have called the tool so far, `given` whether anything
    of its arguments has come, `free` whether they are a text of any kind. `held` waits for the rest of the name, and
    `shown` says that the name has been sent."""

    index: Json
    id: Json
    named: str = ""
    given: bool = False
    free: bool = False
    in_pieces: bool = False
    shown: bool = False
    held: dict[str, Json] | None = None
    arguments: Arguments = field(default_factory=Arguments)


class CallPieces:
    """The calls of one choice. `tools` are the names of those that were offered."""

    def __init__(self, tools: Set[str]) -> None:
        self._tools = tools
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
        for given in pieces:
            if given is None:
                continue
            if not isinstance(given, dict):
                raise names_no_tool()
            piece = self._readable(with_function(given))
            position = self._position(piece, taken)
            begins = position == len(self._calls)
            if begins:
                if self._calls and _is_blank(piece):
                    continue
                if position == MOST_CALLS:
                    raise too_many_calls()
                joinable += self.released()
                self._calls.append(_Begun(piece.get("index"), piece.get("id")))
            taken.add(position)
            if (made := self._piece(piece, position, begins=begins)) is not None:
                joinable.append(made)
        return joinable

    def released(self) -> list[Json]:
        """The pieces that were held back, once nothing more of their names can come. Raises ProviderError."""
        return [self._with_name(call, call.held) for call in self._calls if call.held is not None]

    def completed(self, pieces: list[Json]) -> list[Json]:
        """These pieces, the last ones, with empty arguments for each function that was called without any: clients
        decode what they have joined, and nothing is no JSON."""
        made = list(pieces)
        last = {piece["index"]: at for at, piece in enumerate(pieces)}
        for position, call in enumerate(self._calls):
            if call.given:
                continue
            call.given = True
            call.arguments.add("{}")
            if position not in last:
                last[position] = len(made)
                made.append({"index": position})
            piece = made[last[position]]
            made[last[position]] = {**piece, "function": {**(piece.get("function") or {}), "arguments": "{}"}}
        return made

    def _readable(self, piece: dict[str, Json]) -> dict[str, Json]:
        """The piece, without a name that is the text of null, and without the new id that some upstreams (vLLM) give to
        each piece: what goes on says no name, and goes on at its index."""
        if _name(piece) in NO_NAMES - self._tools:
            piece = {**piece, "function": {**piece["function"], "name": None}}
        if piece.get("id") and not _name(piece) and self._renames(piece):
            return {**piece, "id": None}
        return piece

    def _renames(self, piece: Mapping[str, Json]) -> bool:
        """Whether a piece without a name has an id of no call, at the index of one that goes on, or says no more."""
        index = piece.get("index")
        if index is None or any(call.id == piece["id"] for call in self._calls):
            return False
        last = next((call for call in reversed(self._calls) if call.index == index), None)
        return last is not None and bool(last.named) and not (last.arguments.whole and _arguments(piece))

    def _position(self, piece: Mapping[str, Json], taken: set[int]) -> int:
        """Which call the piece belongs to; behind the last one, if it begins another."""
        for position in reversed(range(len(self._calls))):
            if (goes_on := self._goes_on(piece, self._calls[position], beside=position in taken)) is not None:
                return position if goes_on else len(self._calls)
        return len(self._calls)

    def _goes_on(self, piece: Mapping[str, Json], call: _Begun, *, beside: bool) -> bool | None:
        """Whether the piece belongs to the call, or begins one; None if it may belong to an earlier one. It belongs to
        the one with its `index`, unless it has another id; without an index to the one with its id, and without either
        to the last one, unless it stands beside a piece of it; and to none of them if it says what another call
        says. Raises ProviderError where that is not clear."""
        index = piece.get("index")
        if piece.get("id") and call.id:
            twice = bool(_name(piece)) and None not in (index, call.index) and index != call.index
            if piece["id"] != call.id or twice:
                return None
        elif index is None:
            if beside:
                return False
        elif index != call.index:
            return None
        return not self._says_another(piece, call, beside=beside)

    def _says_another(self, piece: Mapping[str, Json], call: _Begun, *, beside: bool) -> bool:
        """Whether a piece that came in a call's place has the name of another tool, or a second document of
        arguments: not every upstream counts its calls. Raises ProviderError where that is not clear."""
        name, more = _name(piece), _arguments(piece)
        if name and call.named and name != call.named:
            if call.given and not (call.arguments.whole or call.free):
                raise _mixed()
            return call.given or beside or not self._is_more_of_the_name(name, call)
        if call.free or not call.arguments.whole or not more.strip():
            return False
        if name and not (piece.get("id") and call.arguments.are(more)):
            return True
        if not name and more.lstrip()[0] in "{[":
            raise _mixed()
        return False

    def _is_more_of_the_name(self, name: str, call: _Begun) -> bool:
        if name in self._tools and call.named in self._tools:
            return False
        if not call.shown and any(tool.startswith(call.named + name) for tool in self._tools):
            return True
        if self._tools and call.named not in self._tools:
            raise _mixed()
        return False

    def _piece(self, piece: Mapping[str, Json], position: int, *, begins: bool) -> dict[str, Json] | None:
        """The piece as clients can join it; None while its name may go on."""
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
            call.given = call.free = call.shown = True
            if not isinstance(said := custom.get("input"), str | None):
                made["custom"] = {**custom, "input": as_text(said)}
        if call.held is not None:
            made = {**call.held, **made, "function": {**call.held["function"], **(made.get("function") or {})}}
        if self._may_go_on(call):
            call.held = made
            return None
        return made if call.shown or not call.named else self._with_name(call, made)

    def _function(self, function: Mapping[str, Json], call: _Begun) -> dict[str, Json]:
        made = dict(function)
        name = _name({"function": function})
        if not call.named:
            call.named = name
        else:
            made.pop("name", None)
            if name and name != call.named and not call.given:
                call.named += name
                call.in_pieces = True
        if not name:
            made.pop("name", None)
        if not isinstance(arguments := function.get("arguments"), str | None):
            arguments = made["arguments"] = as_text(arguments)
        if call.arguments.are(arguments):
            # All of them again, behind their pieces.
            arguments = made["arguments"] = ""
        if arguments:
            call.arguments.add(arguments)
            call.given = True
        return made

    def _may_go_on(self, call: _Begun) -> bool:
        """Whether more of the tool's name may come: nothing of the arguments has."""
        if call.shown or call.given or not call.named or not self._tools:
            return False
        return call.named not in self._tools or any(
            tool.startswith(call.named) and tool != call.named for tool in self._tools
        )

    def _with_name(self, call: _Begun, made: dict[str, Json]) -> dict[str, Json]:
        if call.in_pieces and call.named not in self._tools:
            raise _mixed()
        call.shown, call.held = True, None
        if made["function"].get("name") == call.named:
            return made
        return {**made, "function": {**made["function"], "name": call.named}}

    def _own_id(self, given: Json) -> str:
        own = given if is_usable_id(given) and given not in self._ids else new_id()
        self._ids.add(own)
        return own


def _name(piece: Mapping[str, Json]) -> str:
    said = _said(piece).get("name")
    return said if isinstance(said, str) else ""


def _arguments(piece: Mapping[str, Json]) -> str:
    said = _said(piece).get("arguments")
    return said if isinstance(said, str) else "" if said is None else as_text(said)


def _said(piece: Mapping[str, Json]) -> Mapping[str, Json]:
    said = next((each for each in (piece.get("function"), piece.get("custom")) if isinstance(each, dict)), None)
    return said or {}


def _is_blank(piece: Mapping[str, Json]) -> bool:
    """Whether a piece says nothing of a call but its number."""
    return not (piece.get("id") or _name(piece) or _arguments(piece) or isinstance(piece.get("custom"), dict))


def _mixed() -> ProviderError:
    return invalid("mixes tool calls: it is not clear which piece belongs to which")
