"""Packages of npm, installed once and kept in pytest's cache."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

OPENAI, OLDER_OPENAI = "openai@7", "openai@6"
INSTALL_SECONDS = 90


def installed(config: pytest.Config, *packages: str) -> Path:
    """The folder that holds their `node_modules`. Skips the test where Node is missing, or npm cannot install them."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    assert config.cache is not None
    folder = config.cache.mkdir("npm-" + "-".join(re.sub(r"\W", "", each) for each in packages))
    whole = folder / "whole"
    if not whole.exists():
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *packages]
        try:
            ran = subprocess.run(command, capture_output=True, timeout=INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {packages} within {INSTALL_SECONDS} s")
        if ran.returncode:
            pytest.skip(f"npm cannot install {packages} here")
        whole.touch()
    return folder
