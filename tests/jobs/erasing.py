"""How stories erase a conversation: what it remembers, and what its ended jobs hold."""

from functools import partial

from answerback.jobs.erase import erase
from builders import TENANT
from stores import Stores


async def erase_conversation(stores: Stores, tenant_id: str = TENANT, key: str = "s") -> None:
    """Raises NotFound."""
    await stores.conversations.erase(tenant_id, key, partial(erase, kinds=stores.kinds))
