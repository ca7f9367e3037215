"""Entries of conversations in the database: what one turn, or one request of a client, added. Found by an item, and
paged."""

import json
from collections.abc import Sequence

from answerback.conversations.store import AFTER_ALL
from answerback.database.operation import Operation
from answerback.database.pages import fitting
from answerback.database.statement import Row, Statement
from answerback.kernel.json import encoded
from answerback.responses import ids
from answerback.responses.conversations.model import ItemPage
from answerback.responses.items.history import newest_within
from answerback.responses.model import Item

_OF_CONVERSATION = "conversation_id = :conversation_id"
_WITHIN = f"{_OF_CONVERSATION} AND position >= :first AND position <= :last"
_EMPTY = "[]"
"""What is left of an entry whose items are deleted, so that a page can begin behind them."""
_SIZES = f"""
    SELECT position, length(items) AS size FROM conversation_items WHERE {_WITHIN} AND items <> '{_EMPTY}'"""
NEWEST_SIZES = Statement(f"{_SIZES} ORDER BY position DESC LIMIT :limit")
OLDEST_SIZES = Statement(f"{_SIZES} ORDER BY position LIMIT :limit")
ENTRIES = Statement(f"SELECT position, items FROM conversation_items WHERE {_WITHIN} ORDER BY position")
ENTRY = Statement(
    f"SELECT position, items FROM conversation_items WHERE {_OF_CONVERSATION} AND job_id IN (:job_id, :entry_id)"
)
REPLACE_ENTRY = Statement(
    f"UPDATE conversation_items SET items = :new_items WHERE {_OF_CONVERSATION} AND position = :at"
)
SIZE_BEFORE = Statement(
    f"SELECT sum(length(items)) AS size FROM conversation_items WHERE {_OF_CONVERSATION} AND position < :before"
)


def page_of(row_id: int, after: str | None, limit: int, *, newest_first: bool) -> Operation[ItemPage | None]:
    """At most `limit` items behind `after`, fewer where they are large; None if `after` was never an item of it."""
    first, last = 0, AFTER_ALL
    if after is not None:
        entry = yield from _entry_with(row_id, ids.place_of(after))
        if entry is None:
            return None
        first, last = (0, entry.position) if newest_first else (entry.position, AFTER_ALL)
    among = {"conversation_id": row_id, "first": first, "last": last}
    # Each entry has an item: so many hold a page, the one that begins with `after`, and one more.
    sizes = yield (NEWEST_SIZES if newest_first else OLDEST_SIZES)(**among, limit=limit + 2)
    shown = _at_least_two(fitting((each.size for each in sizes), limit + 2), sizes)
    if not shown:
        return ItemPage((), has_more=False)
    positions = [each.position for each in sizes[:shown]]
    rows = yield ENTRIES(conversation_id=row_id, first=min(positions), last=max(positions))
    items = [item for each in rows for item in json.loads(each.items)]
    if newest_first:
        items.reverse()
    if after is not None:
        items = [item for item in items if _is_behind(after, item, newest_first=newest_first)]
    # One request may add megabytes of them.
    fit = fitting((len(encoded(item)) for item in items), limit)
    return ItemPage(items[:fit], has_more=len(items) > fit or shown < len(sizes))


def newest_items(row_id: int, last: int, most: int) -> Operation[list[Item]]:
    """The items of the newest entries up to position `last`, as many entries as hold `most` characters."""
    among = {"conversation_id": row_id, "last": last}
    sizes = yield OLDEST_SIZES(**among, first=0, limit=AFTER_ALL)
    kept = newest_within([each.size for each in sizes], most)
    rows = (yield ENTRIES(**among, first=sizes[-kept].position)) if kept else ()
    return [item for each in rows for item in json.loads(each.items)]


def _at_least_two(shown: int, sizes: Sequence[Row]) -> int:
    """The first entry may be that of `after`, and bring nothing."""
    return max(shown, min(2, len(sizes)))


def entry_of(row_id: int, item_id: str) -> Operation[Row | None]:
    """The entry that holds this item."""
    entry = yield from _entry_with(row_id, ids.place_of(item_id))
    held = () if entry is None else json.loads(entry.items)
    return entry if any(item["id"] == item_id for item in held) else None


def _entry_with(row_id: int, place: ids.ItemPlace | None) -> Operation[Row | None]:
    """The entry that holds the item of this place, or held it before it was deleted."""
    if place is None:
        return None
    digits = place.response_id.removeprefix(ids.RESPONSE)
    rows = yield ENTRY(conversation_id=row_id, job_id=ids.JOB + digits, entry_id=ids.ENTRY + digits)
    return rows[0] if rows else None


def _is_behind(after: str, item: Item, *, newest_first: bool) -> bool:
    """Whether an item of the page's entries comes behind the one with this id, which may be deleted."""
    begin, place = ids.place_of(after), ids.place_of(item["id"])
    if begin is None or place is None or begin.response_id != place.response_id:
        return True
    return place < begin if newest_first else place > begin


def delete_from(row_id: int, item_id: str) -> Operation[None]:
    """Does nothing where the item is not there."""
    entry = yield from entry_of(row_id, item_id)
    if entry is not None:
        left = [item for item in json.loads(entry.items) if item["id"] != item_id]
        yield REPLACE_ENTRY(conversation_id=row_id, at=entry.position, new_items=encoded(left).decode())
