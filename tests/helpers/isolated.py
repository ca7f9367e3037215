"""Commands of packages in environments of their own, which uv makes and fills from the package index."""

import subprocess
import sys
from pathlib import Path

import pytest

UVX = Path(sys.executable).with_name("uvx")
UNREACHABLE = ("Failed to fetch", "error sending request", "dns error")


def uvx(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What `uvx` did. Skips the test where uv is not installed, or the package index cannot be reached."""
    if not UVX.exists():
        pytest.skip("uv is not installed here: it is in requirements-dev.lock")
    command = (str(UVX), "--quiet", "--python", sys.executable, *arguments)
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if ran.returncode and any(sign in ran.stderr for sign in UNREACHABLE):
        pytest.skip(f"uv cannot reach the package index: {ran.stderr.splitlines()[0]}")
    return ran
