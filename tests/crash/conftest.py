"""A place for figures."""

import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def figures(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Shows a line of measurements, whether the test passes or not."""

    def show(line: str) -> None:
        with capfd.disabled():
            sys.stderr.write(f"\n{line}\n")

    return show
