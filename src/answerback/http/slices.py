"""How much of what peers send is worked on in one turn of the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable


class Slices:
    """Lets work go on, that first which came first: after `a_turn` pieces the next ones wait for the event loop's next
    turn. Counted is over turns, for a look at each turn would cost as much as the count. Used in one event loop."""

    def __init__(self, a_turn: int) -> None:
        self._a_turn = self._left = a_turn
        self._waiting = deque[Callable[[], bool]]()

    def go_on(self) -> bool:
        """Whether a piece of work goes on now."""
        if self._left <= 0 or self._waiting:
            return False
        self._left -= 1
        return True

    def took(self, more: int) -> None:
        """A piece of work has cost so many more."""
        self._left -= more

    def later(self, loop: asyncio.AbstractEventLoop, work: Callable[[], bool]) -> None:
        """Calls it in the next turn, or a later one; it returns whether there was anything to do."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            loop.call_soon(self._next_turn, loop)

    def _next_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left, waiting = self._a_turn, self._waiting
        try:
            while waiting and self._left > 0:
                worked = waiting.popleft()()
                self._left -= worked
        finally:
            if waiting:
                loop.call_soon(self._next_turn, loop)
