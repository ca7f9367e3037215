"""Room for new connections where descriptors are short."""

from collections.abc import Iterable
from typing import Protocol

IDLE_SECONDS = 1.0
"""For so long a connection has waited for a request that makes room. One that has just connected may have sent it
already."""
LATE_SECONDS = 5.0
"""For so long nothing has come of a request that makes room: its client may send it again."""


class Yielding(Protocol):
    """As `BoundedHttp`."""

    def idle_for(self) -> float | None: ...

    def late_for(self) -> float | None: ...

    def give_way(self) -> None: ...


def make_room(connections: Iterable[Yielding]) -> bool:
    """Ends those that are idle; without any those whose requests are late. Whether there were such."""
    of_all = tuple(connections)
    idle = [each for each in of_all if (each.idle_for() or 0.0) > IDLE_SECONDS]
    ending = idle or [each for each in of_all if (each.late_for() or 0.0) > LATE_SECONDS]
    for each in ending:
        each.give_way()
    return bool(ending)
