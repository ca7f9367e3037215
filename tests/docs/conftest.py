"""Free ports in place of those that pages name."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from answerback.testing.ports import reserve_port

PORTS = ("8080", "9000", "9001", "9002", "9100")


@pytest.fixture
def ports() -> Iterator[dict[str, str]]:
    """Those that pages name, and free ones that stand in for them."""
    with ExitStack() as kept:
        places = {}
        for named in PORTS:
            holder, port = reserve_port()
            if holder is not None:
                kept.enter_context(holder)
            places[named] = str(port)
        yield places
