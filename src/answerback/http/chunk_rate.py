"""How many chunks of next to nothing a peer may send: each costs as much as a hundred bytes of content."""

from collections.abc import Callable

from answerback.kernel.allowance import Allowance
from answerback.kernel.lately import Lately

CHUNKS_A_SECOND, CHUNKS_AT_ONCE = 10_000, 4_000
"""How many are taken of a connection. Then it rests, and the kernel collects what comes for one read: no model writes
as fast."""
CONTENT_OF_A_CHUNK = 16
"""So many bytes make up for a chunk."""
CONTENT_OF_A_STRANGERS_CHUNK = 1024
"""The same of those that share an allowance: together they would take the whole time in chunks of 64 bytes."""
CHUNKS_A_LOOK = 256
"""After how many chunks the clock is looked at."""


BUSY_SECONDS = 10.0
"""For so long after many chunks came for a tenant it has its part of what strangers share."""


class SharedAllowance:
    """Of strangers, who serve several tenants: each tenant's may send the same part, so that those of one slow down no
    other's."""

    def __init__(self) -> None:
        self._busy = Lately(BUSY_SECONDS)
        self._of: dict[str, Allowance] = {}

    def rest_after(self, tenant_id: str, pieces: float, now: float) -> float:
        """As `Allowance.rest_after`, once as many pieces came for the tenant."""
        self._busy.note(tenant_id, now)
        tenants = len(self._busy)
        if len(self._of) > tenants:
            self._of = {each: allowance for each, allowance in self._of.items() if each in self._busy}
        own = self._of.setdefault(tenant_id, Allowance(CHUNKS_A_SECOND, CHUNKS_AT_ONCE))
        own.rate, own.burst = CHUNKS_A_SECOND / tenants, CHUNKS_AT_ONCE / tenants
        return own.rest_after(pieces, now)


class ChunkRate:
    """Of one peer. Strangers that serve a tenant share an allowance: `rest_after` is its. `now` is the event loop's
    time."""

    def __init__(self, now: Callable[[], float], rest_after: Callable[[float, float], float] | None = None) -> None:
        self._now = now
        self._small = 0
        self._rest_after = rest_after
        self._content = CONTENT_OF_A_CHUNK if rest_after is None else CONTENT_OF_A_STRANGERS_CHUNK

    def rest_after(self, chunks: int, content: int) -> float:
        """Seconds for which nothing more should be read, once as many chunks came with as many bytes in them."""
        self._small += max(0, chunks - content // self._content)
        if self._small < CHUNKS_A_LOOK:
            return 0.0
        small, self._small = self._small, 0
        if self._rest_after is None:
            # Only now: most peers never send as many, and each of their responses would make one.
            self._rest_after = Allowance(CHUNKS_A_SECOND, CHUNKS_AT_ONCE).rest_after
        return self._rest_after(small, self._now())
