"""Reading the entries that a message may remember; which of them travel with it, `window.py` decides."""

from collections.abc import Sequence
from typing import Protocol

from answerback.conversations.model import Entry, Place
from answerback.conversations.store import ConversationStore


class Windows(Protocol):
    """The newest entries of conversations, kept where they are read fastest."""

    async def recent(self, place: Place) -> Sequence[Entry]:
        """What the job at this place may remember, oldest first. Raises StorageUnavailable."""

    async def ended(self, place: Place, entry: Entry | None, window_from: int | None) -> None:
        """The end of the job at this place is committed, with the entry that it added, if any; `window_from` is where
        the window begins from now on, None where that did not change. Raises nothing."""

    async def forget(self, tenant_id: str, conversation_id: int) -> None:
        """The conversation is erased from the database: nothing of it may be read any more. Raises EraseUnfinished,
        StorageUnavailable."""


class DatabaseWindows:
    """Implements `Windows` by reading the database, which keeps the record."""

    def __init__(self, store: ConversationStore) -> None:
        self._store = store

    async def recent(self, place: Place) -> Sequence[Entry]:
        if not place.remembers:
            return ()
        return await self._store.entries(place.tenant_id, place.conversation_id, place.first)

    async def ended(self, place: Place, entry: Entry | None, window_from: int | None) -> None: ...

    async def forget(self, tenant_id: str, conversation_id: int) -> None: ...
