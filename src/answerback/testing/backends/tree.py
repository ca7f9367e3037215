"""The descendants of a process, read from /proc. Where there is no /proc none are found; they end by themselves."""

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

POLL_SECONDS = 0.01
TIMEOUT_SECONDS = 20.0


def descendants(root: int) -> list[int]:
    """Its children, theirs, and so on: PostgreSQL's each make a session of their own, so no group holds them all."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(_fields(status)[1])
            children[parent].append(int(status.parent.name))
    found, unseen = [], [root]
    while unseen:
        below = children[unseen.pop()]
        found += below
        unseen += below
    return found


def end_all(processes: Sequence[int]) -> None:
    """SIGKILLs them and waits until they are gone. Raises TimeoutError."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ends = time.monotonic() + TIMEOUT_SECONDS
    while left := [pid for pid in processes if not _is_gone(pid)]:
        if time.monotonic() > ends:
            raise TimeoutError(f"processes {left} outlive SIGKILL")
        time.sleep(POLL_SECONDS)


def _is_gone(pid: int) -> bool:
    """Whether it is dead; it may still be a zombie that its parent has not waited for."""
    try:
        return _fields(Path(f"/proc/{pid}/stat"))[0] == "Z"
    except OSError:
        return True


def _fields(status: Path) -> list[str]:
    """From the state on, as in proc(5): the name before it may hold anything."""
    return status.read_text().rpartition(")")[2].split()
