"""On a process's PYTHONPATH: its wall clock is wrong by CLOCK_OFFSET_SECONDS, its monotonic clock is not.

Python runs a module of this name at start (docs of `site`). `datetime.now` stays right: only log lines use it.
"""

import os
import time

_seconds = int(os.environ["CLOCK_OFFSET_SECONDS"])
_time, _time_ns = time.time, time.time_ns


def _wrong_time() -> float:
    return _time() + _seconds


def _wrong_time_ns() -> int:
    return _time_ns() + _seconds * 1_000_000_000


time.time = _wrong_time
time.time_ns = _wrong_time_ns
