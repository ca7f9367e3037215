"""How much of a stream may carry nothing: comments, heartbeats, fields without data, chunks that say nothing."""

MAX_FILLER = 1024 * 1024
"""Bytes of a stream that may carry nothing, besides as many as carry something."""

MAX_LINES = 16 * 1024
"""Lines that may carry nothing, besides one for every four bytes that carry something: thousands of heartbeats. One of
seven bytes takes as much time as a token."""

MAX_SILENT = 32 * 1024 * 1024
"""Bytes of chunks that say nothing: models that hide their thoughts send one for each token of them."""


class TooMuchFiller(ValueError):
    """More of a stream carries nothing than its bounds allow."""


class Filler:
    """Counts the bytes and the lines of one stream."""

    def __init__(self) -> None:
        self._received = 0
        self._lines = 0
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

    def received(self, more: bytes, pending: int) -> None:
        """More bytes came, and the last `pending` ones belong to an event that is not whole yet. Raises
        TooMuchFiller."""
        self._received += len(more)
        self._lines += max(more.count(b"\n"), more.count(b"\r"))
        used = self._silent + self._carried
        if self._received - pending - used > MAX_FILLER + used or self._lines > MAX_LINES + (pending + used) // 4:
            raise TooMuchFiller
