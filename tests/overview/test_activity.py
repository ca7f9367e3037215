"""How jobs end is counted as it commits, written in batches, and read by tenant and for all."""

import pytest

from answerback.jobs.finish import End
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.telemetry import ANSWERED, JobEnd
from answerback.kernel.usage import Usage
from answerback.overview.activity import ActivityWriter
from answerback.overview.model import ALL_TENANTS, MINUTE_MS, Count, Overview, Slot
from answerback.testing.clock import FakeClock
from builders import DAY_MS, REPORT, TENANT, Journal, accept, claim_deliveries, ended_job, failed
from stores import Stores

OTHER = "tenant-b"


@pytest.fixture
def writer(stores: Stores, journal: Journal) -> ActivityWriter:
    return ActivityWriter(stores.activity, stores.overview, journal)


def answered(prompt: int, completion: int) -> End:
    return End.completed({"text": "an answer"}, usage=Usage(prompt, completion, prompt + completion))


def endings(seen: Overview) -> list[tuple[int, int]]:
    return [(each.completed, each.failed) for each in seen.minutes]


async def test_ends_are_counted_by_minute_tenant_and_code(
    stores: Stores, clock: FakeClock, writer: ActivityWriter
) -> None:
    await ended_job(stores, end=answered(10, 5))
    clock.advance(120)
    await ended_job(stores, end=answered(1, 2))
    await ended_job(stores, end=failed())
    cancelled = await accept(stores)
    await stores.jobs.cancel(TENANT, cancelled.job_id)
    await accept(stores, tenant_id=OTHER)
    other = await accept(stores, tenant_id=OTHER, session=None)
    await stores.jobs.cancel(OTHER, other.job_id)

    await writer.write()

    seen = await stores.overview.overview(TENANT)
    assert len(seen.minutes) == 60
    assert endings(seen)[-3:] == [(1, 0), (0, 0), (1, 1)]
    assert set(endings(seen)[:-3]) == {(0, 0)}
    assert seen.minutes[-1].at == clock.now() // MINUTE_MS * MINUTE_MS
    assert (dict(seen.failures), dict(seen.failed_calls)) == ({"upstream_error": 1}, {"upstream_error": 0})
    assert seen.today == Count(prompt_tokens=11, completion_tokens=7)
    assert endings(await stores.overview.overview(OTHER))[-1] == (0, 0)
    assert endings(await stores.overview.overview(ALL_TENANTS)) == endings(seen)


async def test_an_answer_that_was_waited_for_counts_too(stores: Stores, writer: ActivityWriter) -> None:
    stores.activity.called(JobEnd(TENANT, ANSWERED, Usage(3, 4, 7)))
    stores.activity.called(JobEnd(TENANT, "upstream_timeout"))

    await writer.write()

    seen = await stores.overview.overview(TENANT)
    assert (endings(seen)[-1], seen.today) == ((1, 1), Count(prompt_tokens=3, completion_tokens=4))
    assert (dict(seen.failures), dict(seen.failed_calls)) == ({"upstream_timeout": 1}, {"upstream_timeout": 1})


async def test_several_processes_add_to_the_same_minute(
    stores: Stores, writer: ActivityWriter, journal: Journal
) -> None:
    for _ in range(3):
        await ended_job(stores, end=answered(1, 1))
        await writer.write()
    await writer.write()

    seen = await stores.overview.overview(TENANT)
    assert (endings(seen)[-1], seen.today) == ((3, 0), Count(prompt_tokens=3, completion_tokens=3))


async def test_the_end_of_the_writer_writes_what_is_left(stores: Stores, writer: ActivityWriter) -> None:
    writer.start()
    await ended_job(stores)

    await writer.close()

    assert endings(await stores.overview.overview(TENANT))[-1] == (1, 0)


async def test_what_cannot_be_written_now_is_written_later(
    stores: Stores, writer: ActivityWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> None:
        raise StorageUnavailable("it is away")

    await ended_job(stores)
    with monkeypatch.context() as outage:
        outage.setattr(type(stores.overview), "add", lambda self, counts: away(counts))
        await writer.write()
    await ended_job(stores)

    await writer.write()

    assert endings(await stores.overview.overview(TENANT))[-1] == (2, 0)


async def test_failures_of_a_day_are_shown_the_most_frequent_first_and_pruned_later(
    stores: Stores, clock: FakeClock
) -> None:
    minute = clock.now() // MINUTE_MS
    counts = {
        Slot(TENANT, minute - 2_000, "internal"): Count(9),
        Slot(TENANT, minute - 1_000, "expired"): Count(1),
        Slot(TENANT, minute - 1_001, "poisoned"): Count(2),
        Slot(TENANT, minute, "poisoned"): Count(1),
    }
    await stores.overview.add(counts)

    assert list((await stores.overview.overview(TENANT)).failures.items()) == [("poisoned", 3), ("expired", 1)]
    assert await stores.overview.prune(DAY_MS) == 1
    assert await stores.overview.prune(999 * MINUTE_MS) == 2
    assert dict((await stores.overview.overview(TENANT)).failures) == {"poisoned": 1}


async def test_tokens_are_those_since_midnight_and_not_of_the_day_before(stores: Stores, clock: FakeClock) -> None:
    midnight = clock.now() // DAY_MS * DAY_MS // MINUTE_MS
    await stores.overview.add(
        {
            Slot(TENANT, midnight - 1, "completed"): Count(1, 100, 100),
            Slot(TENANT, midnight, "completed"): Count(1, 3, 4),
        }
    )

    assert (await stores.overview.overview(TENANT)).today == Count(prompt_tokens=3, completion_tokens=4)


async def test_what_waits_is_that_of_the_tenant(stores: Stores, clock: FakeClock) -> None:
    await accept(stores, "one")
    await accept(stores, "two")
    clock.advance(7)
    await accept(stores, "theirs", tenant_id=OTHER)
    await accept(stores, "theirs, of another kind", None, tenant_id=OTHER, kind="retired")

    ours, theirs = [(await stores.overview.overview(each)).depth for each in (TENANT, OTHER)]
    everyone = (await stores.overview.overview(ALL_TENANTS)).depth

    assert {state: count for state, count in ours.jobs.items() if count} == {"queued": 1, "held": 1}
    assert {state: count for state, count in theirs.jobs.items() if count} == {"queued": 2}
    assert {state: count for state, count in everyone.jobs.items() if count} == {"queued": 3, "held": 1}
    assert (ours.oldest_job_seconds, theirs.oldest_job_seconds, everyone.oldest_job_seconds) == (7.0, 0.0, 7.0)


async def test_callbacks_are_counted_by_state(stores: Stores) -> None:
    for text in ("one", "two", "three"):
        await ended_job(stores, text)
    for text in ("four", "five"):
        await ended_job(stores, text, session=None)
    ordered = next(claim for claim in await claim_deliveries(stores) if claim.conversation_id is not None)
    await stores.deliveries.dead(ordered, REPORT)

    ours = (await stores.overview.overview(TENANT)).depth.deliveries

    assert dict(ours) == {"pending": 1, "sending": 2, "held": 1, "dead": 1}
    assert dict((await stores.overview.overview(ALL_TENANTS)).depth.deliveries) == dict(ours)
    assert set((await stores.overview.overview(OTHER)).depth.deliveries.values()) == {0}
