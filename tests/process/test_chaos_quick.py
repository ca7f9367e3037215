"""The short form of the chaos suite, as `make chaos QUICK=1` runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_HERE = 2
"""The exit code where PostgreSQL or Redis is not installed; the last line says which."""


@pytest.mark.timeout(400)
def test_what_was_promised_holds_while_processes_die(capfd: pytest.CaptureFixture[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "chaos", "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    if ended.returncode == NOT_HERE and "apt-get" in ended.stderr:
        pytest.skip(ended.stderr.strip())
    with capfd.disabled():
        sys.stderr.write(f"\n{ended.stdout}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
