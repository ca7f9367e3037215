"""One count of a caller's requests for all processes of one `serve`: exact, kept by their supervisor."""

from answerback.accounts.ratelimit import Rates
from answerback.kernel.rate import Rate, Standing
from answerback.siblings.link import Gone, Link


class SiblingRates:
    """Implements `Rates`; once the supervisor has ended, `local` counts until this process has, too."""

    def __init__(self, link: Link, local: Rates) -> None:
        self._link = link
        self._local = local

    async def hit(self, caller: str, rate: Rate, count: int = 1) -> Standing:
        try:
            return await self._link.hit(caller, rate, count)
        except Gone:
            return await self._local.hit(caller, rate, count)
