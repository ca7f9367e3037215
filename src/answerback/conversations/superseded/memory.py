"""A conversation's key and its memory."""

from collections.abc import Sequence

from answerback.conversations.superseded.ports import Windows
from answerback.jobs.model import ClaimedJob, Conversation, Ending, Message, Request
from answerback.jobs.ports import Store
from answerback.llm.model import Memory, Turn, messages, window


def key_of(request: Request, callback_url: str) -> str | None:
    """What names the line a message stands in; None for a stateless one, and for what is no message."""
    if not isinstance(request, Message) or request.stateless:
        return None
    return request.session_id if request.session_id is not None else callback_url


async def context(windows: Windows, memory: Memory, claim: ClaimedJob, request: Message) -> list[dict[str, str]]:
    """The messages to ask with: system prompt, remembered turns that fit, the new message."""
    fixed = [text for text in (request.system, request.message) if text]
    turns = []
    if recalls(claim, memory):
        turns = window(await windows.recent(claim), memory, claim.claimed_at, fixed)
    return messages(request.system, turns, request.message)


def recalls(claim: ClaimedJob, memory: Memory) -> bool:
    """Whether there may be anything to remember: the first in line has nothing, which saves the read."""
    return claim.job.conversation_id is not None and claim.job.seq != 1 and memory.max_turns > 0


class DatabaseWindows:
    """Implements `Windows` where the database, which keeps the record, is also read."""

    def __init__(self, store: Store, memory: Memory) -> None:
        self._store = store
        self._memory = memory

    async def recent(self, claim: ClaimedJob) -> Sequence[Turn]:
        if claim.job.conversation_id is None:
            return ()
        return await self._store.recent_turns(claim.job.conversation_id, self._memory.max_turns)

    async def ended(self, claim: ClaimedJob, ending: Ending, at: int) -> None: ...

    async def forget(self, tenant_id: str, key: str) -> None: ...


class Conversations:
    """What owners may do with the memory of their conversations."""

    def __init__(self, store: Store, windows: Windows) -> None:
        self._store = store
        self._windows = windows

    async def show(self, tenant_id: str, key: str) -> Conversation:
        """Raises NotFound, StorageUnavailable."""
        return await self._store.get_conversation(tenant_id, key)

    async def erase(self, tenant_id: str, key: str) -> None:
        """Raises NotFound, StorageUnavailable; EraseUnfinished when it must be asked again."""
        await self._store.erase_conversation(tenant_id, key)
        # After the commit: whoever reads the database from here on finds nothing to remember.
        await self._windows.forget(tenant_id, key)
