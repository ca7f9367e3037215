"""Stored responses in the database: rows of jobs of the kind `response`."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from answerback.database.operation import BatchPlan, Database, Operation
from answerback.database.statement import Row, Statement
from answerback.http.openai_errors import InvalidParameter
from answerback.jobs.events import READING, Emitted, emitted
from answerback.jobs.kind import ENDED, JobState, Unreadable
from answerback.jobs.rows import OWN, failure_of
from answerback.kernel.errors import NotFound
from answerback.responses import ids
from answerback.responses.items.history import ChainTooLong, PreviousResponseNotFound, newest_within
from answerback.responses.model import Item
from answerback.responses.stored import erasure
from answerback.responses.stored.rows import ERASED, KIND, STATUSES, StoredResponse, TurnPlace, decode

MOST_CHARACTERS = 32 * 1024 * 1024
"""Of all that stands before an input. It is held in memory for each request."""
_COLUMNS = "id, state, args, result, error, created_at, finished_at, conversation_id, position"
FIND = Statement(f"SELECT {_COLUMNS} FROM jobs WHERE id = :row_id AND {OWN}")
EMITTED_PLAN = BatchPlan((*READING, FIND), "read_response_events")
MANY = Statement(lambda dialect: f"SELECT {_COLUMNS} FROM jobs WHERE {OWN} AND {dialect.among('id')}")
SIZES = Statement(
    lambda dialect: (
        f"""
    SELECT id, length(args) + length(result) AS size FROM jobs WHERE {OWN} AND {dialect.among("id")}"""
    )
)


class ResponseStore:
    """Every method raises StorageUnavailable when the database cannot serve it now."""

    def __init__(self, database: Database) -> None:
        self._write = database.write.run
        self._read = database.read.run

    async def get(self, tenant_id: str, response_id: str) -> StoredResponse:
        """Raises NotFound, also once it is deleted."""
        return await self._read(lambda _: _get(tenant_id, response_id), tenant_id=tenant_id)

    async def chain(self, tenant_id: str, last_id: str, *, shortened: bool = False) -> Sequence[StoredResponse]:
        """A response and those before it, the oldest first; `shortened`: the newest, as many as may be held. Raises
        PreviousResponseNotFound, ChainTooLong."""
        return await self._read(lambda _: _chain(tenant_id, last_id, shortened=shortened), tenant_id=tenant_id)

    async def with_ancestors(self, tenant_id: str, response_id: str) -> Sequence[StoredResponse]:
        """A response and those before it that are not deleted, the newest, as many as may be held; the oldest of them
        first. Raises NotFound."""
        return await self._read(lambda _: _with_ancestors(tenant_id, response_id), tenant_id=tenant_id)

    async def items(self, tenant_id: str, wanted: Sequence[str]) -> Mapping[str, Item]:
        """The items of stored responses with these ids, by them, as far as there are any. Raises ChainTooLong."""
        return await self._read(lambda _: _items(tenant_id, wanted), tenant_id=tenant_id)

    async def find(self, tenant_id: str, response_id: str) -> StoredResponse:
        """As `get`, also one that is not to be stored. Raises NotFound."""
        return await self._read(lambda _: _known(tenant_id, response_id), tenant_id=tenant_id)

    async def end(self, tenant_id: str, response_id: str) -> StoredResponse | None:
        """A response that has ended, also one that is not to be stored, or that was discarded; None while it is open.
        Raises NotFound, also once it is deleted."""
        return await self._read(lambda _: _end(tenant_id, response_id), tenant_id=tenant_id)

    async def emitted(
        self, tenant_id: str, response_id: str, after: int
    ) -> tuple[Emitted | None, StoredResponse | None]:
        """The groups of events behind number `after`, None where there is no such job; and, once there are no further
        ones, the response that has ended, unless it is deleted."""
        return await self._read(lambda _: _emitted(tenant_id, response_id, after), EMITTED_PLAN, tenant_id=tenant_id)

    async def discard(self, tenant_id: str, job_id: str) -> None:
        """Deletes all that is held of one that failed, and frees its idempotency key."""
        await self._write(lambda _: erasure.discard(tenant_id, job_id))

    async def release_key(self, tenant_id: str, job_id: str) -> None:
        """Frees the idempotency key of one that failed; those who read its stream still have it to its end."""
        await self._write(lambda _: erasure.release_key(tenant_id, job_id))

    async def erase_unstored(self) -> int:
        """Deletes what is held of a batch of those that are not to be stored, a day after they were asked for; how
        many."""
        return await self._write(erasure.erase_unstored)

    async def forget(self, tenant_id: str, job_id: str, *, stored: bool) -> None:
        """Deletes what nobody can ask for any more of one that has ended, and whose only caller has it or is gone: what
        it emitted, and all else unless it is whole and `stored`."""
        await self._write(lambda _: erasure.forget(tenant_id, job_id, stored=stored))

    async def erase(self, tenant_id: str, response_id: str) -> None:
        """Deletes all that a response holds. Raises NotFound."""
        await self._write(lambda _: _erase(tenant_id, response_id))


def _get(tenant_id: str, response_id: str) -> Operation[StoredResponse]:
    found = yield from _find(tenant_id, response_id)
    if found is None or not found.asked.stored or found.failed_as_a_call:
        raise no_such_response(response_id)
    return found


def _end(tenant_id: str, response_id: str) -> Operation[StoredResponse | None]:
    found = yield from _row(tenant_id, response_id)
    if found is None or (found.asked == ERASED and found.state is JobState.COMPLETED):
        raise no_such_response(response_id)
    return found if found.state in ENDED else None


def _known(tenant_id: str, response_id: str) -> Operation[StoredResponse]:
    found = yield from _find(tenant_id, response_id)
    if found is None:
        raise no_such_response(response_id)
    return found


def _emitted(tenant_id: str, response_id: str, after: int) -> Operation[tuple[Emitted | None, StoredResponse | None]]:
    seen = yield from emitted(tenant_id, KIND, ids.JOB + response_id.removeprefix(ids.RESPONSE), after)
    if seen is None or seen.more or seen.state not in ENDED:
        return seen, None
    return seen, (yield from _find(tenant_id, response_id))


def _find(tenant_id: str, response_id: str) -> Operation[StoredResponse | None]:
    return _unerased((yield from _row(tenant_id, response_id)))


def _row(tenant_id: str, response_id: str) -> Operation[StoredResponse | None]:
    job_id = ids.job_id(response_id)
    rows = [] if job_id is None else (yield FIND(row_id=job_id, tenant_id=tenant_id, kind=KIND))
    return _stored(rows[0]) if rows else None


def _unerased(found: StoredResponse | None) -> StoredResponse | None:
    return None if found is None or found.asked == ERASED else found


def _chain(tenant_id: str, last_id: str, *, shortened: bool) -> Operation[Sequence[StoredResponse]]:
    last = yield from _find(tenant_id, last_id)
    if last is None or not last.asked.stored:
        raise _no_previous(last_id)
    if last.asked.conversation is not None:
        words = f"{last_id!r} is part of a conversation: send 'conversation': {last.asked.conversation!r} instead"
        raise InvalidParameter("previous_response_id", words)
    if last.state is not JobState.COMPLETED:
        status = STATUSES[last.state]
        words = f"the previous response {last_id!r} is {status}: only one that is whole can be gone on from"
        raise InvalidParameter("previous_response_id", words)
    ancestors = last.asked.ancestors
    if not ancestors:
        return [last]
    sizes = yield from _sizes(tenant_id, (*ancestors, last.id))
    _check_there((*ancestors, last.id), sizes)
    *wanted, _ = _newest((*ancestors, last.id), sizes) or (last.id,)
    if len(wanted) < len(ancestors) and not shortened:
        raise _too_long("previous_response_id")
    before = yield from _read(tenant_id, wanted)
    _check_there(wanted, before)
    return [*(before[each] for each in wanted), last]


def _check_there(response_ids: Sequence[str], there: Container[str]) -> None:
    for each in response_ids:
        if each not in there:
            raise _no_previous(each)


def _with_ancestors(tenant_id: str, response_id: str) -> Operation[Sequence[StoredResponse]]:
    found = yield from _get(tenant_id, response_id)
    ancestors = found.asked.ancestors
    if not ancestors:
        return [found]
    sizes = yield from _sizes(tenant_id, ancestors)
    wanted = _newest([each for each in ancestors if each in sizes], sizes)
    before = yield from _read(tenant_id, wanted)
    return [*(before[each] for each in wanted if each in before), found]


def _newest(response_ids: Sequence[str], sizes: Mapping[str, int]) -> Sequence[str]:
    """As many of them as may be held."""
    kept = newest_within([sizes[each] for each in response_ids], MOST_CHARACTERS)
    return response_ids[len(response_ids) - kept :]


def _sizes(tenant_id: str, response_ids: Iterable[str]) -> Operation[Mapping[str, int]]:
    """The characters of those that are not deleted, by their ids."""
    rows = yield SIZES(tenant_id=tenant_id, kind=KIND, ids=_named(response_ids))
    return {ids.response_id(row.id): row.size for row in rows if row.size is not None}


def _read(tenant_id: str, response_ids: Iterable[str]) -> Operation[Mapping[str, StoredResponse]]:
    """Those that are not deleted, by their ids."""
    rows = yield MANY(tenant_id=tenant_id, kind=KIND, ids=_named(response_ids))
    return {found.id: found for row in rows if (found := _unerased(_stored(row))) is not None}


def _named(response_ids: Iterable[str]) -> str:
    return json.dumps([job_id for each in response_ids if (job_id := ids.job_id(each)) is not None])


def _items(tenant_id: str, wanted: Sequence[str]) -> Operation[Mapping[str, Item]]:
    places = [place for each in wanted if (place := ids.place_of(each)) is not None]
    if not places:
        return {}
    named = {place.response_id for place in places}
    if sum((yield from _sizes(tenant_id, named)).values()) > MOST_CHARACTERS:
        raise _too_long("input")
    responses = (yield from _read(tenant_id, named)).values()
    held = {each["id"]: each for response in responses if response.asked.stored for each in _items_of(response)}
    return {each: held[each] for each in wanted if each in held}


def _items_of(response: StoredResponse) -> Iterator[Item]:
    yield from response.input_items
    yield from response.output


def _erase(tenant_id: str, response_id: str) -> Operation[None]:
    job_id = ids.job_id(response_id)
    if job_id is None or not (yield from erasure.erase(tenant_id, job_id)):
        raise no_such_response(response_id)


def _stored(row: Row) -> StoredResponse | None:
    """None for one that only another version can read."""
    try:
        asked = decode(row.args)
    except Unreadable:
        return None
    return StoredResponse(
        id=ids.response_id(row.id),
        asked=asked,
        state=JobState(row.state),
        result=None if row.result is None else json.loads(row.result),
        failure=failure_of(row.error),
        created_at=row.created_at,
        finished_at=row.finished_at,
        place=None if row.conversation_id is None else TurnPlace(row.conversation_id, row.position),
    )


def no_such_response(response_id: str) -> NotFound:
    return NotFound(f"there is no response {response_id!r}: it was not stored, or is deleted")


def _too_long(field: str) -> ChainTooLong:
    words = f"the responses before this one hold more than {MOST_CHARACTERS} characters"
    return ChainTooLong(field, f"{words}: begin a new chain, or send 'truncation': 'auto'")


def _no_previous(response_id: str) -> PreviousResponseNotFound:
    words = f"there is no previous response {response_id!r}: it was not stored, or is deleted"
    return PreviousResponseNotFound("previous_response_id", words)
