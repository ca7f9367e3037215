"""The text of a stream, whose pieces may end within a character."""

from answerback.llm.model import storable


class TextPieces:
    """Makes `storable` text of the pieces of one answer. Characters beyond the first 65,536 are two halves in JSON's
    escapes, and tokens may part them."""

    def __init__(self) -> None:
        self._half = ""

    def next(self, piece: str, *, last: bool) -> str:
        """The text that is whole now. A first half waits for its second one, unless this piece is the last."""
        if not self._half and piece.isascii():
            return storable(piece) if "\0" in piece else piece
        text = self._half + piece
        self._half = text[-1:] if not last and "\ud800" <= text[-1:] <= "\udbff" else ""
        return storable(text[:-1] if self._half else text)
