"""Bodies of requests that have not come whole: what all of them may hold."""

import time
from collections.abc import Callable

from answerback.http.holders import Held, Holder, Holders

LIGHT_BYTES = 64 * 1024
"""A body of fewer bytes is not counted."""
MAX_BYTES = 256 * 1024 * 1024
"""Of bodies of which nothing comes any more."""
MAX_COMING_BYTES = 1024 * 1024 * 1024
"""Of all, though their clients send on: thirty of the largest."""
STILL_SECONDS = 5.0
"""A client that has sent nothing for so long may never send the rest."""


class UnfinishedBodies:
    """Where they hold too much, the client (an address) that holds most loses the one that came first: those of which
    nothing comes, as long as all fit in `coming_limit`."""

    def __init__(
        self,
        limit: int = MAX_BYTES,
        coming_limit: int = MAX_COMING_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._coming_limit = coming_limit
        self._monotonic = monotonic
        self._bodies: Holders[Holder, Held] = Holders()

    def brought(self, request: Holder, client: str, size: int) -> None:
        """So many bytes of a body have come; may abort this request, or others."""
        now = self._monotonic()
        if (held := self._bodies.get(request)) is None:
            self._bodies.add(request, Held(client, size, now))
        else:
            self._bodies.move(held, size - held.size, now)
        while self._bodies.size > self._limit and self._bodies.cut(now - STILL_SECONDS):
            continue
        while self._bodies.size > self._coming_limit:
            self._bodies.cut(now)

    def ended(self, request: Holder) -> None:
        """Its body is whole, or it is over."""
        self._bodies.remove(request)
