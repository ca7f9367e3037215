"""Claims that may have been made: the database went away while it committed them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from answerback.kernel.errors import OutcomeUnknown

T = TypeVar("T")


class UnconfirmedClaims:
    """Names each claim, so that the next one can give back what nobody knows to be his.

    Left to their leases, such rows would stand still for a minute and count as lost: three kills of a database would
    poison a job that never hurt anybody.
    """

    def __init__(self) -> None:
        self._made = 0
        self._names: list[str] = []

    async def claim(self, owner: str, claim: Callable[[str, Sequence[str]], Awaitable[T]]) -> T:
        """Calls `claim` with a name for this one and with those in doubt."""
        self._made += 1
        name = f"{owner}/{self._made}"
        unconfirmed = tuple(self._names)
        try:
            claims = await claim(name, unconfirmed)
        except OutcomeUnknown:
            self._names.append(name)
            raise
        self._names = [other for other in self._names if other not in unconfirmed]
        return claims
