"""How requests are counted."""

from typing import Protocol

from answerback.kernel.rate import Rate, Standing


class Rates(Protocol):
    """Counts the requests of callers, each by a rate."""

    async def hit(self, caller: str, rate: Rate) -> Standing:
        """Counts one more, if the rate admits it. Raises nothing."""
