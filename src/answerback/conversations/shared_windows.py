"""The windows of conversations, served from Redis. The database keeps the record; a window in Redis must prove that it
is current.

A conversation is one list, so that it comes, goes and is evicted as a whole: a head, then its entries, oldest first.
The head says from which and through which position the entries are complete, and which claim read them last. The list
serves only the very next job, and only the claim that read it last may write it. If Redis misses a job's end, the head
is out of date; if the list is removed (by an erasure, an eviction, a flush), no claim may write it. Then the next job
reads the database. The head also says through which position the conversation was erased: a list from a snapshot before
an erasure is not used.
"""

import contextlib
import json
from collections.abc import Callable, Sequence

from answerback.conversations.model import Entry, Place
from answerback.conversations.store import ConversationStore
from answerback.conversations.windows import Windows
from answerback.kernel.errors import EraseUnfinished, StorageUnavailable
from answerback.redis.link import Away, Link
from answerback.redis.names import Names

# Returns the entries as one JSON array, if they are all that the claimed job needs; else leaves a head that only names
# the claim, which will bring them.
READ = """
local reader, through, erased, first, ttl = unpack(ARGV)
local head = redis.call('LINDEX', KEYS[1], 0)
local known = head and cjson.decode(head) or {}
local proven = known.through == tonumber(through) and known.erased == tonumber(erased)
if proven and known.window_from == tonumber(first) then
    known.reader = reader
    redis.call('LSET', KEYS[1], 0, cjson.encode(known))
    redis.call('PEXPIRE', KEYS[1], ttl)
    return '[' .. table.concat(redis.call('LRANGE', KEYS[1], 1, -1), ',') .. ']'
end
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[1], cjson.encode({reader = reader}))
redis.call('PEXPIRE', KEYS[1], ttl)
return false
"""

# The arguments are the reader, the time to live, the head, then the entries.
FILL = """
local head = redis.call('LINDEX', KEYS[1], 0)
if not head or cjson.decode(head).reader ~= ARGV[1] then
    return 0
end
redis.call('DEL', KEYS[1])
for at = 3, #ARGV do
    redis.call('RPUSH', KEYS[1], ARGV[at])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""

# The claimed job has ended, with an entry or (empty) without; the window begins at `window_from`, or (empty) where it
# began. Entries from before that, or older than `since`, are removed.
ENDED = """
local reader, through, since, ttl, window_from, entry = unpack(ARGV)
local head = redis.call('LINDEX', KEYS[1], 0)
local known = head and cjson.decode(head) or {}
if known.reader ~= reader or known.through ~= through - 1 then
    return 0
end
known.through = tonumber(through)
known.window_from = tonumber(window_from) or known.window_from
redis.call('LPOP', KEYS[1])
if entry ~= '' and known.through > known.erased then
    redis.call('RPUSH', KEYS[1], entry)
end
local oldest = redis.call('LINDEX', KEYS[1], 0)
while oldest do
    local at, position = string.match(oldest, '^%[(%d+), (%d+)')
    if tonumber(at) >= tonumber(since) and tonumber(position) >= known.window_from then
        break
    end
    redis.call('LPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], 0)
end
redis.call('LPUSH', KEYS[1], cjson.encode(known))
redis.call('PEXPIRE', KEYS[1], ttl)
return 1
"""


class SharedWindows:
    """Implements `Windows`; while Redis is away, `database` serves. A window expires after `ttl_seconds` of silence,
    and no entry is used for longer than `retention_seconds`. `now` is the wall clock, in epoch milliseconds."""

    def __init__(
        self,
        link: Link,
        names: Names,
        store: ConversationStore,
        database: Windows,
        now: Callable[[], int],
        *,
        ttl_seconds: float,
        retention_seconds: float,
    ) -> None:
        self._link = link
        self._names = names
        self._store = store
        self._database = database
        self._now = now
        self._retention_ms = int(retention_seconds * 1000)
        self._ttl_ms = min(int(ttl_seconds * 1000) + 1, self._retention_ms)

    async def recent(self, place: Place) -> Sequence[Entry]:
        if not place.remembers:
            return ()
        key = await self._key(place.tenant_id, place.conversation_id)
        through = place.position - 1
        try:
            about = (place.claim, through, place.erased_through, place.window_from, self._ttl_ms)
            kept = await self._link.call("EVAL", READ, 1, key, *about)
        except Away:
            return await self._database.recent(place)
        if kept is not None:
            since = self._now() - self._retention_ms
            return [entry for entry in _load(kept) if entry.at >= since]
        recalled = await self._store.recall(place.tenant_id, place.conversation_id, place.first)
        head = {
            "window_from": place.window_from,
            "through": through,
            "erased": recalled.erased_through,
            "reader": place.claim,
        }
        entries = map(_dump, recalled.entries)
        with contextlib.suppress(Away):
            await self._link.call("EVAL", FILL, 1, key, place.claim, self._ttl_ms, json.dumps(head), *entries)
        return recalled.entries

    async def ended(self, place: Place, entry: Entry | None, window_from: int | None) -> None:
        if not place.remembers:
            return
        added = b"" if entry is None else _dump(entry)
        begins = "" if window_from is None else window_from
        # If Redis misses it, the head is out of date, and the next job reads the database.
        with contextlib.suppress(Away, StorageUnavailable):
            key = await self._key(place.tenant_id, place.conversation_id)
            since = self._now() - self._retention_ms
            about = (place.claim, place.position, since, self._ttl_ms, begins, added)
            await self._link.call("EVAL", ENDED, 1, key, *about)

    async def forget(self, tenant_id: str, conversation_id: int) -> None:
        try:
            await self._link.call("DEL", await self._key(tenant_id, conversation_id))
        except Away as error:
            raise EraseUnfinished(
                "the conversation is erased from the database, but Redis, which may still hold its newest messages, "
                "does not answer; send this again until it succeeds"
            ) from error

    async def _key(self, tenant_id: str, conversation_id: int) -> str:
        """Raises StorageUnavailable."""
        return await self._names.name("window", tenant_id, str(conversation_id))


def _dump(entry: Entry) -> bytes:
    """Time and position come first: scripts look for them."""
    return json.dumps([entry.at, entry.position, entry.job_id, entry.items], ensure_ascii=False).encode()


def _load(entries: bytes) -> list[Entry]:
    return [Entry(position, job_id, items, at) for at, position, job_id, items in json.loads(entries)]
