"""Claims that may have been made: the connection broke while the database committed them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from answerback.kernel.errors import OutcomeUnknown

T = TypeVar("T")


class UnconfirmedClaims:
    """Gives each claim a name of its own, so that the next claim can give back the rows of an unconfirmed one.

    Left to their leases, such rows would wait until these expire and count as lost: two outages of a database would
    quarantine a job that never harmed a worker.
    """

    def __init__(self) -> None:
        self._made = 0
        self._names: list[str] = []

    async def claim(self, owner: str, claim: Callable[[str, Sequence[str]], Awaitable[T]]) -> T:
        """Calls `claim` with this claim's name and the names of the unconfirmed ones."""
        name = self.name(owner)
        unconfirmed = tuple(self._names)
        try:
            claims = await claim(name, unconfirmed)
        except OutcomeUnknown:
            self.add(name)
            raise
        self._names = [other for other in self._names if other not in unconfirmed]
        return claims

    def name(self, owner: str) -> str:
        """A name for one claim."""
        self._made += 1
        return f"{owner}/{self._made}"

    def add(self, name: str) -> None:
        """The claim of this name may have been made."""
        self._names.append(name)
