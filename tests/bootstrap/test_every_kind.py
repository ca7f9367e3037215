"""What every kind of job keeps to, whatever it does: the suite runs over all that the service registers."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from answerback.bootstrap.engine import callback_schedules
from answerback.bootstrap.kinds import make_kinds
from answerback.conversations.windows import DatabaseWindows
from answerback.jobs.kind import ENDED, AnyKind, Ending, Job, JobState, Queue, Registry, Unreadable, event_types
from answerback.kernel.errors import ErrorCode, Failure
from answerback.kernel.instruments import Instruments
from answerback.kernel.retry import RetrySchedule
from answerback.relay.model import Message
from answerback.reviews.model import FileRef, Review
from answerback.settings import Settings
from answerback.testing.clock import FakeClock
from builders import TENANT, URL, Journal, StubProvider
from databases import SqliteDatabase
from toy import EchoKind

NOW = 1_750_000_000_000
ARGS: dict[str, Any] = {
    "message": Message("größe?", session_id="s", metadata={"k": [None, 1.5]}, params={"seed": 7}),
    "review": Review("essay-1", (FileRef("http://f/1", (2,)),), "Erika", {"task": "water"}),
}
RESULTS: dict[str, Any] = {
    "message": {"text": "so", "model": "m", "usage": None, "finish_reason": "stop"},
    "review": {"result": {"score": 1.0, "feedback": "fine"}, "model": "m", "usage": None},
}
"""One of each kind. A new kind is added here, and then keeps to all of this."""


class Guard:
    async def check(self, url: str) -> None:
        return


@pytest.fixture
async def registry(path: Any, clock: FakeClock) -> AsyncIterator[Registry]:
    stores = await SqliteDatabase(path).open(clock)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    windows, instruments = DatabaseWindows(stores.conversations), Instruments(Journal(), clock)
    async with AsyncExitStack() as lifetimes:
        kinds = make_kinds(settings, StubProvider(), Guard(), stores, windows, instruments, lifetimes)  # type: ignore[arg-type]
        yield kinds.registry
    await stores.close()


@pytest.fixture(params=sorted(ARGS))
def kind(request: pytest.FixtureRequest, registry: Registry) -> AnyKind:
    found = registry.find(request.param)
    assert found is not None
    return found


def job(kind: AnyKind, args: Any) -> Job[Any]:
    return Job("job_x", TENANT, kind.name, args, 7, 4, URL, NOW)


def ending(kind: AnyKind, state: JobState) -> Ending:
    if state is JobState.COMPLETED:
        return Ending(state, NOW, RESULTS[kind.name])
    return Ending(state, NOW, failure=Failure(ErrorCode.EXPIRED, "too late"))


def test_every_kind_is_here(registry: Registry) -> None:
    assert {kind.name for kind in registry} == ARGS.keys() == RESULTS.keys()


def test_it_names_a_queue_and_tries_more_than_once(kind: AnyKind) -> None:
    assert kind.queue in Queue
    assert len(kind.retries.waits) > 1


def test_its_arguments_survive_being_stored(kind: AnyKind) -> None:
    stored = kind.encode(ARGS[kind.name])

    assert kind.decode(stored) == ARGS[kind.name]
    assert isinstance(json.loads(stored), dict)


@pytest.mark.parametrize("stored", ["", "null", "[]", '{"of a later": "version"}'])
def test_arguments_of_another_version_are_left_to_it(kind: AnyKind, stored: str) -> None:
    with pytest.raises(Unreadable):
        kind.decode(stored)


@pytest.mark.parametrize("state", sorted(ENDED))
@pytest.mark.parametrize("read", [True, False], ids=["read", "unreadable"])
def test_every_end_notifies_one_event_in_json_that_endpoints_can_subscribe_to(
    kind: AnyKind, state: JobState, *, read: bool
) -> None:
    ended = job(kind, ARGS[kind.name] if read else None)

    effects = kind.effects(ended, ending(kind, state))

    (event,) = effects.events
    assert event.type == f"{kind.name}.{state}"
    assert event.type in event_types(kind)
    assert event.data["job_id"] == "job_x"
    json.dumps([event.data, effects.items], allow_nan=False)
    assert effects == kind.effects(ended, ending(kind, state))
    assert state is JobState.COMPLETED or effects.items == ()


def test_nothing_of_its_arguments_is_left_once_they_are_redacted(kind: AnyKind) -> None:
    redacted = kind.redact(ARGS[kind.name])

    assert redacted == kind.redact(redacted) == kind.decode(kind.encode(redacted))
    assert not {"größe?", "Erika", "water", "seed"} & set(kind.encode(redacted).replace('"', " ").split())


@pytest.mark.parametrize("state", [None, *sorted(ENDED)])
def test_its_jobs_are_shown_with_the_same_fields_in_every_state(kind: AnyKind, state: JobState | None) -> None:
    known = job(kind, ARGS[kind.name])

    shown = kind.describe(known, None if state is None else ending(kind, state))

    opened = kind.describe(known, None)
    assert (shown.summary.keys(), shown.details.keys()) == (opened.summary.keys(), opened.details.keys())
    assert not shown.summary.keys() & shown.details.keys()
    json.dumps([shown.summary, shown.details], allow_nan=False)


def test_a_kind_with_a_schedule_of_its_own_has_it_for_each_of_its_events() -> None:
    own, plain = EchoKind(), EchoKind()
    own.callback_retries, plain.name = RetrySchedule((0.0, 2.0)), "plain"

    schedules = callback_schedules(Registry([own, plain]))

    assert schedules == {f"echo.{state}": own.callback_retries for state in ENDED}


def test_reviews_are_called_back_by_their_own_schedule(registry: Registry) -> None:
    schedules = callback_schedules(registry)

    assert schedules.keys() == {f"review.{state}" for state in ENDED}
    assert set(schedules.values()) == {Settings(_env_file=None).review_callback_schedule}  # type: ignore[call-arg]
