"""Crashes on demand: the service, killed as by `kill -9` at a failpoint.

`python -m answerback.testing.faults --at after_claim --nth 3`
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from answerback.kernel.failpoints import Failpoint, OnFailpoint
from answerback.settings import SettingsError, load_settings


@dataclass(frozen=True, slots=True)
class Fault:
    """The process ends when it passes the failpoint `at` for the `nth` time (1-based)."""

    at: Failpoint
    nth: int = 1

    def arguments(self) -> list[str]:
        """What `python -m` takes to run the service with this fault."""
        return ["answerback.testing.faults", "--at", self.at.value, "--nth", str(self.nth)]


def kill_at(failpoint: Failpoint, nth: int = 1) -> OnFailpoint:
    """A callback for failpoints that SIGKILLs its own process when it passes this one for the `nth` time."""
    if nth < 1:
        raise ValueError("nth counts from 1")
    times = count(1)  # thread-safe: each caller gets its own number

    def on_failpoint(passed: Failpoint) -> None:
        if passed is failpoint and next(times) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_failpoint


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves with the settings of the environment until the process is killed at the failpoint."""
    parser = argparse.ArgumentParser(prog="python -m answerback.testing.faults", description=main.__doc__)
    parser.add_argument("--at", type=Failpoint, choices=list(Failpoint), required=True)
    parser.add_argument("--nth", type=int, default=1)
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"answerback: {error}\n")
        return 2
    # Not at the top: kill_at serves tests that need no web server.
    from answerback.bootstrap.server import serve

    return serve(settings, failpoint=kill_at(chosen.at, chosen.nth))


if __name__ == "__main__":
    sys.exit(main())
