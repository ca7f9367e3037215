"""What follows from each way an attempt can end."""

import pytest

from answerback.jobs.outcome import (
    BILLED,
    AskLater,
    Dead,
    Delivered,
    DeliveryOutcome,
    Failed,
    SendLater,
    after_provider_error,
    after_send,
    poisoned,
)
from answerback.kernel.errors import ErrorCode, ProviderError, SendError
from answerback.kernel.retry import DAY, JOB_SCHEDULE, RetrySchedule
from answerback.webhooks.model import CallbackResponse
from builders import FAILURE, refusal

SCHEDULE = RetrySchedule((0.0, 5.0, 300.0))


def middle() -> float:
    """No jitter for planned waits."""
    return 0.5


def sent(status: int, retry_after: float | None = None, attempt: int = 1, left: float = 7 * DAY) -> DeliveryOutcome:
    return after_send(CallbackResponse(status, retry_after, "said"), attempt, left, SCHEDULE, middle)


@pytest.mark.parametrize("attempt", [1, 2, 11])
def test_a_retryable_failure_is_asked_again_as_planned(attempt: int) -> None:
    outcome = after_provider_error(refusal(retryable=True), attempt, JOB_SCHEDULE, middle)

    assert outcome == AskLater(JOB_SCHEDULE.waits[attempt], FAILURE, counted=True)


def test_a_retryable_failure_at_the_last_attempt_is_final() -> None:
    assert after_provider_error(refusal(retryable=True), 12, JOB_SCHEDULE, middle) == Failed(FAILURE)


def test_a_final_failure_is_final_at_once() -> None:
    assert after_provider_error(refusal(retryable=False), 1, JOB_SCHEDULE, middle) == Failed(FAILURE)
    assert after_provider_error(refusal(retryable=False, retry_after=5), 1, JOB_SCHEDULE, middle) == Failed(FAILURE)


@pytest.mark.parametrize("attempt", [1, 12, 1000])
def test_a_rate_limit_that_names_its_end_costs_no_attempt(attempt: int) -> None:
    limited = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "wait", retryable=True, retry_after=600)
    outcome = after_provider_error(limited, attempt, JOB_SCHEDULE, middle)

    assert isinstance(outcome, AskLater)
    assert not outcome.counted
    assert 600 <= outcome.delay <= 720


def test_another_failure_that_names_a_time_waits_for_it_and_counts() -> None:
    outcome = after_provider_error(refusal(retryable=True, retry_after=600), 1, JOB_SCHEDULE, middle)

    assert isinstance(outcome, AskLater)
    assert outcome.counted
    assert 600 <= outcome.delay <= 720


@pytest.mark.parametrize("code", sorted(BILLED))
def test_a_failure_that_may_cost_money_is_tried_five_times(code: ErrorCode) -> None:
    charged = ProviderError(code, "charged", retryable=True)

    assert isinstance(after_provider_error(charged, 4, JOB_SCHEDULE, middle), AskLater)
    assert after_provider_error(charged, 5, JOB_SCHEDULE, middle) == Failed(charged.failure)


def test_a_call_that_found_no_room_waits_for_its_turn_exactly_and_was_no_attempt() -> None:
    error = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "wait", retryable=True, retry_after=0.25, asked=False)

    outcome = after_provider_error(error, 12, JOB_SCHEDULE, middle)

    assert outcome == AskLater(0.25, error.failure, counted=False, asked=False)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_2xx_delivers(status: int) -> None:
    assert sent(status) == Delivered(CallbackResponse(status, None, "said"))


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 307, 308, 400, 404, 409, 429, 500, 503])
def test_anything_else_is_tried_again(status: int) -> None:
    outcome = sent(status)

    assert isinstance(outcome, SendLater)
    assert outcome.delay == 5.0
    assert str(status) in outcome.error


def test_410_ends_it_at_the_first_attempt() -> None:
    assert isinstance(sent(410), Dead)


def test_no_response_is_tried_again_and_keeps_its_reason() -> None:
    outcome = after_send(SendError("connection refused"), 1, DAY, SCHEDULE, middle)

    assert outcome == SendLater(5.0, "connection refused", None)


def test_retry_after_is_honoured_up_to_a_day() -> None:
    patient, too_patient = sent(503, retry_after=3600), sent(503, retry_after=30 * DAY)

    assert isinstance(patient, SendLater)
    assert patient.delay >= 3600
    assert isinstance(too_patient, SendLater)
    assert DAY <= too_patient.delay <= 1.2 * DAY


def test_an_exhausted_schedule_gives_up() -> None:
    assert isinstance(sent(503, attempt=2), SendLater)
    assert isinstance(sent(503, attempt=3), Dead)
    assert isinstance(after_send(SendError("reset"), 3, DAY, SCHEDULE, middle), Dead)


def test_nothing_is_planned_beyond_the_deadline() -> None:
    assert isinstance(sent(503, left=5.0), SendLater)
    assert isinstance(sent(503, left=4.9), Dead)
    assert isinstance(sent(200, left=-1.0), Delivered)


def test_the_third_loss_poisons() -> None:
    assert [poisoned(losses) for losses in (1, 2, 3, 4)] == [False, False, True, True]
