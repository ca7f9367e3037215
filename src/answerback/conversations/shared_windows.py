"""The windows of conversations, served from Redis. The database keeps the record; what Redis holds proves itself.

A conversation is one list, so that it comes, goes and is evicted as a whole: a head, then its turns, oldest first. The
head says through which message the turns are complete, and who read them last. It is used only for the very next
message, and written only by who read it last. Whatever Redis did not hear of leaves the head behind, and whatever
takes the list away (an erasure, an eviction, a flush) ends the right to write it. Then the next message reads the
database. The head also says through which message the conversation was erased: a Redis that went back to a snapshot
from before an erasure is not believed.
"""

import contextlib
import json
from collections.abc import Sequence

from answerback.conversations.memory import key_of, recalls
from answerback.conversations.ports import Windows
from answerback.jobs.model import ClaimedJob, Ending, Message
from answerback.jobs.ports import Store
from answerback.kernel.errors import EraseUnfinished, StorageUnavailable
from answerback.llm.model import Memory, Turn
from answerback.redis.link import Away, Link
from answerback.redis.names import Names

# The turns as one JSON array, if they are all that the claimed message needs; else a head that only says who will bring
# them. `holds` is how many turns the list was made to hold: another process may be told to remember more.
READ = """
local reader, conversation, through, erased, wanted, ttl = unpack(ARGV)
local head = redis.call('LINDEX', KEYS[1], 0)
local known = head and cjson.decode(head) or {}
local proven = known.through == tonumber(through) and known.erased == tonumber(erased)
if known.conversation == conversation and proven and known.holds >= tonumber(wanted) then
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

# After the reader, the time to live and the head come the turns.
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

# The claimed message has ended, with a turn or (empty) without. Turns older than `since` are not kept any longer.
ENDED = """
local reader, through, since, ttl, turn = unpack(ARGV)
local head = redis.call('LINDEX', KEYS[1], 0)
local known = head and cjson.decode(head) or {}
if known.reader ~= reader or known.through ~= through - 1 then
    return 0
end
known.through = tonumber(through)
redis.call('LPOP', KEYS[1])
if turn ~= '' and known.through > known.erased then
    redis.call('RPUSH', KEYS[1], turn)
end
redis.call('LTRIM', KEYS[1], -known.holds, -1)
local oldest = redis.call('LINDEX', KEYS[1], 0)
while oldest and tonumber(string.match(oldest, '%d+')) < tonumber(since) do
    redis.call('LPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], 0)
end
redis.call('LPUSH', KEYS[1], cjson.encode(known))
redis.call('PEXPIRE', KEYS[1], ttl)
return 1
"""


class SharedWindows:
    """Implements `Windows`; while Redis is away, `database` serves. Nothing stays longer than
    `retention_seconds`."""

    def __init__(
        self, link: Link, names: Names, store: Store, memory: Memory, retention_seconds: float, database: Windows
    ) -> None:
        self._link = link
        self._names = names
        self._store = store
        self._memory = memory
        self._retention_ms = int(retention_seconds * 1000)
        self._ttl_ms = min(int(memory.ttl_seconds * 1000) + 1, self._retention_ms)
        self._database = database

    async def recent(self, claim: ClaimedJob) -> Sequence[Turn]:
        job, wanted = claim.job, self._memory.max_turns
        if job.conversation_id is None or job.seq is None:
            return ()
        key = await self._key(claim)
        through = job.seq - 1
        try:
            about = (str(job.conversation_id), through, claim.erased_through, wanted, self._ttl_ms)
            kept = await self._link.call("EVAL", READ, 1, key, _reader(claim), *about)
        except Away:
            return await self._database.recent(claim)
        if kept is not None:
            since = claim.claimed_at - self._retention_ms
            return [turn for turn in _load(kept)[:wanted] if turn.at >= since]
        recalled = await self._store.recall(job.conversation_id, wanted)
        head = {
            "conversation": str(job.conversation_id),
            "through": through,
            "erased": recalled.erased_through,
            "holds": wanted,
            "reader": _reader(claim),
        }
        said = [_dump(turn) for turn in reversed(recalled.turns)]
        with contextlib.suppress(Away):
            await self._link.call("EVAL", FILL, 1, key, _reader(claim), self._ttl_ms, json.dumps(head), *said)
        return recalled.turns

    async def ended(self, claim: ClaimedJob, ending: Ending, at: int) -> None:
        request, seq = claim.job.request, claim.job.seq
        if not recalls(claim, self._memory) or seq is None or not isinstance(request, Message):
            return
        turn = b"" if ending.answer is None else _dump(Turn(seq, request.message, ending.answer.text or "", at))
        # Without it the head stays behind, and the next message reads the database.
        with contextlib.suppress(Away, StorageUnavailable):
            key = await self._key(claim)
            since = at - self._retention_ms
            await self._link.call("EVAL", ENDED, 1, key, _reader(claim), seq, since, self._ttl_ms, turn)

    async def forget(self, tenant_id: str, key: str) -> None:
        try:
            await self._link.call("DEL", await self._names.name("window", tenant_id, key))
        except Away as error:
            raise EraseUnfinished(
                "the conversation is erased from the database, but Redis, which may still hold its newest messages, "
                "does not answer; send this again until it succeeds"
            ) from error

    async def _key(self, claim: ClaimedJob) -> str:
        """Raises StorageUnavailable."""
        job = claim.job
        named = key_of(job.request, job.callback_url or "")
        return await self._names.name("window", job.tenant_id, named or "")


def _reader(claim: ClaimedJob) -> str:
    """No other claim is named so, not even of the same job."""
    return f"{claim.id}/{claim.epoch}"


def _dump(turn: Turn) -> bytes:
    """The time comes first: scripts look for it."""
    return json.dumps([turn.at, turn.seq, turn.user, turn.assistant], ensure_ascii=False).encode()


def _load(turns: bytes) -> list[Turn]:
    """Newest first."""
    return [Turn(seq, user, assistant, at) for at, seq, user, assistant in reversed(json.loads(turns))]
