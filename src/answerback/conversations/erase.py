"""Erasing a conversation: from the database, then from wherever its newest entries are kept besides."""

from answerback.conversations.store import ConversationStore
from answerback.conversations.windows import Windows


async def erase(store: ConversationStore, windows: Windows, tenant_id: str, key: str) -> None:
    """Raises NotFound, StorageUnavailable; EraseUnfinished when it must be asked again."""
    conversation_id = await store.erase(tenant_id, key)
    # After the commit: a job that reads the database from here on finds nothing to remember.
    await windows.forget(tenant_id, conversation_id)
