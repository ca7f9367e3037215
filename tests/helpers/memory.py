"""How much memory a process holds."""

import re
from pathlib import Path


def peak_memory(pid: int) -> int:
    """The most that it ever held, in MiB."""
    return _line(pid, "VmHWM")


def memory(pid: int) -> int:
    """What it holds now, in MiB."""
    return _line(pid, "VmRSS")


def _line(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+([0-9]+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) // 1024
