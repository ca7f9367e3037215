"""What stands before an input: the responses that it goes on from, and the items that it refers to."""

from collections.abc import Sequence
from dataclasses import replace

from answerback.responses.model import Asked, Item
from answerback.responses.store import ResponseStore
from answerback.responses.stored import StoredResponse

REFERENCE = "item_reference"


class Contexts:
    """Reads both from the store."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store

    async def resolve(self, tenant_id: str, asked: Asked) -> tuple[Asked, list[Item]]:
        """The request with its references replaced by their items and its ancestors named, and all that the model is to
        read. Raises PreviousResponseNotFound, ChainTooLong, NotFound."""
        before = await self._before(tenant_id, asked)
        resolved = replace(
            asked,
            input=await self._referred(tenant_id, asked.input),
            ancestors=tuple(each.id for each in before),
        )
        return resolved, [*said(before), *resolved.input]

    async def items(self, tenant_id: str, asked: Asked) -> list[Item]:
        """All that the model is to read, for a request that is resolved. Raises PreviousResponseNotFound,
        ChainTooLong."""
        return [*said(await self._before(tenant_id, asked)), *asked.input]

    async def _before(self, tenant_id: str, asked: Asked) -> Sequence[StoredResponse]:
        return [] if asked.previous is None else await self._store.chain(tenant_id, asked.previous)

    async def _referred(self, tenant_id: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
        wanted = [item["id"] for item in items if item["type"] == REFERENCE]
        if not wanted:
            return items
        found = iter(await self._store.items(tenant_id, wanted))
        return tuple(next(found) if item["type"] == REFERENCE else item for item in items)


def said(responses: Sequence[StoredResponse]) -> list[Item]:
    """The inputs and outputs of responses, the oldest first, with their ids."""
    return [item for each in responses for item in (*each.input_items, *each.output)]


def without_oldest(items: Sequence[Item]) -> list[Item] | None:
    """Without the older half of the turns, but with what instructs the model; None where one turn is left. A turn
    begins with what a user says, so that calls keep their outputs."""
    turns = [place for place, item in enumerate(items) if item.get("role") == "user"]
    if len(turns) < 2:
        return None
    begin = turns[(len(turns) + 1) // 2]
    instructing = [item for item in items[:begin] if item.get("role") in ("system", "developer")]
    return [*instructing, *items[begin:]]
