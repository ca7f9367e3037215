"""How much of a stream may carry nothing: comments, heartbeats, fields without data, chunks that say nothing."""

MAX_FILLER = 1024 * 1024
"""Bytes of a stream that may carry nothing, besides as many as carry something: hours of heartbeats."""

MAX_SILENT = 32 * 1024 * 1024
"""Bytes of chunks that say nothing: models that hide their thoughts send one for each token of them."""


class TooMuchFiller(ValueError):
    """More of a stream carries nothing than its bounds allow."""


class Filler:
    """Counts the bytes of one stream."""

    def __init__(self) -> None:
        self._received = 0
        self._carried = 0
        self._silent = 0

    def brought(self, size: int, *, speaks: bool) -> None:
        """A chunk of so many bytes came. Raises TooMuchFiller."""
        if speaks:
            self._carried += size
            return
        self._silent += size
        if self._silent > MAX_SILENT + self._carried:
            raise TooMuchFiller

    def received(self, size: int, pending: int) -> None:
        """So many bytes more came, and the last `pending` ones belong to an event that is not whole yet. Raises
        TooMuchFiller."""
        self._received += size
        if self._received - pending - self._silent - self._carried > MAX_FILLER + self._silent + self._carried:
            raise TooMuchFiller
