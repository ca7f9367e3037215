"""Stored responses in the database: found by their ids, chained, deleted; each tenant's own."""

import json
from typing import Any

import pytest

from answerback.jobs.kind import JobState
from answerback.jobs.model import EndedJob, NewJob
from answerback.kernel.errors import NotFound
from answerback.responses import ids
from answerback.responses.context import Contexts
from answerback.responses.items.history import ChainTooLong, PreviousResponseNotFound
from answerback.responses.model import Asked
from answerback.responses.stored import store
from answerback.responses.stored.rows import KIND, encode
from answerback.testing.clock import FakeClock
from builders import DAY, DAY_MS, TENANT, accept, claim_job, claim_jobs
from databases import Database
from stores import Stores

STRANGER = "tenant-b"


def response_id(number: int) -> str:
    return f"{ids.RESPONSE}{number:032x}"


def message(role: str, text: str, **fields: Any) -> dict[str, Any]:
    return {**fields, "type": "message", "role": role, "status": "completed", "content": [{"text": text}]}


async def record(stores: Stores, number: int, text: str = "hi", *ancestors: int) -> str:
    """A response whose caller waited for it."""
    name = response_id(number)
    asked = Asked({"model": "m"}, (message("user", text),), tuple(map(response_id, ancestors)))
    said = message("assistant", f"to {text}", id=ids.item_id(name, "message", ids.OUTPUT, 0))
    result = {"status": "completed", "reason": None, "model": "m", "usage": None, "output": [said]}
    job_id = ids.job_id(name)
    assert job_id is not None
    job = EndedJob(job_id, TENANT, KIND, "interactive", encode(asked), json.dumps(result), 1_000, 2_000)
    await stores.jobs.record(job)
    return name


async def test_it_is_there_as_it_was_recorded(stores: Stores) -> None:
    name = await record(stores, 1)

    found = await stores.responses.get(TENANT, name)

    assert (found.id, found.created_at, found.finished_at) == (name, 1_000, 2_000)
    assert found.asked.input == (message("user", "hi"),)
    assert found.progress("").status == "completed"
    assert await stores.jobs.count_open() == 0


async def test_one_that_failed_is_discarded_by_the_first_who_hears_of_it_and_the_others_hear_of_it_too(
    stores: Stores,
) -> None:
    args = encode(Asked({}, (message("user", "hi"),)))
    job_id = (await accept(stores, session=None, kind=KIND, args=args, idempotency_key="k", request_hash="h")).job_id
    name = ids.response_id(job_id)
    await stores.jobs.cancel(TENANT, job_id)

    await stores.responses.discard(TENANT, job_id)

    found = await stores.responses.end(TENANT, name)
    assert found is not None
    assert found.state is JobState.CANCELLED
    with pytest.raises(NotFound):
        await stores.responses.find(TENANT, name)
    assert await stores.jobs.find_accepted(TENANT, "k", "another") is None


async def test_one_whose_key_is_freed_is_there_for_those_who_read_it_and_for_nobody_else(stores: Stores) -> None:
    job_id = await keyed(stores, "hi")
    name = ids.response_id(job_id)
    await stores.responses.release_key(TENANT, job_id)
    assert await stores.jobs.find_accepted(TENANT, "k", "h") is not None
    await stores.jobs.cancel(TENANT, job_id)

    await stores.responses.release_key(TENANT, job_id)

    assert (await stores.responses.find(TENANT, name)).asked.input == (message("user", "hi"),)
    with pytest.raises(NotFound):
        await stores.responses.get(TENANT, name)
    assert await stores.jobs.find_accepted(TENANT, "k", "another") is None


async def keyed(stores: Stores, text: str, **changes: Any) -> str:
    args = encode(Asked({}, (message("user", text),)))
    given: Any = {"session": None, "kind": KIND, "args": args, "idempotency_key": "k", "request_hash": "h"}
    return (await accept(stores, **given | changes)).job_id


async def test_what_is_not_to_be_stored_is_held_for_a_day(stores: Stores, clock: FakeClock, database: Database) -> None:
    job_id = await keyed(stores, "my words", transient=True)
    await stores.job_events.append(await claim_job(stores), 3, b"my words")
    clock.advance(DAY)
    assert await stores.responses.erase_unstored() == 0  # It is open.
    await stores.jobs.cancel(TENANT, job_id)
    assert "my words" in str(await database.dump())

    assert [await stores.responses.erase_unstored() for _ in range(2)] == [1, 0]

    assert "my words" not in str(await database.dump())
    assert await stores.jobs.find_accepted(TENANT, "k", "another") is None


async def test_what_is_stored_or_younger_than_a_day_is_not_erased(stores: Stores, clock: FakeClock) -> None:
    await keyed(stores, "stored")
    await keyed(stores, "young", transient=True, idempotency_key="other")
    for claim in await claim_jobs(stores):
        await stores.jobs.cancel(TENANT, claim.id)
    clock.advance(DAY - 0.001)

    assert await stores.responses.erase_unstored() == 0


async def test_a_retry_of_what_is_not_to_be_stored_is_not_stored_either(stores: Stores, clock: FakeClock) -> None:
    job_id = await keyed(stores, "secret", transient=True)
    await stores.jobs.cancel(TENANT, job_id)

    source = await stores.jobs.retry_source(TENANT, job_id, 10.0)

    assert isinstance(source.again, NewJob)
    assert source.again.transient


@pytest.mark.parametrize("stored", [True, False])
async def test_one_that_its_only_caller_has_is_forgotten_unless_it_is_stored(stores: Stores, stored: bool) -> None:
    name = await record(stores, 1, "secret")

    await stores.responses.forget(TENANT, str(ids.job_id(name)), stored=stored)

    assert ("secret" in repr(await stores.jobs.get(TENANT, str(ids.job_id(name))))) is stored


async def test_a_chain_is_read_in_its_order(stores: Stores) -> None:
    await record(stores, 3, "one")
    await record(stores, 2, "two", 3)
    last = await record(stores, 1, "three", 3, 2)

    chain = await stores.responses.chain(TENANT, last)

    assert [each.asked.input[0]["content"][0]["text"] for each in chain] == ["one", "two", "three"]


async def test_a_chain_ends_where_a_response_was_deleted(stores: Stores) -> None:
    first = await record(stores, 1)
    last = await record(stores, 2, "two", 1)

    await stores.responses.erase(TENANT, first)

    with pytest.raises(PreviousResponseNotFound, match=first):
        await stores.responses.chain(TENANT, last)
    assert [each.id for each in await stores.responses.with_ancestors(TENANT, last)] == [last]


async def test_a_chain_is_no_longer_than_memory_allows(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    await record(stores, 1, "x" * 1000)
    last = await record(stores, 2, "two", 1)
    monkeypatch.setattr(store, "MOST_CHARACTERS", 1000)

    with pytest.raises(ChainTooLong):
        await stores.responses.chain(TENANT, last)


async def test_a_chain_that_is_too_long_is_shortened_where_the_request_allows_it(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(stores, 1, "x" * 2000)
    await record(stores, 2, "two", 1)
    last = await record(stores, 3, "three", 1, 2)
    monkeypatch.setattr(store, "MOST_CHARACTERS", 1000)
    contexts = Contexts(stores.responses, stores.conversation_log)
    parameters = {"previous_response_id": last, "truncation": "auto"}

    resolved, items = await contexts.resolve(TENANT, Asked(parameters, (message("user", "four"),)))

    assert [item["content"][0]["text"] for item in items] == ["two", "to two", "three", "to three", "four"]
    assert resolved.ancestors == tuple(map(response_id, (1, 2, 3)))
    with pytest.raises(ChainTooLong, match="truncation"):
        await contexts.resolve(TENANT, Asked(parameters | {"truncation": "disabled"}, ()))


async def test_a_chain_that_its_last_response_makes_too_long_is_refused_too(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(stores, 1, "one")
    last = await record(stores, 2, "x" * 1000, 1)
    monkeypatch.setattr(store, "MOST_CHARACTERS", 1500)

    with pytest.raises(ChainTooLong):
        await stores.responses.chain(TENANT, last)
    assert [each.id for each in await stores.responses.chain(TENANT, last, shortened=True)] == [last]


async def test_what_a_response_was_made_of_is_shown_as_far_as_its_model_read_it(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(stores, 1, "x" * 2000)
    deleted = await record(stores, 2, "two", 1)
    await record(stores, 3, "three", 1, 2)
    last = await record(stores, 4, "four", 1, 2, 3)
    await stores.responses.erase(TENANT, deleted)
    monkeypatch.setattr(store, "MOST_CHARACTERS", 1000)

    items = await Contexts(stores.responses, stores.conversation_log).read_by(TENANT, last)

    assert [item["content"][0]["text"] for item in items] == ["three", "to three", "four"]


async def test_a_shortened_chain_ends_where_a_response_was_deleted_too(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await record(stores, 1)
    await record(stores, 2, "x" * 2000, 1)
    last = await record(stores, 3, "three", 1, 2)
    await stores.responses.erase(TENANT, first)
    monkeypatch.setattr(store, "MOST_CHARACTERS", 1000)

    with pytest.raises(PreviousResponseNotFound, match=first):
        await stores.responses.chain(TENANT, last, shortened=True)


async def test_items_are_found_by_their_ids(stores: Stores) -> None:
    name = await record(stores, 1)
    found = await stores.responses.get(TENANT, name)
    wanted = [found.output[0]["id"], found.input_items[0]["id"]]

    unknown = ["msg_1", wanted[0] + "9", wanted[0].replace("o0", "o1")]

    items = await stores.responses.items(TENANT, [*wanted, *unknown])

    said, asked = message("assistant", "to hi"), message("user", "hi")
    assert items == {wanted[0]: {"id": wanted[0], **said}, wanted[1]: {"id": wanted[1], **asked}}


async def test_what_is_deleted_holds_nothing_any_more(stores: Stores) -> None:
    name = await record(stores, 1, "secret")

    await stores.responses.erase(TENANT, name)

    for call in (stores.responses.get, stores.responses.erase):
        with pytest.raises(NotFound):
            await call(TENANT, name)
    record_of = await stores.jobs.get(TENANT, str(ids.job_id(name)))
    assert "secret" not in repr(record_of)


async def test_another_tenant_finds_nothing(stores: Stores) -> None:
    name = await record(stores, 1)
    item = (await stores.responses.get(TENANT, name)).output[0]["id"]

    for call in (stores.responses.get, stores.responses.erase, stores.responses.with_ancestors):
        with pytest.raises(NotFound):
            await call(STRANGER, name)
    with pytest.raises(PreviousResponseNotFound):
        await stores.responses.chain(STRANGER, name)
    assert await stores.responses.items(STRANGER, [item]) == {}


async def test_it_goes_with_retention(stores: Stores, clock: FakeClock) -> None:
    name = await record(stores, 1)
    clock.advance(2 * DAY_MS / 1000)

    await stores.jobs.prune(DAY_MS)

    with pytest.raises(NotFound):
        await stores.responses.get(TENANT, name)
