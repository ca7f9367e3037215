"""A stream that came in place of a whole completion, as that completion."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from answerback.kernel.json import Json
from answerback.llm.answers import completions
from answerback.llm.answers.finish_reasons import Finish, classify
from answerback.llm.answers.heads import COMPLETION
from answerback.llm.answers.odd_json import Mended
from answerback.llm.answers.progress import ANSWER
from answerback.llm.model import Chunk
from answerback.llm.transport import MAX_RESPONSE_BYTES

ONCE = frozenset({"role", "id", "type", "name"})
"""Texts of a delta that are said once, not piece by piece."""


class _Text(list[str]):
    """A text in pieces. Joined at the end: longer and longer texts would cost the square of their length."""


class Assembly:
    """Joins the chunks of one stream, for which as many choices were `asked`."""

    def __init__(self, *, asked: int) -> None:
        self._several = asked > 1
        self._document: dict[str, Json] = {}
        self._choices: dict[int, dict[str, Json]] = {}
        self._size = 0

    def add(self, chunk: Chunk) -> None:
        """Raises ProviderError where the answer exceeds 8 MiB."""
        for field, value in chunk.document.items():
            if field != "choices" and (value is not None or field not in self._document):
                self._document[field] = value
        for choice in chunk.document.get("choices") or ():
            index = choice.get("index")
            if self._several or index == ANSWER:
                self._join(self._choices.setdefault(index if isinstance(index, int) else 0, {"index": index}), choice)

    def completion(self) -> Mended:
        choices = [_joined(self._choices[index]) for index in sorted(self._choices)]
        return Mended({**self._document, "object": COMPLETION, "choices": choices})

    def _join(self, whole: dict[str, Json], choice: Mapping[str, Json]) -> None:
        whole["message"] = self._merge(whole.get("message"), choice.get("delta") or {}, "message")
        for field, value in choice.items():
            match field:
                case "delta" | "index":
                    continue
                case "logprobs":
                    whole[field] = self._merge(whole.get(field), value, field)
                case "finish_reason" if classify(whole.get(field)) not in (Finish.NONE, Finish.UNKNOWN):
                    continue
                case _ if value is not None or field not in whole:
                    whole[field] = value

    def _merge(self, old: Any, new: Json, field: str) -> Any:
        match new:
            case None:
                return old
            case str() if field in ONCE:
                return old or new
            case str() if isinstance(old, list) and not isinstance(old, _Text):
                return self._merge(old, [{"type": "text", "text": new}], field)
            case str():
                self._count(len(new))
                old = old if isinstance(old, _Text) else _Text()
                old.append(new)
                return old
            case list() if field == "tool_calls":
                return self._merge_calls(old or [], new)
            case list():
                self._count(sum(len(json.dumps(item)) for item in new))
                if isinstance(old, _Text):
                    old = [{"type": "text", "text": "".join(old)}] if any(old) else []
                old = old if isinstance(old, list) else []
                old.extend(new)
                return old
            case dict():
                merged = old if isinstance(old, dict) else {}
                for name, value in new.items():
                    merged[name] = self._merge(merged.get(name), value, name)
                return merged
            case _:
                return new

    def _merge_calls(self, calls: list[dict[str, Any]], pieces: Sequence[Json]) -> list[dict[str, Any]]:
        """Their index says which call they belong to, as for every client."""
        for piece in pieces:
            if piece["index"] == len(calls):
                calls.append({})
            call = calls[piece["index"]]
            for name, value in piece.items():
                if name != "index":
                    call[name] = self._merge(call.get(name), value, name)
        return calls

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_RESPONSE_BYTES:
            raise completions.invalid(f"exceeds {MAX_RESPONSE_BYTES} bytes")


def _joined(value: Any) -> Json:
    match value:
        case _Text():
            return "".join(value)
        case {"tool_calls": list(calls), **rest}:
            whole = [{name: _joined(each) for name, each in call.items()} for call in calls]
            return {**{name: _joined(each) for name, each in rest.items()}, "tool_calls": whole}
        case dict():
            return {name: _joined(each) for name, each in value.items()}
        case list():
            return [_joined(each) for each in value]
        case _:
            return value
