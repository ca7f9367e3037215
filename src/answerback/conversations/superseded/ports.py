"""Where the newest turns of conversations are read."""

from collections.abc import Sequence
from typing import Protocol

from answerback.jobs.model import ClaimedJob, Ending
from answerback.llm.model import Turn


class Windows(Protocol):
    """The newest turns of conversations, kept where they are read fastest."""

    async def recent(self, claim: ClaimedJob) -> Sequence[Turn]:
        """The newest turns before the claimed message, newest first, as many as may travel with it. Raises
        StorageUnavailable."""

    async def ended(self, claim: ClaimedJob, ending: Ending, at: int) -> None:
        """The claimed message's ending is committed, at about `at` (epoch milliseconds, by the database's clock)."""

    async def forget(self, tenant_id: str, key: str) -> None:
        """The conversation is erased from the database: nothing of it may be read any more. Raises EraseUnfinished,
        StorageUnavailable."""
