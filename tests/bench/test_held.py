"""A process that is held to a share of a core takes no more of it."""

import subprocess
import sys

import pytest

from bench.held import groups, put
from bench.tools import BenchError

pytestmark = pytest.mark.starts_processes

BUSY = """
import time
input()
before, ends = time.process_time(), time.monotonic() + 0.5
while time.monotonic() < ends:
    pass
print(time.process_time() - before)
"""


def test_a_process_that_is_always_busy_gets_its_share_of_a_core() -> None:
    try:
        with groups([0.1]) as [group]:
            held = subprocess.Popen(
                [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            put(held.pid, group)

            printed, _ = held.communicate("\n")

            # Half a second long a tenth of a core; the period in which it begins and the last one may count whole.
            assert float(printed) < 0.1
    except BenchError as absent:
        pytest.skip(str(absent))
    assert not group.exists()
