"""The kind `review`: how its arguments are stored, what its callback says, and how its jobs are shown."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_desk import CALL_SECONDS, REVIEW, by_chat

from answerback.jobs.kind import Claimed, Ending, Job, JobState, Unreadable
from answerback.jobs.outcome import Completed
from answerback.kernel.errors import ErrorCode, Failure
from answerback.llm.model import Answer
from answerback.reviews.kind import ReviewKind
from answerback.reviews.model import FileRef, Review
from builders import TENANT, URL, StubProvider

NOW = 1_750_000_000_000
VERDICT = {"score": 0.5, "feedback": "größer"}
DONE = {"result": VERDICT, "model": "m", "usage": None}
FAILED = Failure(ErrorCode.REVIEW_FAILED, "unreadable scan")

files = st.builds(FileRef, st.text(), st.none() | st.lists(st.integers(1, 1_000_000), min_size=1).map(tuple))
metadata = st.none() | st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=3)
reviews = st.builds(Review, st.text(), st.lists(files, max_size=3).map(tuple), st.none() | st.text(), metadata)


def kind_of(provider: StubProvider | None = None) -> ReviewKind:
    return ReviewKind(by_chat(provider or StubProvider()), CALL_SECONDS)


def job(args: Review | None) -> Job[Any]:
    return Job("job_x", TENANT, "review", args, None, None, URL, NOW)


def ended(state: JobState, failure: Failure | None = None) -> Ending:
    return Ending(state, NOW, DONE if failure is None else None, failure)


@given(reviews)
def test_arguments_survive_being_stored(args: Review) -> None:
    kind = kind_of()

    assert kind.decode(kind.encode(args)) == args


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"submission_id": "e", "file_refs": [{"uri": "u"}], "student_id": null, "metadata": null}',
        '{"submission_id": "e", "file_refs": [], "student_id": null, "metadata": null, "voice": "alto"}',
    ],
)
def test_arguments_of_another_version_are_left_to_it(stored: str) -> None:
    with pytest.raises(Unreadable):
        kind_of().decode(stored)


@pytest.mark.parametrize(("seconds_left", "timeout"), [(86_400, CALL_SECONDS), (30, 30.0), (-5, 0.001)])
async def test_a_call_ends_with_the_jobs_deadline_where_that_comes_first(seconds_left: int, timeout: float) -> None:
    provider = StubProvider(Answer(json.dumps(VERDICT), "m", None, "stop"))
    claim = Claimed(job(REVIEW), 1, 1, NOW, NOW, NOW, NOW + seconds_left * 1000)

    assert isinstance(await kind_of(provider).run(claim), Completed)

    assert [request.timeout for request in provider.requests] == [timeout]


def test_a_callback_carries_the_review_under_the_callers_own_name_for_it() -> None:
    effects = kind_of().effects(job(REVIEW), ended(JobState.COMPLETED))

    (event,) = effects.events
    assert (event.type, effects.items) == ("review.completed", ())
    assert event.data == {"job_id": "job_x", "submission_id": "essay-1", "ok": True, "result": VERDICT}


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
@pytest.mark.parametrize(("args", "submission"), [(REVIEW, "essay-1"), (None, "")], ids=["read", "unreadable"])
def test_a_callback_without_a_review_says_why(state: JobState, args: Review | None, submission: str) -> None:
    (event,) = kind_of().effects(job(args), ended(state, FAILED)).events

    result = {"error": "unreadable scan"}
    assert event.type == f"review.{state}"
    assert event.data == {"job_id": "job_x", "submission_id": submission, "ok": False, "result": result}


@given(reviews)
def test_nothing_of_a_review_is_left_once_it_is_redacted(args: Review) -> None:
    kind = kind_of()

    redacted = kind.redact(args)

    assert redacted == Review("", ()) == kind.redact(redacted) == kind.decode(kind.encode(redacted))


@pytest.mark.parametrize(
    ("ending", "ok", "model", "result"),
    [
        (None, None, None, None),
        (ended(JobState.COMPLETED), True, "m", VERDICT),
        (ended(JobState.FAILED, FAILED), False, None, {"error": "unreadable scan"}),
    ],
    ids=["open", "completed", "failed"],
)
def test_a_job_is_described_by_what_was_handed_in_and_what_came_of_it(
    ending: Ending | None, ok: bool | None, model: str | None, result: Any
) -> None:
    description = kind_of().describe(job(REVIEW), ending)

    assert description.summary == {
        "submission_id": "essay-1",
        "student_id": "Erika",
        "ok": ok,
        "model": model,
        "usage": None,
    }
    files = [{"url": "http://f/1", "pages": None}, {"url": "http://f/2", "pages": [2]}]
    assert description.details == {"metadata": {"task": "water"}, "file_refs": files, "result": result}
