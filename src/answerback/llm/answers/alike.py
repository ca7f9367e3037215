"""Chunks that differ from one before in their text only, as most of a stream do: what was found of that one holds for
them, and they need not be read as JSON."""

import re

from answerback.kernel.json import Json
from answerback.llm.model import Chunk

_CONTENT = re.compile(rb'"content"\s*:\s*"')
_TEXT = re.compile(rb'(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt])*+')
"""The inside of a JSON string, without `\\u`, which may spell half a character."""
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
GIVEN_UP = 8
"""After so many unlike chunks in a row those of the stream are compared no more."""


class AlikeChunks:
    """Of one stream."""

    def __init__(self) -> None:
        self._before = b""
        self._behind = b""
        self._document: dict[str, Json] | None = None
        self._unlike = 0

    def document(self, data: bytes) -> tuple[dict[str, Json], str] | None:
        """The document of an event that is like the learnt one, and its text; None for any other."""
        known, before, behind = self._document, self._before, self._behind
        if known is None:
            return None
        if not data.startswith(before) or not data.endswith(behind):
            return None
        text = _decoded(data[len(before) : len(data) - len(behind)])
        if not text:
            return None
        self._unlike = 0
        (choice,) = known["choices"]
        return {**known, "choices": [{**choice, "delta": {**choice["delta"], "content": text}}]}, text

    def learn(self, chunk: Chunk) -> None:
        """Remembers an ordinary chunk of one choice, in which nothing had to be mended."""
        if self._unlike > GIVEN_UP:
            self._document = None
            return
        self._unlike += 1
        data, document = chunk.data, dict(chunk.document)
        found = _CONTENT.search(data)
        inside = found and _TEXT.match(data, found.end())
        # Of two fields with this name one may be another's.
        if (
            found is None
            or not inside
            or data.count(b'"content"') != 1
            or data[inside.end() : inside.end() + 1] != b'"'
        ):
            return
        (choice,) = document["choices"]
        if (text := _decoded(inside[0])) and text == choice["delta"].get("content"):
            self._before, self._behind = data[: found.end()], data[inside.end() :]
            # Without the text, which may be long.
            self._document = {**document, "choices": [{**choice, "delta": {**choice["delta"], "content": ""}}]}


def _decoded(inside: bytes) -> str | None:
    """What a JSON string says; None for one that is not whole, or not as `_TEXT`."""
    if not _TEXT.fullmatch(inside):
        return None
    try:
        text = inside.decode()
    except UnicodeDecodeError:
        return None
    return _ESCAPED.sub(_meant, text) if "\\" in text else text


def _meant(found: re.Match[str]) -> str:
    return _MEANT.get(found[1], found[1])
