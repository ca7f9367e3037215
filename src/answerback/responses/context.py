"""What stands before an input: the responses or the conversation that it goes on from, and the items that it refers
to."""

from collections.abc import Sequence
from dataclasses import replace

from answerback.kernel.errors import InvalidField, NotFound
from answerback.responses.conversations.store import ConversationLog
from answerback.responses.items.history import from_a_turn_on
from answerback.responses.model import REFERENCE, Asked, Item
from answerback.responses.stored.rows import StoredResponse, TurnPlace
from answerback.responses.stored.store import ResponseStore


class ConversationGone(InvalidField):
    """The conversation was deleted before the response was answered."""


class Contexts:
    """Reads them from the stores."""

    def __init__(self, store: ResponseStore, log: ConversationLog) -> None:
        self._store = store
        self._log = log

    async def resolve(self, tenant_id: str, asked: Asked) -> tuple[Asked, list[Item]]:
        """The request with its references replaced by their items and its ancestors named, and all that the model is to
        read. Raises PreviousResponseNotFound, ChainTooLong, NotFound."""
        if wanted := [item["id"] for item in asked.input if item["type"] == REFERENCE]:
            asked = replace(asked, input=await self._referred(tenant_id, asked.input, wanted))
        if asked.previous is None:
            return asked, list(asked.input)
        before = await self._store.chain(tenant_id, asked.previous, shortened=asked.shortened)
        last = before[-1]
        resolved = replace(asked, ancestors=(*last.asked.ancestors, last.id))
        return resolved, [*_said_lately(before), *asked.input]

    async def items(self, tenant_id: str, asked: Asked, place: TurnPlace | None) -> list[Item]:
        """All that the model is to read, for a request that is resolved. Raises PreviousResponseNotFound,
        ConversationGone, ChainTooLong."""
        if place is None:
            return [*_said_lately(await self._before(tenant_id, asked)), *asked.input]
        before = await self._log.before(tenant_id, place.row_id, place.position, shortened=asked.shortened)
        if before is None:
            raise ConversationGone("conversation", "the conversation was deleted before this response was answered")
        return [*before, *asked.input]

    async def read_by(self, tenant_id: str, response_id: str) -> list[Item]:
        """All that the model read for a stored response, with ids, as far as it is not deleted, and may be held. Raises
        NotFound."""
        *before, last = await self._store.with_ancestors(tenant_id, response_id)
        items = said(before)
        if last.place is not None:
            items += await self._log.before(tenant_id, last.place.row_id, last.place.position, shortened=True) or ()
        return [*items, *last.input_items]

    async def _before(self, tenant_id: str, asked: Asked) -> Sequence[StoredResponse]:
        if asked.previous is None:
            return []
        return await self._store.chain(tenant_id, asked.previous, shortened=asked.shortened)

    async def _referred(self, tenant_id: str, items: tuple[Item, ...], wanted: Sequence[str]) -> tuple[Item, ...]:
        found = dict(await self._store.items(tenant_id, wanted))
        if others := [each for each in wanted if each not in found]:
            found |= await self._log.items(tenant_id, others)
        return tuple(_referred(item, found) if item["type"] == REFERENCE else item for item in items)


def said(responses: Sequence[StoredResponse]) -> list[Item]:
    """The inputs and outputs of responses, the oldest first, with their ids."""
    return [item for each in responses for item in (*each.input_items, *each.output)]


def _said_lately(chain: Sequence[StoredResponse]) -> list[Item]:
    """As `said`, of a chain whose oldest responses may be left out."""
    items = said(chain)
    return from_a_turn_on(items) if chain and len(chain) <= len(chain[-1].asked.ancestors) else items


def _referred(reference: Item, found: dict[str, Item]) -> Item:
    """Takes the item out of those that were found: a second reference would make one more of it for a few bytes."""
    item = found.pop(reference["id"], None)
    if item is None:
        words = "send it whole, not as an item_reference; each can be referred to once"
        raise NotFound(f"there is no item {reference['id'][:100]!r}: {words}", reference["param"])
    return {name: value for name, value in item.items() if name != "id"}
