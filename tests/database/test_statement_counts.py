"""How many statements each step costs, and how many rows it writes. A step that sends more fails."""

from collections.abc import AsyncIterator

import pytest

from answerback.database.probe import ERASE, WRITE, probe
from answerback.http.idempotency_store import ClaimedRecord, IdempotentRequest, StoredResponse
from answerback.queue.leases import Offer
from answerback.testing.clock import FakeClock
from builders import LEASE, REPORT, ROOMY, TENANT, accept, claim_delivery, claim_job, completed, finish, later, new_job
from databases import Database, PostgresDatabase
from statements import Cost, Recorder, name_of
from stores import Commits, Stores, make_stores

Costs = dict[str, tuple[int, int]]
"""Statements and rows written, by step."""

MESSAGE: Costs = {
    "accept": (2, 2),
    "claim": (3, 1),
    "read its window": (1, 0),
    "finish": (5, 5),
    "claim the delivery": (3, 1),
    "report": (1, 1),
}
# These lock the conversation first.
MESSAGE_ON_POSTGRES: Costs = {"finish": (6, 5), "report": (2, 1)}
HANDED_OVER: Costs = {
    "accept": (1, 1),
    "claim": (3, 1),
    "put off": (1, 1),
    "hand over": (1, 1),
    "resolve": (3, 2),
    "claim the delivery": (3, 1),
    "report": (1, 1),
}
BORN_CLAIMED: Costs = {"accept": (2, 2), "finish": (5, 5), "report": (1, 1)}
WAITED_FOR: Costs = {
    "claim its idempotency key": (1, 1),
    "store the response": (1, 1),
    "keep the question": (2, 1),
}
WAITED_FOR_ON_POSTGRES: Costs = {"keep the question": (3, 1)}


@pytest.fixture
async def unrecorded(database: Database, clock: FakeClock) -> AsyncIterator[Stores]:
    opened = await database.open(clock)
    yield opened
    await opened.close()


@pytest.fixture
def recorder(database: Database, unrecorded: Stores) -> Recorder:
    return Recorder(unrecorded.database, locks=isinstance(database, PostgresDatabase))


@pytest.fixture
async def stores(recorder: Recorder, unrecorded: Stores) -> Stores:
    return await make_stores(recorder.database, Commits(unrecorded.backlog))


def expect(costs: dict[str, Cost], expected: Costs) -> None:
    for step, numbers in expected.items():
        assert (len(costs[step].statements), costs[step].rows_written) == numbers, f"{step}: {costs[step]}"


async def test_each_step_of_a_message_costs_what_it_did(database: Database, recorder: Recorder, stores: Stores) -> None:
    costs: dict[str, Cost] = {}

    with recorder.step() as costs["accept"]:
        await accept(stores)
    await accept(stores, "held until the first is answered")
    with recorder.step() as costs["claim"]:
        claim = await claim_job(stores)
    assert claim.job.conversation_id is not None
    with recorder.step() as costs["read its window"]:
        await stores.conversations.entries(claim.tenant_id, claim.job.conversation_id, 1)
    with recorder.step() as costs["finish"]:
        assert await finish(stores, claim)
    with recorder.step() as costs["claim the delivery"]:
        delivery = await claim_delivery(stores)
    with recorder.step() as costs["report"]:
        assert await stores.deliveries.delivered(delivery, REPORT)

    expect(costs, MESSAGE | (MESSAGE_ON_POSTGRES if isinstance(database, PostgresDatabase) else {}))


async def test_each_step_of_a_message_costs_as_much_where_it_is_born_claimed_and_needs_no_claims(
    database: Database, recorder: Recorder, stores: Stores
) -> None:
    costs: dict[str, Cost] = {}
    offer = Offer("birth/1", LEASE)

    with recorder.step() as costs["accept"]:
        claim = (await stores.jobs.accept(new_job(), ROOMY, offer)).claim
    await accept(stores, "held until the first is answered")
    assert claim is not None
    with recorder.step() as costs["finish"]:
        finished = await stores.jobs.finish(claim, completed(), REPORT, offer)
    assert finished is not None
    assert finished.claim is not None
    with recorder.step() as costs["report"]:
        assert await stores.deliveries.delivered(finished.claim, REPORT)

    expect(costs, BORN_CLAIMED | (MESSAGE_ON_POSTGRES if isinstance(database, PostgresDatabase) else {}))


async def test_each_step_of_a_job_that_another_llm_answers_costs_what_it_did(
    recorder: Recorder, stores: Stores
) -> None:
    costs: dict[str, Cost] = {}

    with recorder.step() as costs["accept"]:
        job_id = (await accept(stores, session=None)).job_id
    with recorder.step() as costs["claim"]:
        claim = await claim_job(stores)
    with recorder.step() as costs["put off"]:
        assert await stores.jobs.put_off(claim, later(0.0), REPORT)
    claim = await claim_job(stores)
    with recorder.step() as costs["hand over"]:
        assert await stores.jobs.hand_over(claim, 60.0, REPORT)
    with recorder.step() as costs["resolve"]:
        assert (await stores.jobs.resolve(job_id, "echo", completed())).ended
    with recorder.step() as costs["claim the delivery"]:
        delivery = await claim_delivery(stores)
    with recorder.step() as costs["report"]:
        assert await stores.deliveries.delivered(delivery, REPORT)

    expect(costs, HANDED_OVER)


async def test_each_step_of_an_answer_that_its_caller_waits_for_costs_what_it_did(
    database: Database, recorder: Recorder, stores: Stores
) -> None:
    costs: dict[str, Cost] = {}

    with recorder.step() as costs["claim its idempotency key"]:
        claimed = await stores.idempotency.claim_request(IdempotentRequest(TENANT, "/api/ask", "key", "hash"), 60.0)
    assert isinstance(claimed, ClaimedRecord)
    with recorder.step() as costs["keep the question"]:
        await stores.questions.keep_question(TENANT, "what?", "that", "stop")
    with recorder.step() as costs["store the response"]:
        assert await stores.idempotency.store_response(claimed, StoredResponse(200, {}, b"{}"))

    expect(costs, WAITED_FOR | (WAITED_FOR_ON_POSTGRES if isinstance(database, PostgresDatabase) else {}))


async def test_the_recorder_names_statements_and_counts_written_rows(recorder: Recorder, stores: Stores) -> None:
    recorded = recorder.database

    with recorder.step() as probed:
        await recorded.write.run(probe)
    with recorder.step() as read:
        await stores.questions.list_questions(TENANT, 1)
    await recorded.write.run(probe)

    assert (probed.statements, probed.rows_written) == ([name_of(WRITE), name_of(ERASE)], 2)
    assert (len(read.statements), read.rows_written) == (1, 0)
