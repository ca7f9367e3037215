"""Erasing a conversation: from the database, then from Redis, which may hold its newest entries."""

from answerback.conversations.store import ConversationStore, EraseJobs
from answerback.conversations.windows import Windows


async def erase(store: ConversationStore, windows: Windows, erase_jobs: EraseJobs, tenant_id: str, key: str) -> None:
    """`erase_jobs` erases what the conversation's jobs hold, in the same transaction. Raises NotFound,
    StorageUnavailable; EraseUnfinished if it must be called again."""
    conversation_id = await store.erase(tenant_id, key, erase_jobs)
    # After the commit: a job that reads the database from here on finds nothing to remember.
    await windows.forget(tenant_id, conversation_id)
