"""Time: the wall clock, a monotonic one, and the time since the machine's boot."""

import sys
import time
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """The wall clock, for times that are shown; a monotonic one, for how long a lease may still be trusted; the time
    since the boot, which all processes of a machine agree on."""

    @property
    def boot_id(self) -> str:
        """Names this boot of the machine."""

    def now(self) -> int:
        """Epoch milliseconds of the wall clock."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    def since_boot(self) -> int:
        """Milliseconds since the boot, the machine's sleep included."""


class SystemClock:
    """This machine's clocks.

    Only Linux names its boots and counts the time since one. Elsewhere it is counted from the wall clock as this
    process finds it, in one boot that never ends: there a process that starts after a step of the wall clock schedules
    by another time than those that run.
    """

    @cached_property
    def boot_id(self) -> str:
        return BOOT_ID.read_text().strip() if self._counts_boots else "unnamed"

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    # As it is: each request asks for it often.
    monotonic = staticmethod(time.monotonic)

    def since_boot(self) -> int:
        if sys.platform == "linux" and self._counts_boots:
            return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        return self._unnamed_start + int(time.monotonic() * 1000)

    @cached_property
    def _unnamed_start(self) -> int:
        return self.now() - int(time.monotonic() * 1000)

    @cached_property
    def _counts_boots(self) -> bool:
        return sys.platform == "linux" and BOOT_ID.exists()


def rfc3339(epoch_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    second, ms = divmod(epoch_ms, 1000)
    return f"{_utc(second)}.{ms:03}Z"


@lru_cache(256)
def _utc(second: int) -> str:
    """Cached, since times shown lie close together: a hit takes a fifth of a conversion's time."""
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()
