"""What a process takes is what it would take alone on a machine."""

import os
import sys
import time
from pathlib import Path

import pytest

from bench.measured import Measured, cpu_clock
from bench.tools import until

pytestmark = pytest.mark.starts_processes

WAITING = "import signal, ssl; print('ready', flush=True); signal.pause()"
FORKED = f"import os, ssl; os.fork(); {WAITING}"


def resident(pid: int) -> float:
    [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def started(code: str, folder: Path, processes: int = 1) -> Measured:
    running = Measured("Python", [sys.executable, "-c", code], folder, ready=None)
    log = folder / f"{Path(sys.executable).name}.log"
    until(lambda: log.read_text().count("ready") == processes, 20, "Python")
    return running


def test_files_that_others_have_in_memory_too_count_in_full(tmp_path: Path) -> None:
    # This process, and its neighbour, use the same interpreter and libraries.
    with started(WAITING, tmp_path / "other"), started(WAITING, tmp_path) as running:
        alone = resident(running.pids[0])

        assert abs(running.memory() - alone) < 1


def test_what_processes_of_one_system_share_counts_once(tmp_path: Path) -> None:
    with started(FORKED, tmp_path, processes=2) as running:
        both = [resident(pid) for pid in running.pids]

        assert running.memory() < max(both) + min(both) / 2


def test_the_clock_of_a_process_is_that_of_its_cpu_time() -> None:
    before = time.process_time()

    shown = time.clock_gettime(cpu_clock(os.getpid()))

    assert before <= shown <= time.process_time()
