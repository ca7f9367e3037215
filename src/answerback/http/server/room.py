"""Room for new connections where descriptors are short."""

from collections.abc import Iterable
from typing import Protocol

IDLE_SECONDS = 1.0
"""For so long a connection has waited for a request that makes room. One that has just connected may have sent it
already."""
LATE_SECONDS = 5.0
"""For so long nothing has come of a request that makes room: its client may send it again."""
REFUSED_SECONDS = 0.25
"""How long a connection for which there is no room may take to read that. Its request may still come: closed at once,
it would be reset, and its client would not know why."""


class Yielding(Protocol):
    """As `BoundedHttp`."""

    def silent_for(self, *, begun: bool) -> float: ...

    def give_way(self) -> None: ...


def make_room(connections: Iterable[Yielding]) -> bool:
    """Ends those that are idle; without any those whose requests are late. Whether there were such."""
    of_all = tuple(connections)
    idle = [each for each in of_all if each.silent_for(begun=False) > IDLE_SECONDS]
    ending = idle or [each for each in of_all if each.silent_for(begun=True) > LATE_SECONDS]
    for each in ending:
        each.give_way()
    return bool(ending)
