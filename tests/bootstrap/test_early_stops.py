"""A stop that comes before the service listens ends it with exit code 0, as a later one does."""

import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE = 60.0

pytestmark = pytest.mark.starts_processes

IMPORTING = """
import os, signal, sys
import answerback.__main__ as command
command._import_fastapi = lambda: os.kill(os.getpid(), signal.{signal})
sys.argv = ["answerback", "{command}"]
command.main()
"""

OPENING = """
import asyncio, os, signal, sys
from answerback.bootstrap import server
from answerback.settings import load_settings

async def build(*_):
    os.kill(os.getpid(), signal.{signal})
    await asyncio.Event().wait()

server.build = build
sys.exit(server.serve(load_settings()))
"""


def ended(script: str, folder: Path) -> tuple[int, str]:
    """The exit code and stderr of a process that stops itself as the script says."""
    process = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={"DATABASE_URL": f"sqlite:///{folder / 'answerback.db'}", "MOCK_MODE": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return process.returncode, process.stderr


@pytest.mark.parametrize(("command", "signal"), [("serve", "SIGTERM"), ("worker", "SIGINT")])
def test_a_stop_while_the_command_is_imported_ends_it_well(command: str, signal: str, tmp_path: Path) -> None:
    assert ended(IMPORTING.format(command=command, signal=signal), tmp_path) == (0, "")


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_a_stop_while_the_service_opens_what_it_needs_ends_it_well(signal: str, tmp_path: Path) -> None:
    assert ended(OPENING.format(signal=signal), tmp_path) == (0, "")
