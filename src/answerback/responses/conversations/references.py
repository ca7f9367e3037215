"""Items that clients added to conversations, found by their ids alone."""

import json
from collections.abc import Mapping, Sequence

from answerback.database.dialect import Dialect
from answerback.database.operation import Operation
from answerback.database.predicates import ADDED
from answerback.database.statement import Statement
from answerback.responses import ids
from answerback.responses.items.history import ChainTooLong
from answerback.responses.model import Item
from answerback.responses.stored.store import MOST_CHARACTERS


def _own(dialect: Dialect) -> str:
    return f"""
    FROM conversation_items JOIN conversations ON conversations.id = conversation_items.conversation_id
    WHERE conversations.tenant_id = :tenant_id AND {ADDED} AND {dialect.among("job_id")}"""


SIZE_OF_ADDED = Statement(lambda dialect: f"SELECT sum(length(items)) AS size {_own(dialect)}")
ADDED_ENTRIES = Statement(lambda dialect: f"SELECT items {_own(dialect)}")


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
