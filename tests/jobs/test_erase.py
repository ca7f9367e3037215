"""Erasing a conversation leaves nothing of what its ended jobs were asked and answered."""

import pytest
from erasing import erase_conversation

from answerback.jobs.finish import End
from answerback.jobs.kind import JobState
from answerback.kernel.errors import Conflict, ErrorCode, Failure
from builders import (
    REPORT,
    TENANT,
    accept,
    claim_delivery,
    claim_job,
    completed,
    ended_job,
    failed,
    finish,
)
from databases import Database
from stores import Stores


def holds(dump: list[str], text: str) -> bool:
    """Bodies are dumped as hexadecimal."""
    return any(text in line or text.encode().hex().upper() in line.upper() for line in dump)


async def remembered(stores: Stores, key: str = "s") -> list[object]:
    return [item["text"] for entry in (await stores.conversations.show(TENANT, key)).entries for item in entry.items]


@pytest.mark.parametrize(
    "end",
    [completed("SECRET-ANSWER"), End(JobState.FAILED, failure=Failure(ErrorCode.UPSTREAM_ERROR, "not well"))],
    ids=["completed", "failed"],
)
async def test_an_erased_conversation_leaves_no_text_behind(stores: Stores, database: Database, end: End) -> None:
    for n in range(3):
        await ended_job(stores, f"SECRET-{n}", end=end)
        await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    assert holds(await database.dump(), "SECRET")

    await erase_conversation(stores)

    assert await remembered(stores) == []
    assert not holds(await database.dump(), "SECRET")


@pytest.mark.parametrize("change", ["kind = 'poem'", 'args = \'{"verse": "SECRET"}\''])
async def test_what_only_another_version_can_read_is_erased_too(
    stores: Stores, database: Database, change: str
) -> None:
    job_id = await ended_job(stores, "SECRET", end=completed("SECRET"))
    await stores.deliveries.delivered(await claim_delivery(stores), REPORT)
    await database.execute(f"UPDATE jobs SET {change} WHERE id = '{job_id}'")

    await erase_conversation(stores)

    assert not holds(await database.dump(), "SECRET")
    assert (await stores.jobs.get(TENANT, job_id)).state is JobState.COMPLETED


async def test_erasing_one_conversation_leaves_the_others(stores: Stores) -> None:
    await ended_job(stores, session="s")
    kept = await ended_job(stores, "kept", session="t")

    await erase_conversation(stores)

    assert await remembered(stores, "t") == ["kept"]
    record = await stores.jobs.get(TENANT, kept)
    assert record.ending is not None
    assert record.ending.result == {"text": "an answer"}


async def test_what_is_in_flight_at_an_erasure_is_answered_but_not_remembered(
    stores: Stores, database: Database
) -> None:
    await accept(stores, "running")
    await accept(stores, "held")
    claim = await claim_job(stores)

    await erase_conversation(stores)
    await finish(stores, claim)
    await finish(stores, await claim_job(stores))
    assert await remembered(stores) == []
    await ended_job(stores, "later")

    assert await remembered(stores) == ["later"]
    assert await database.rows("SELECT count(*) FROM deliveries") == [(3,)]


async def test_a_callback_that_is_still_owed_keeps_its_body(stores: Stores, database: Database) -> None:
    await ended_job(stores, "first", end=completed("OWED"))
    await ended_job(stores, "second", end=completed("HELD"))

    await erase_conversation(stores)

    assert b"OWED" in (claim := await claim_delivery(stores)).body
    assert await stores.deliveries.delivered(claim, REPORT)
    assert b"HELD" in (claim := await claim_delivery(stores)).body


async def test_an_erased_callback_cannot_be_resent(stores: Stores) -> None:
    await ended_job(stores, end=failed())
    claim = await claim_delivery(stores)
    await stores.deliveries.delivered(claim, REPORT)
    await erase_conversation(stores)

    with pytest.raises(Conflict):
        await stores.deliveries.resend(TENANT, claim.id)


async def test_erasing_twice_is_no_error(stores: Stores) -> None:
    await ended_job(stores)

    await erase_conversation(stores)
    await erase_conversation(stores)

    assert await remembered(stores) == []
