"""How many chunks of next to nothing a peer may send: each costs as much as a hundred bytes of content."""

from collections.abc import Callable

from answerback.kernel.allowance import Allowance

CHUNKS_A_SECOND, CHUNKS_AT_ONCE = 10_000, 4_000
"""How many are taken of a connection. Then it rests, and the kernel collects what comes for one read: no model writes
as fast."""
CONTENT_OF_A_CHUNK = 16
"""So many bytes make up for a chunk."""
CONTENT_OF_A_STRANGERS_CHUNK = 1024
"""The same of those that share an allowance: together they would take the whole time in chunks of 64 bytes."""
CHUNKS_A_LOOK = 256
"""After how many chunks the clock is looked at."""


def usual_allowance() -> Allowance:
    return Allowance(CHUNKS_A_SECOND, CHUNKS_AT_ONCE)


class ChunkRate:
    """Of one peer. Strangers share an `allowance`. `now` is the event loop's time."""

    def __init__(self, now: Callable[[], float], allowance: Allowance | None = None) -> None:
        self._now = now
        self._small = 0
        self._allowance = allowance
        self._content = CONTENT_OF_A_CHUNK if allowance is None else CONTENT_OF_A_STRANGERS_CHUNK

    def rest_after(self, chunks: int, content: int) -> float:
        """Seconds for which nothing more should be read, once as many chunks came with as many bytes in them."""
        self._small += max(0, chunks - content // self._content)
        if self._small < CHUNKS_A_LOOK:
            return 0.0
        small, self._small = self._small, 0
        if self._allowance is None:
            # Only now: most peers never send as many, and each of their responses would make one.
            self._allowance = usual_allowance()
        return self._allowance.rest_after(small, self._now())
