"""The ends in a stream of chunks: upstreams say one too early, or two that contradict each other."""

import json
from collections.abc import Iterable

from answerback.kernel.json import Json
from answerback.llm.answers.finish_reasons import classify
from answerback.llm.answers.progress import says
from answerback.llm.model import Chunk
from answerback.llm.reply import MAY_BE_FOLLOWED


class HeldEnds:
    """One of each choice, until the stream is whole: clients stop at any end, and an error may follow it. `chunks` are
    those that say no more than these ends."""

    def __init__(self) -> None:
        self._by_index: dict[int, Chunk] = {}

    @property
    def chunks(self) -> Iterable[Chunk]:
        return self._by_index.values()

    def without(self, chunk: Chunk) -> Chunk | None:
        """What a chunk says but its ends; None if that is nothing."""
        rest = list[Json]()
        for choice in chunk.document["choices"]:
            if choice.get("finish_reason") is None:
                rest.append(choice)
            elif choice.get("text") or says(choice.get("delta")):
                rest.append({**choice, "finish_reason": None})
                nothing: dict[str, Json] = {"text": ""} if "text" in choice else {"delta": {}}
                self._hold(chunk, {name: each for name, each in choice.items() if name != "logprobs"} | nothing)
            else:
                self._hold(chunk, choice)
        return _with(chunk, rest) if rest else None

    def _hold(self, chunk: Chunk, end: dict[str, Json]) -> None:
        """A cut answer stays one, whatever an upstream says later, as in a response."""
        index = index if isinstance(index := end.get("index"), int) else 0
        if (before := self._by_index.pop(index, None)) is not None:
            word = before.document["choices"][0]["finish_reason"]
            end = end if classify(word) in MAY_BE_FOLLOWED else {**end, "finish_reason": word}
        self._by_index[index] = _with(chunk, [end])


def _with(chunk: Chunk, choices: list[Json]) -> Chunk:
    if choices == chunk.document["choices"]:
        return chunk
    document = {**chunk.document, "choices": choices}
    return chunk._replace(data=json.dumps(document).encode(), document=document)
