"""Readers of bodies, which share the turns of the event loop."""

import asyncio
from functools import partial

from answerback.http.slices import Slices

READS_A_TURN = 8
"""By all readers of a client together. Thousands of streams that have something at once would make a turn of seconds,
in which nothing else happens."""


class ReaderSlices(Slices):
    """Lets readers go on, those first that came first."""

    def __init__(self) -> None:
        super().__init__(READS_A_TURN)

    def wake(self, reader: "asyncio.Future[None]") -> None:
        """Sets the result of one that has something to read, in this turn or a later one."""
        if self.go_on():
            reader.set_result(None)
        else:
            self.later(reader.get_loop(), partial(_wake, reader))

    async def turn(self) -> None:
        """The next turn, or a later one."""
        if self.go_on():
            await asyncio.sleep(0)
        else:
            reader = asyncio.get_running_loop().create_future()
            self.later(reader.get_loop(), partial(_wake, reader))
            await reader


def _wake(reader: "asyncio.Future[None]") -> bool:
    """Whether it still waits."""
    if reader.done():
        return False
    reader.set_result(None)
    return True
