"""Memory that a burst left behind."""

import ctypes
import sys

EVERY_SECONDS = 60.0
"""In the event loop, a look takes a tenth of a millisecond where there is nothing to give back, some 50 ms where there
are hundreds of megabytes."""

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


async def give_back() -> float:
    """Gives the system the pages that hold nothing any more; returns in how many seconds to look again. glibc's
    allocator keeps them: of a thousand streams that ended it would keep most, between objects that stay."""
    if _TRIM is not None:
        _TRIM(0)
    return EVERY_SECONDS
