"""What follows from each way in which a provider can fail."""

import pytest

from answerback.jobs.outcome import Failed, Retry, Snooze
from answerback.jobs.retry_policy import BILLED, BILLED_ATTEMPTS, after_provider_error
from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.retry import JOB_SCHEDULE
from builders import FAILURE, refusal


def middle() -> float:
    """No jitter for planned waits."""
    return 0.5


@pytest.mark.parametrize("attempt", [1, 2, 11])
def test_a_failure_that_may_pass_is_tried_again_as_planned(attempt: int) -> None:
    outcome = after_provider_error(refusal(retryable=True), attempt, JOB_SCHEDULE, middle)

    assert outcome == Retry(JOB_SCHEDULE.waits[attempt], FAILURE, counted=True)


def test_a_failure_that_may_pass_is_final_at_the_last_attempt() -> None:
    assert after_provider_error(refusal(retryable=True), 12, JOB_SCHEDULE, middle) == Failed(FAILURE)


def test_a_final_failure_is_final_at_once() -> None:
    assert after_provider_error(refusal(retryable=False), 1, JOB_SCHEDULE, middle) == Failed(FAILURE)
    assert after_provider_error(refusal(retryable=False, retry_after=5), 1, JOB_SCHEDULE, middle) == Failed(FAILURE)


@pytest.mark.parametrize("attempt", [1, 12, 1000])
def test_a_rate_limit_that_names_its_end_costs_no_attempt(attempt: int) -> None:
    limited = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "wait", retryable=True, retry_after=600)
    outcome = after_provider_error(limited, attempt, JOB_SCHEDULE, middle)

    assert isinstance(outcome, Retry)
    assert not outcome.counted
    assert 600 <= outcome.delay <= 720


def test_another_failure_that_names_a_time_waits_for_it_and_counts() -> None:
    outcome = after_provider_error(refusal(retryable=True, retry_after=600), 1, JOB_SCHEDULE, middle)

    assert isinstance(outcome, Retry)
    assert outcome.counted
    assert 600 <= outcome.delay <= 720


@pytest.mark.parametrize("code", sorted(BILLED))
def test_a_failure_that_may_cost_money_is_tried_five_times(code: ErrorCode) -> None:
    charged = ProviderError(code, "charged", retryable=True)

    assert BILLED_ATTEMPTS == 5
    assert isinstance(after_provider_error(charged, 4, JOB_SCHEDULE, middle), Retry)
    assert after_provider_error(charged, 5, JOB_SCHEDULE, middle) == Failed(charged.failure)


def test_a_call_that_found_no_slot_waits_exactly_as_long_as_asked_and_was_no_attempt() -> None:
    error = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "wait", retryable=True, retry_after=0.25, asked=False)

    outcome = after_provider_error(error, 12, JOB_SCHEDULE, middle)

    assert outcome == Snooze(0.25, error.failure)
