"""A process under measurement, with all that it started: CPU, memory, start, stop."""

import contextlib
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from answerback.testing.backends.tree import descendants
from answerback.testing.ports import HOST
from answerback.testing.process import inherited
from bench.tools import SERVICE_CORE, BenchError, on_cores

STOP_SECONDS = 12.0
MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *", re.MULTILINE)
"""What stands before a mapping's file in /proc/<pid>/smaps."""


class Measured(AbstractContextManager["Measured"]):
    """Started in `folder`, where its log is, and ready when `ready` answers on the port. `start_seconds` is how long
    that took. Raises BenchError, with the end of the log."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        *,
        port: int = 0,
        ready: str | None = "/healthz",
        variables: Mapping[str, str] | None = None,
        cores: tuple[int, ...] = (SERVICE_CORE,),
        patience: float = 60.0,
    ) -> None:
        self.name, self.port = name, port
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"{Path(str(command[0])).name}.log"
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**inherited(), **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=on_cores(cores),
            )
        try:
            if ready is not None:
                self._wait(f"http://{HOST}:{port}{ready}", began + patience)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began

    @property
    def pids(self) -> list[int]:
        return [self._process.pid, *descendants(self._process.pid)]

    def cpu(self) -> float:
        """Seconds since its start, of all its processes."""
        total = 0.0
        for pid in self.pids:
            with contextlib.suppress(OSError):
                total += time.clock_gettime(cpu_clock(pid))
        return total

    def memory(self) -> float:
        """MiB. What its processes share counts once, and in full: as `Pss`, it would depend on who else runs Python."""
        own, files = 0, Counter[str]()
        for pid in self.pids:
            with contextlib.suppress(OSError):
                own += _kib(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss_Anon")
                files |= _mapped(Path(f"/proc/{pid}/smaps").read_text())
        return (own + files.total()) / 1024

    def stop(self) -> None:
        pids = self.pids
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self, url: str, ends: float) -> None:
        while True:
            if self._process.poll() is not None:
                raise BenchError(f"{self.name} ended with code {self._process.returncode}: {self._tail()}")
            try:
                urllib.request.urlopen(url, timeout=2).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                if time.monotonic() > ends:
                    raise BenchError(f"{self.name} was not ready in time: {self._tail()}") from None
                time.sleep(0.02)
            else:
                return

    def _tail(self) -> str:
        return " | ".join(self._log.read_text(errors="replace").splitlines()[-5:])


def cpu_clock(pid: int) -> int:
    """The clock of a process's CPU time: /proc counts in hundredths of a second. As `clock_getcpuclockid` of glibc."""
    return (~pid << 3) | 2


def _mapped(smaps: str) -> Counter[str]:
    """How many KiB of each file are in memory, without the pages that the process has changed."""
    found = Counter[str]()
    for each in MAPPING.split(smaps)[1:]:
        name = each.partition("\n")[0]
        if name.startswith("/"):
            found[name] += _kib(each, "Rss") - _kib(each, "Anonymous")
    return found


def _kib(fields: str, name: str) -> int:
    return int(fields.partition(f"\n{name}:")[2].split(maxsplit=1)[0])
