"""The error of a stored response: there once it has failed, and not before."""

import pytest

from answerback.jobs.kind import JobState
from answerback.kernel.errors import AnyFailure
from answerback.responses.model import Asked
from answerback.responses.stored.rows import StoredResponse

LIMITED = AnyFailure("upstream_rate_limited", "slow down")


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        (JobState.SCHEDULED, "queued", None),
        (JobState.RUNNING, "in_progress", None),
        (JobState.CANCELLED, "cancelled", None),
        (JobState.FAILED, "failed", "rate_limit_exceeded"),
        (JobState.EXPIRED, "failed", "rate_limit_exceeded"),
    ],
)
def test_a_failure_that_is_followed_by_another_try_is_no_error(state: JobState, status: str, code: str | None) -> None:
    response = StoredResponse("resp_1", Asked({}, ()), 0, state, None, LIMITED, None)

    at = response.progress("m")

    assert at.status == status
    assert (None if at.error is None else at.error["code"]) == code


@pytest.mark.parametrize(
    ("upstream_code", "param"),
    [("context_length_exceeded", "input"), ("model_not_found", "model"), ("other", "messages")],
)
def test_a_failure_names_the_parameter_of_a_response(upstream_code: str, param: str) -> None:
    refused = AnyFailure("upstream_refused", "too long", "messages", upstream_code=upstream_code)

    at = StoredResponse("resp_1", Asked({}, ()), 0, JobState.FAILED, None, refused, None).progress("m")

    assert at.error is not None
    assert at.error["param"] == param
