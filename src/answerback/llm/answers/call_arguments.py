"""The arguments of a streamed tool call, as far as they have come: whether they are a whole document."""

import re

_ESCAPED = re.compile(r"\\.", re.DOTALL)


class Arguments:
    """Their brackets are counted, outside of texts: decoding them at each piece would cost the square of their length.
    `whole` says whether they are an object or a list that has come to its end."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = self._depth = 0
        self._within = ""
        """What makes the next piece begin within a text: its mark, and an escape that is cut."""
        self._nests = False

    @property
    def whole(self) -> bool:
        return self._nests and self._depth == 0 and not self._within

    def add(self, piece: str) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._length += len(piece)
        piece = self._within + piece
        if "\\" in piece:
            piece = _ESCAPED.sub("", piece)
        parts = piece.split('"')
        # Every other part is a text.
        self._within = "" if len(parts) % 2 else '"\\' if piece.endswith("\\") else '"'
        bare = "".join(parts[::2])
        opened = bare.count("{") + bare.count("[")
        self._nests = self._nests or opened > 0
        self._depth += opened - bare.count("}") - bare.count("]")

    def are(self, text: str | None) -> bool:
        """Whether they are whole, and this very text."""
        return self.whole and text is not None and len(text) == self._length and "".join(self._pieces) == text
