"""Processes that are each held to a share of a core, by Linux's control groups."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from bench.tools import BenchError

MOUNTED = Path("/sys/fs/cgroup")
PERIOD_US = 10_000
"""A process that has used up its share waits for the next of these periods: a tenth of the usual one."""

_numbers = count(1)


@contextmanager
def groups(shares: Sequence[float]) -> Iterator[list[Path]]:
    """A control group for each share of a core; what is in one together takes no more. They must be empty at the end.
    Raises BenchError where this machine makes none."""
    parent = _parent()
    with ExitStack() as stack:
        made = []
        for share in shares:
            group = parent / f"answerback-bench-{os.getpid()}-{next(_numbers)}"
            try:
                group.mkdir()
                stack.callback(_remove, group)
                _limit(group, round(share * PERIOD_US))
            except OSError as error:
                raise BenchError(f"no control group can be made in {parent} ({error.strerror})") from error
            made.append(group)
        yield made


def put(pid: int, group: Path) -> None:
    """Moves a process, with all its threads; what it starts later follows."""
    (group / "cgroup.procs").write_text(str(pid))


def _parent() -> Path:
    """Where groups that share the processor's time are made, by version 2 of control groups or by version 1."""
    with contextlib.suppress(OSError):
        if "cpu" in (MOUNTED / "cgroup.subtree_control").read_text().split():
            return MOUNTED
    if (MOUNTED / "cpu" / "cgroup.procs").exists():
        return MOUNTED / "cpu"
    raise BenchError(f"{MOUNTED} has no groups that share the processor's time")


def _limit(group: Path, quota_us: int) -> None:
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota_us))


def _remove(group: Path) -> None:
    with contextlib.suppress(OSError):
        group.rmdir()
