"""The load generator and the upstream: built from C, pinned beside the service."""

import ctypes
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from answerback.testing.ports import HOST, reserve_port

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "bench"
CORES = sorted(os.sched_getaffinity(0))
SERVICE_CORE = CORES[0]
LOAD_CORE = CORES[-1]
LISTENS = "0A"
"""The state of such a socket, as Linux shows it in /proc/net/tcp."""
SLACK_SECONDS = 30.0
"""How much longer than planned a load may take before the run gives up."""

_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """A measurement that cannot be made; the message is one line."""


def on_cores(cores: tuple[int, ...]) -> Callable[[], None]:
    """What a child does before it runs its program: it stays on these cores, and ends with this process."""

    def prepare() -> None:
        os.sched_setaffinity(0, cores)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare


@contextmanager
def on_all_cores(pids: Sequence[int]) -> Iterator[None]:
    """Lets processes of one thread, and what they start meanwhile, use all cores."""
    before = {pid: os.sched_getaffinity(pid) for pid in pids}
    for pid in pids:
        os.sched_setaffinity(pid, CORES)
    try:
        yield
    finally:
        for pid, cores in before.items():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(pid, cores)


def build() -> None:
    """Compiles what has changed. Raises BenchError."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ("load", "upstream"):
        source, program = HERE / "c" / f"{name}.c", BUILD / name
        if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
            continue
        try:
            subprocess.run(["cc", "-O2", "-o", program, source], check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise BenchError(f"cannot compile {source}: a C compiler (cc) is needed ({error})") from error


@dataclass(frozen=True, slots=True)
class Load:
    """What the load generator saw; latencies in milliseconds."""

    rate: float
    done: int
    p50: float
    p99: float
    first_byte_p50: float
    first_byte_p99: float
    events: float
    """Of streams, a second."""
    failed: int
    """Requests that were not answered, or not with 2xx."""


def load(
    port: int,
    path: str,
    body: str = "{}",
    *,
    connections: int = 64,
    seconds: float = 3.0,
    warm_up: float = 0.5,
    rate: float = 0,
    requests: int = 0,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    cores: tuple[int, ...] = (LOAD_CORE,),
) -> Load:
    """Raises BenchError."""
    lines = "".join(f"{name}: {value}\\n" for name, value in (headers or {}).items())
    options = {"p": port, "u": path, "b": body, "c": connections, "d": seconds, "w": warm_up, "r": rate, "n": requests}
    options |= {"H": lines, "m": method}
    command = [str(BUILD / "load"), *(part for name, value in options.items() for part in (f"-{name}", str(value)))]
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=warm_up + seconds + SLACK_SECONDS,
            check=True,
            preexec_fn=on_cores(cores),
        )
    except subprocess.CalledProcessError as error:
        raise BenchError(f"the load generator failed at {path}: {error.stderr.strip() or error.returncode}") from error
    except subprocess.SubprocessError as error:
        raise BenchError(f"the load generator did not end in time at {path}") from error
    said = json.loads(ran.stdout)
    return Load(
        rate=said["rate"],
        done=said["done"],
        p50=said["p50_us"] / 1000,
        p99=said["p99_us"] / 1000,
        first_byte_p50=said["first_byte_p50_us"] / 1000,
        first_byte_p99=said["first_byte_p99_us"] / 1000,
        events=said["events_per_second"],
        failed=said["failed"] + said["not_2xx"],
    )


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the receiver got: how many, when the last came (seconds of the monotonic clock), and how long after they
    were asked for (milliseconds)."""

    count: int
    last_at: float
    p50: float
    p99: float


class Upstream(AbstractContextManager["Upstream"]):
    """The scripted LLM, which is also the receiver of callbacks."""

    def __init__(self) -> None:
        self._reservation, self.port = reserve_port()
        self._process = subprocess.Popen([BUILD / "upstream", str(self.port)], preexec_fn=on_cores((LOAD_CORE,)))
        until(lambda: self._answers(), 10, "the upstream")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}/v1"

    @property
    def callback_url(self) -> str:
        return f"http://{HOST}:{self.port}/callback"

    def stats(self) -> Any:
        """What came since the last time; counts anew."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/stats", timeout=10) as response:
            return json.load(response)

    def wait_for_callbacks(self, count: int, seconds: float) -> Callbacks:
        """Raises BenchError when they do not come in time."""
        got, ends = 0, time.monotonic() + seconds
        while True:
            # Not often: each look costs the receiver's core, and quantiles are those of the last look.
            time.sleep(0.25)
            said = self.stats()
            got += said["callbacks"]
            if got >= count:
                return Callbacks(got, said["last_callback_ns"] / 1e9, said["p50_us"] / 1000, said["p99_us"] / 1000)
            if time.monotonic() > ends:
                raise BenchError(f"{got} of {count} callbacks came within {seconds:g} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._reservation is not None:
            self._reservation.close()

    def _answers(self) -> bool:
        try:
            self.stats()
        except OSError:
            return False
        return True


def listening(port: int) -> int:
    """How many sockets of this machine listen on the port over IPv4."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == LISTENS for row in rows)


def until(satisfied: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises BenchError when that does not become true in time."""
    ends = time.monotonic() + seconds
    while not satisfied():
        if time.monotonic() > ends:
            raise BenchError(f"{what} was not ready within {seconds:g} s")
        time.sleep(0.02)
