"""Giving a group's operations their results, a few in each turn of the event loop.

Each result lets a caller go on. All those of a large group in one turn would keep what came for other tenants waiting
for as long: an answer from upstream, a request, the next group's results.
"""

import asyncio
from collections.abc import Callable, Sequence

SETTLED_AT_ONCE = 8


def settle_in_turns(loop: asyncio.AbstractEventLoop, settle: Sequence[Callable[[], None]]) -> None:
    """Calls each of `settle`. Runs in the loop."""
    for each in settle[:SETTLED_AT_ONCE]:
        each()
    if rest := settle[SETTLED_AT_ONCE:]:
        loop.call_soon(settle_in_turns, loop, rest)
