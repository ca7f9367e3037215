"""Items that clients added to conversations, found by their ids alone."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, func, select, text

from answerback.database.operation import Operation, Statement
from answerback.database.sql import among
from answerback.database.tables import ADDED, conversation_items, conversations
from answerback.responses import ids
from answerback.responses.history import ChainTooLong
from answerback.responses.model import Item
from answerback.responses.store import MOST_CHARACTERS

_items = conversation_items.c["items"]  # `c.items` is a method
_own = (
    conversation_items.c.conversation_id == conversations.c.id,
    conversations.c.tenant_id == bindparam("tenant_id"),
    text(ADDED),
    among(conversation_items.c.job_id),
)
SIZE_OF_ADDED = Statement(select(func.sum(func.length(_items)).label("size")).where(*_own))
ADDED_ENTRIES = Statement(select(_items).where(*_own))


def added_items(tenant_id: str, wanted: Sequence[str]) -> Operation[Mapping[str, Item]]:
    """The items with these ids, by them, as far as there are any. Raises ChainTooLong."""
    places = filter(None, map(ids.place_of, wanted))
    entries = {place.response_id.replace(ids.RESPONSE, ids.ENTRY) for place in places}
    if not entries:
        return {}
    among_them = {"tenant_id": tenant_id, "ids": json.dumps(sorted(entries))}
    if ((yield SIZE_OF_ADDED(**among_them))[0].size or 0) > MOST_CHARACTERS:
        words = f"what the input refers to holds more than {MOST_CHARACTERS} characters"
        raise ChainTooLong("input", words)
    rows = yield ADDED_ENTRIES(**among_them)
    held = {item["id"]: item for row in rows for item in json.loads(row.items)}
    return {each: held[each] for each in wanted if each in held}
