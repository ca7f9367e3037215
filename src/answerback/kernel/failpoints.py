"""The moments around commits at which tests end a process."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias


class Failpoint(StrEnum):
    """Named moments before and after the commits of a job and of its callback."""

    AFTER_ACCEPT = "after_accept"
    AFTER_CLAIM = "after_claim"
    AFTER_ANSWER = "after_answer"
    AFTER_FINISH = "after_finish"
    BEFORE_CALLBACK = "before_callback"
    AFTER_CALLBACK = "after_callback"
    AFTER_DELIVERED = "after_delivered"


OnFailpoint: TypeAlias = Callable[[Failpoint], None]
"""Called at each failpoint; tests end the process there."""


def unarmed(_: Failpoint) -> None:
    """Does nothing; what runs at a failpoint outside of tests."""
