"""A report whose commit went through and whose confirmation was lost: it is told as what it is, and only then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from answerback.jobs.model import JobState
from answerback.jobs.run import Executor
from answerback.kernel.errors import OutcomeUnknown
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.llm.model import Answer
from answerback.testing.clock import FakeClock
from answerback.webhooks.deliver import Deliverer
from answerback.webhooks.secrets import SigningSecrets
from answerback.webhooks.signer import Signer
from builders import (
    MEMORY,
    TENANT,
    Journal,
    Notifier,
    StubOrigins,
    StubProvider,
    StubSender,
    accept,
    answer,
    claim_job,
    nothing,
    owed_delivery,
    refusal,
    state_of,
)
from stores import Stores

REPORTS = ("finish", "requeue", "delivered", "send_later", "dead")


def unconfirmed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, instead: Callable[[], Awaitable[object]] | None = None
) -> None:
    """The store's next report is written, or something else happens `instead`, and its caller never hears."""
    lost = asyncio.Event()

    def losing(report: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        async def told(*arguments: Any, **named: Any) -> bool:
            if lost.is_set():
                return await report(*arguments, **named)
            lost.set()
            await (report(*arguments, **named) if instead is None else instead())
            raise OutcomeUnknown("connection was closed in the middle of operation")

        return told

    for name in REPORTS:
        monkeypatch.setattr(stores, name, losing(getattr(stores, name)))


async def run_job(stores: Stores, journal: Journal, notifier: Notifier, said: Answer | Exception) -> None:
    executor = Executor(stores, StubProvider(said), notifier, MEMORY, 120.0, journal, nothing)
    await executor.run(await claim_job(stores))


@pytest.mark.parametrize(
    ("said", "event", "state"),
    [
        (answer(), "answered", JobState.COMPLETED),
        (refusal(retryable=False), "failed", JobState.FAILED),
        (refusal(retryable=True), "retry", JobState.QUEUED),
    ],
)
async def test_a_jobs_result_is_told_as_kept(
    stores: Stores,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    said: Answer | Exception,
    event: str,
    state: JobState,
) -> None:
    job_id = (await accept(stores, session=None)).job_id
    unconfirmed(stores, monkeypatch)
    notifier = Notifier()

    await run_job(stores, journal, notifier, said)

    assert await state_of(stores, job_id) == state
    assert journal.events == [event]
    assert notifier.deliveries + notifier.jobs == 1


async def test_the_result_of_a_job_that_somebody_else_ended_is_discarded(
    stores: Stores, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = (await accept(stores)).job_id
    unconfirmed(stores, monkeypatch, instead=lambda: stores.jobs.cancel(TENANT, job_id))

    await run_job(stores, journal, Notifier(), answer())

    assert await state_of(stores, job_id) == JobState.CANCELLED
    assert journal.events == ["stale_result_discarded"]


@pytest.mark.parametrize(("status", "event"), [(200, "delivered"), (500, "delivery_retry"), (410, "delivery_dead")])
async def test_how_a_callback_went_is_told_as_kept(
    stores: Stores, clock: FakeClock, journal: Journal, monkeypatch: pytest.MonkeyPatch, status: int, event: str
) -> None:
    claim = await owed_delivery(stores)
    unconfirmed(stores, monkeypatch)
    deliverer = Deliverer(
        store=stores,
        sender=StubSender(status),
        origins=StubOrigins(),
        signer=Signer(SigningSecrets(stores, {}), clock),
        notifier=Notifier(),
        schedule=RetrySchedule((0.0, 5.0)),
        instruments=Instruments(journal, clock),
    )

    await deliverer.run(claim)

    assert journal.events == [event]
