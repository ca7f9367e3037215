"""Waiting in turn for places that are short: one tenant after the other, however many wait for each."""

import asyncio

from answerback.kernel.round_robin import RoundRobin
from answerback.kernel.shares import Shares


class Turns:
    """The places of `shares`. A free one goes to the next tenant that waits and holds less than its share; a tenant at
    its share waits for a place of its own. Used in one event loop."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._waiting: RoundRobin[asyncio.Future[None]] = RoundRobin(shares.weight_of)

    def waiting(self, tenant_id: str) -> int:
        """How many of the tenant wait."""
        return self._waiting.of(tenant_id)

    @property
    def tenants(self) -> int:
        """How many tenants wait."""
        return self._waiting.tenants

    def take(self, tenant_id: str) -> bool:
        """Takes a place if the tenant may have one at once. It overtakes none: a tenant that waits may not have it."""
        if admitted := self._shares.admits(tenant_id):
            self._shares.take(tenant_id)
        return admitted

    async def wait(self, tenant_id: str, seconds: float | None = None) -> None:
        """Takes a place once it is the tenant's turn. Raises TimeoutError after so many seconds."""
        if self.take(tenant_id):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(tenant_id, turn)
        async with asyncio.timeout(seconds):
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    # The place came in the same moment: it goes on to the next.
                    self.give(tenant_id)
                else:
                    self._waiting.remove(tenant_id, turn)
                raise

    def give(self, tenant_id: str) -> None:
        """Gives a place of the tenant back."""
        self._shares.give(tenant_id)
        if self._waiting:
            self.grant()

    def grant(self) -> None:
        """Gives free places to those that wait: also where the shares' factor has grown."""
        while (granted := self._waiting.take(self._shares.admits)) is not None:
            tenant_id, turn = granted
            if not turn.done():
                self._shares.take(tenant_id)
                turn.set_result(None)
