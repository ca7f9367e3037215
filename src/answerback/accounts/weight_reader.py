"""The tenants' weights, as every process knows them: what is short is shared by them where it is short."""

from answerback.accounts.store import AccountStore
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.shares import Weights

EVERY_SECONDS = 60.0
SOON_SECONDS = 5.0
"""After a read that failed."""


class WeightReader:
    """Reads them into `weights`."""

    def __init__(self, store: AccountStore, weights: Weights) -> None:
        self._store = store
        self._weights = weights

    async def read(self) -> float:
        """In how many seconds they are to be read again."""
        try:
            self._weights.set(await self._store.weights())
        except StorageUnavailable:
            # An outage is in the log already; the weights that were last read stay.
            return SOON_SECONDS
        return EVERY_SECONDS
