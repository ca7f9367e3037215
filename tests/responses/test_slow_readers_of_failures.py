"""A stream that failed: each of its readers has the same end of it, however late."""

import json
from typing import Any

import pytest

from answerback.jobs.finish import End
from answerback.jobs.kind import JobState
from answerback.kernel.errors import ErrorCode, Failure
from answerback.responses import ids
from answerback.responses.answers.events import encoded
from answerback.responses.model import Asked
from answerback.responses.stored.rows import KIND, encode
from answerback.responses.stored.streams import StoredStreams
from builders import TENANT, accept, claim_job, finish
from stores import Stores

ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
PART = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
BEGUN: tuple[dict[str, Any], ...] = (
    {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
    {"type": "response.content_part.added", **AT, "part": PART},
    {"type": "response.output_text.delta", **AT, "delta": "Half of", "logprobs": []},
)
BROKE = Failure(ErrorCode.UPSTREAM_INVALID, "the upstream's stream broke off before the answer was whole")


@pytest.fixture
async def job_id(stores: Stores) -> str:
    """One with a key, that has said something, and has failed."""
    asked = encode(Asked({"stream": True}, ()))
    accepted = await accept(
        stores, session=None, kind=KIND, args=asked, callback_url=None, idempotency_key="k", request_hash="h"
    )
    claim = await claim_job(stores)
    data = b"".join(encoded(event, number, sealed=False) for number, event in enumerate(BEGUN, start=2))
    assert await stores.job_events.append(claim, 4, data)
    await finish(stores, claim, End(JobState.FAILED, failure=BROKE))
    return accepted.job_id


async def test_one_who_reads_on_after_the_first_has_freed_the_key(stores: Stores, job_id: str) -> None:
    streams = StoredStreams(stores.responses, stores.job_events, "m")
    found = await stores.responses.find(TENANT, ids.response_id(job_id))
    slow = streams.read(TENANT, found)
    begun = await anext(slow)
    seen = b"".join([data async for data in streams.read(TENANT, found)])

    await stores.responses.release_key(TENANT, job_id)

    assert begun + b"".join([data async for data in slow]) == seen
    last = json.loads(seen.split(b"data: ")[-2])
    assert (last["type"], last["sequence_number"]) == ("response.failed", 5)
    assert last["response"]["output"][0]["content"][0]["text"] == "Half of"
    assert last["response"]["error"]["message"] == BROKE.message


async def test_one_that_is_deleted_while_it_runs_was_cancelled_for_every_reader(stores: Stores) -> None:
    asked = encode(Asked({"stream": True, "background": True}, ()))
    accepted = await accept(stores, session=None, kind=KIND, args=asked, callback_url=None)
    await claim_job(stores)
    streams = StoredStreams(stores.responses, stores.job_events, "m")
    found = await stores.responses.find(TENANT, ids.response_id(accepted.job_id))
    before, behind = streams.read(TENANT, found), streams.read(TENANT, found)
    for reader in (before, behind):
        await anext(reader)

    await stores.jobs.cancel(TENANT, accepted.job_id)
    heard = [data async for data in before]
    await stores.responses.erase(TENANT, found.id)

    assert b'"code":"response_cancelled"' in heard[-1]
    assert [data async for data in behind] == heard
