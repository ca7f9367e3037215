"""How much of what servers send is worked on in one turn of the event loop."""

import asyncio
from collections import deque

READS_A_TURN = 8
"""By all readers of a client together. Thousands of streams that have something at once would make a turn of seconds,
in which nothing else happens."""


class Slices:
    """Lets readers go on, those first that came first: after so many the next ones wait for the event loop's next turn.
    Counted is over turns, for a look at each turn would cost as much as the count. Used in one event loop."""

    def __init__(self) -> None:
        self._left = READS_A_TURN
        self._waiting = deque[asyncio.Future[None]]()

    def wake(self, reader: "asyncio.Future[None]") -> None:
        """Sets the result of one that has something to read, in this turn or a later one."""
        if self._left and not self._waiting:
            self._left -= 1
            reader.set_result(None)
        else:
            self._wait(reader)

    async def later(self) -> None:
        """The next turn, or a later one."""
        if self._left and not self._waiting:
            self._left -= 1
            await asyncio.sleep(0)
        else:
            reader = asyncio.get_running_loop().create_future()
            self._wait(reader)
            await reader

    def _wait(self, reader: "asyncio.Future[None]") -> None:
        self._waiting.append(reader)
        if len(self._waiting) == 1:
            reader.get_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._left, waiting = READS_A_TURN, self._waiting
        while waiting and self._left:
            reader = waiting.popleft()
            if not reader.done():
                self._left -= 1
                reader.set_result(None)
        if waiting:
            waiting[0].get_loop().call_soon(self._next_turn)
