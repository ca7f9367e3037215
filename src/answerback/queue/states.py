"""States of rows as they are read: during a rolling upgrade some are of a newer version."""

from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


def state_of(states: type[S], stored: str) -> S | str:
    """The stored state, as text where this version does not know it."""
    try:
        return states(stored)
    except ValueError:
        return stored
