"""What a burst held is given back to the system, though small objects that stay lie between."""

import os
import sys

import pytest

from answerback.bootstrap.heap import EVERY_SECONDS, give_back
from memory import memory

EVENT = 64 * 1024
EVENTS = 1_000


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc's allocator")
async def test_what_lies_free_between_objects_that_stay_is_given_back() -> None:
    # Given what a thousand streams leave, each with something that stays behind it
    events, stay = list[bytes](), list[bytes]()
    for number in range(EVENTS):
        events.append(bytes([number % 256]) * EVENT)
        stay.append(bytes([number % 256]) * 1_000)
    events.clear()
    held = memory(os.getpid())

    assert await give_back() == EVERY_SECONDS

    assert held - memory(os.getpid()) > EVENTS * EVENT * 0.8 / 1024 / 1024
    assert len(stay) == EVENTS
