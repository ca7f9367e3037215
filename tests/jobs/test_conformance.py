"""What every kind of job must keep, whichever it is: the suite runs over all that the service registers."""

import copy
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerback.bootstrap.kinds import make_kinds
from answerback.jobs.kind import AnyKind, Ending, Job, JobState, Queue, Unreadable
from answerback.kernel.errors import ErrorCode, Failure
from answerback.kernel.instruments import Instruments
from answerback.relay.kind import MessageKind
from answerback.relay.model import Message, ToolOutput
from answerback.responses.kind import ResponseKind
from answerback.responses.model import Asked
from answerback.reviews.kind import ReviewKind
from answerback.reviews.model import FileRef, Review
from answerback.settings import Settings
from builders import Journal, StubProvider
from toy import EchoKind, Note

AT = 1_750_000_000_000
SECRET = "SECRET"
ITEMS = {"message", "function_call", "function_call_output", "reasoning"}


@dataclass(frozen=True)
class Sample:
    """A kind; arguments of every shape that it takes; some in which every text is secret; results that it may have; and
    how its events name an ending, where they do not name its state."""

    kind: AnyKind
    arguments: st.SearchStrategy[Any]
    secret: tuple[Any, ...]
    results: tuple[Any, ...]
    named: Callable[[Ending], str] = lambda ending: ending.state


def of_openai(ending: Ending) -> str:
    """OpenAI's events know no expired response, and incomplete ones."""
    return {JobState.EXPIRED: "failed"}.get(ending.state, (ending.result or {}).get("status", ending.state))


class NoReviewer:
    retries = EchoKind.retries


anything: Any = None
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(st.text(), json_values, max_size=3)
texts = st.none() | st.text()
usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
answered = {"model": "m", "usage": usage, "finish_reason": "stop", "text": "yes"}

SAMPLES = [
    Sample(
        EchoKind(),
        st.builds(Note, st.text()),
        secret=(Note(SECRET),),
        results=({"text": "yes"},),
    ),
    Sample(
        MessageKind(StubProvider(), anything, anything, anything, 60.0),
        st.builds(
            Message,
            message=st.text() | st.lists(objects, max_size=2),
            session_id=texts,
            stateless=st.booleans(),
            model=texts,
            system=texts,
            temperature=st.none() | st.floats(0, 2),
            max_tokens=st.none() | st.integers(1, 10_000_000),
            params=st.none() | objects,
            metadata=st.none() | objects,
        )
        | st.builds(Message, tool_outputs=st.lists(st.builds(ToolOutput, st.text(), st.text()), min_size=1).map(tuple)),
        secret=(
            Message(SECRET, (), SECRET, model=SECRET, system=SECRET, params={SECRET: 1}, metadata={SECRET: [SECRET]}),
            Message([{"type": "text", "text": SECRET}]),
            Message(tool_outputs=(ToolOutput(SECRET, SECRET),)),
        ),
        results=(
            answered,
            answered | {"usage": None, "finish_reason": None},
            answered | {"text": None, "finish_reason": "tool_calls", "tool_calls": [call]},
        ),
    ),
    Sample(
        ReviewKind(NoReviewer(), 60.0),  # type: ignore[arg-type]
        st.builds(
            Review,
            submission_id=st.text(),
            file_refs=st.lists(
                st.builds(FileRef, st.text(), st.none() | st.lists(st.integers(1, 10_000), max_size=3).map(tuple)),
                max_size=3,
            ).map(tuple),
            student_id=texts,
            metadata=st.none() | objects,
        ),
        secret=(Review(SECRET, (FileRef(SECRET, (1,)),), SECRET, {SECRET: SECRET}),),
        results=(
            {"model": "m", "usage": usage, "result": {"score": 0.5, "feedback": "fine"}},
            {"model": "push", "usage": None, "result": {}},
        ),
    ),
    Sample(
        ResponseKind(StubProvider(), anything, anything, 60.0, anything, anything),
        st.builds(
            Asked,
            objects,
            st.lists(st.builds(lambda item, kind: item | {"type": kind}, objects, st.text()), max_size=3).map(tuple),
            st.lists(st.text(), max_size=3).map(tuple),
        ),
        secret=(
            Asked(
                {"background": True, "model": SECRET, SECRET: SECRET},
                ({"type": "message", "content": SECRET},),
                (SECRET,),
            ),
        ),
        results=(
            {"status": "completed", "reason": None, "model": "m", "usage": None, "output": []},
            {"status": "incomplete", "reason": "max_output_tokens", "model": "m", "usage": usage, "output": [{}]},
        ),
        named=of_openai,
    ),
]
FAILED = Failure(ErrorCode.UPSTREAM_ERROR, "the LLM is not well")

every_kind = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind.name)
profile = settings(deadline=None, max_examples=50)


def job(sample: Sample, args: Any, place: int | None = 3) -> Job[Any]:
    conversation = None if place is None else 7
    return Job("job_1", "tenant", sample.kind.name, args, conversation, place, "https://receiver.example", AT)


def endings(sample: Sample) -> list[Ending]:
    unsuccessful = [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED]
    return [Ending(JobState.COMPLETED, AT, result) for result in sample.results] + [
        Ending(state, AT, failure=FAILED) for state in unsuccessful
    ]


async def test_every_registered_kind_has_a_sample(tmp_path: Path) -> None:
    configured = Settings(_env_file=None, db_path=tmp_path / "answerback.db")
    async with AsyncExitStack() as lifetimes:
        names = ("conversations", "service_secrets", "responses", "conversation_log", "job_events")
        stores: Any = type("Stores", (), dict.fromkeys(names))
        guard: Any = type("Guard", (), {"check": None})
        kinds = make_kinds(
            configured, StubProvider(), guard, stores, anything, anything, Instruments(Journal()), lifetimes
        )

    assert {kind.name for kind in kinds.registry} == {sample.kind.name for sample in SAMPLES} - {EchoKind.name}
    assert all(len(kind.retries.waits) > 1 for kind in kinds.registry)


@every_kind
def test_its_queue_is_one_that_workers_claim_from(sample: Sample) -> None:
    assert sample.kind.queue in Queue
    assert sample.kind.name.isidentifier()


@every_kind
@profile
@given(data=st.data())
def test_arguments_survive_being_stored(sample: Sample, data: st.DataObject) -> None:
    args = data.draw(sample.arguments)

    stored = sample.kind.encode(args)

    assert isinstance(json.loads(stored), dict)
    assert sample.kind.decode(stored) == args


@every_kind
@pytest.mark.parametrize(
    "stored",
    ["", " ", "{", "{}", "7", "true", "null", "[]", '"text"', "NaN", "[" * 10_000, '{"voice": "alto"}', '{"text": 5}'],
)
def test_arguments_of_another_version_are_unreadable(sample: Sample, stored: str) -> None:
    with pytest.raises(Unreadable):
        sample.kind.decode(stored)


@every_kind
def test_a_field_of_another_type_is_unreadable(sample: Sample) -> None:
    for args in sample.secret:
        stored = json.loads(sample.kind.encode(args))
        for name in stored:
            with pytest.raises(Unreadable):
                sample.kind.decode(json.dumps(stored | {name: 7.5}))


@every_kind
@profile
@given(stored=st.text() | json_values.map(json.dumps))
def test_whatever_is_stored_is_read_or_unreadable(sample: Sample, stored: str) -> None:
    try:
        args = sample.kind.decode(stored)
    except Unreadable:
        return

    assert sample.kind.decode(sample.kind.encode(args)) == args


@every_kind
@profile
@given(data=st.data())
def test_redacting_twice_is_redacting_once(sample: Sample, data: st.DataObject) -> None:
    kind = sample.kind

    redacted = kind.redact(data.draw(sample.arguments))

    assert redacted == kind.redact(redacted) == kind.decode(kind.encode(redacted))


@every_kind
def test_redacting_leaves_no_text_of_the_user(sample: Sample) -> None:
    for args in sample.secret:
        before = copy.deepcopy(args)
        assert SECRET in sample.kind.encode(args)

        redacted = sample.kind.redact(args)

        assert args == before
        assert SECRET not in sample.kind.encode(redacted)
        assert SECRET not in repr(sample.kind.describe(job(sample, redacted), None))


@every_kind
@profile
@given(data=st.data())
def test_effects_are_pure(sample: Sample, data: st.DataObject) -> None:
    given_job = job(sample, data.draw(sample.arguments), data.draw(st.none() | st.integers(1, 9)))
    for ending in endings(sample):
        before = copy.deepcopy((given_job, ending))

        effects = sample.kind.effects(given_job, ending)

        assert (given_job, ending) == before
        assert sample.kind.effects(copy.deepcopy(given_job), copy.deepcopy(ending)) == effects


@every_kind
@pytest.mark.parametrize("place", [3, None])
def test_every_ending_is_notified_once_under_its_name(sample: Sample, place: int | None) -> None:
    for args in (*sample.secret, None):
        for ending in endings(sample):
            effects = sample.kind.effects(job(sample, args, place), ending)

            (event,) = effects.events
            assert event.type == f"{sample.kind.name}.{sample.named(ending)}"
            assert event.data["job_id"] == "job_1"
            json.dumps([event.data, effects.items], allow_nan=False)


@every_kind
def test_only_an_answer_to_what_can_be_read_is_remembered(sample: Sample) -> None:
    for args in (*sample.secret, None):
        for ending in endings(sample):
            items = sample.kind.effects(job(sample, args), ending).items

            assert {item["type"] for item in items} <= ITEMS
            assert not items or (args is not None and ending.state is JobState.COMPLETED)


@every_kind
@profile
@given(data=st.data())
def test_it_is_described_by_the_same_fields_open_and_ended(sample: Sample, data: st.DataObject) -> None:
    given_job = job(sample, data.draw(sample.arguments))
    # Of a long result a list reads the beginning.
    cut = Ending(JobState.COMPLETED, AT, {})

    described = [sample.kind.describe(given_job, ending) for ending in (None, cut, *endings(sample))]

    assert len({frozenset(each.summary) for each in described}) == 1
    for each in described:
        json.dumps([each.summary, each.details], allow_nan=False)
        assert not each.summary.keys() & each.details.keys()
        assert described[0].details.keys() <= each.details.keys()
