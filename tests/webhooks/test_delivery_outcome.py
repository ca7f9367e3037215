"""What follows from each way an attempt at a delivery can end."""

import pytest

from answerback.kernel.retry import DAY, RetrySchedule
from answerback.webhooks.sending.errors import NotSent, SendError
from answerback.webhooks.sending.outcome import (
    SHORTAGE_SECONDS,
    AttemptEnd,
    CallbackResponse,
    Dead,
    Delivered,
    DeliveryOutcome,
    SendLater,
    after_send,
    end_of,
)

SCHEDULE = RetrySchedule((0.0, 5.0, 300.0))


def middle() -> float:
    """No jitter for planned waits."""
    return 0.5


def sent(
    status: int, retry_after: float | None = None, attempt: int = 1, left: float = 7 * DAY, due_in: float = 0.0
) -> DeliveryOutcome:
    return after_send(CallbackResponse(status, retry_after, "said"), attempt, left, due_in, SCHEDULE, middle)


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
    outcome = after_send(SendError("connection refused"), 1, DAY, 0.0, SCHEDULE, middle)

    assert outcome == SendLater(5.0, "connection refused", None)


@pytest.mark.parametrize("due_in", [0.0, 100.0])
def test_what_was_not_sent_for_want_of_a_descriptor_counts_for_nothing(due_in: float) -> None:
    shortage = NotSent("no descriptor")

    outcome = after_send(shortage, 1000, 0.0, due_in, SCHEDULE, middle)

    assert outcome == SendLater(SHORTAGE_SECONDS, "no descriptor", None, counted=False, sent=False)
    assert end_of(shortage) is AttemptEnd.CANCELLED


def test_retry_after_is_honoured_up_to_a_day() -> None:
    patient, too_patient = sent(503, retry_after=3600), sent(503, retry_after=30 * DAY)

    assert isinstance(patient, SendLater)
    assert patient.delay >= 3600
    assert isinstance(too_patient, SendLater)
    assert DAY <= too_patient.delay <= 1.2 * DAY


def test_an_exhausted_schedule_gives_up() -> None:
    assert isinstance(sent(503, attempt=2), SendLater)
    assert isinstance(sent(503, attempt=3), Dead)
    assert isinstance(after_send(SendError("reset"), 3, DAY, 0.0, SCHEDULE, middle), Dead)


def test_nothing_is_planned_beyond_the_deadline() -> None:
    assert isinstance(sent(503, left=5.0), SendLater)
    assert isinstance(sent(503, left=4.9), Dead)
    assert isinstance(sent(200, left=-1.0), Delivered)


def test_a_wait_that_a_receiver_asks_for_is_said_and_ends_no_callback_without_a_last_try() -> None:
    outcome = sent(503, retry_after=12 * 3600, left=3600.0)

    assert outcome == SendLater(
        3480.0, "the receiver answered 503 and asked to wait 43200 s", CallbackResponse(503, 12 * 3600, "said")
    )
    assert isinstance(sent(503, retry_after=12 * 3600, left=9.0), Dead)
    assert "wait 2678400 s" in str(sent(503, retry_after=31 * 86_400, left=3600.0))


def test_an_attempt_before_its_turn_that_reaches_nobody_changes_nothing() -> None:
    outcome = after_send(SendError("connection refused"), 3, DAY, 1_800.0, SCHEDULE, middle)

    assert outcome == SendLater(1_800.0, "connection refused", None, counted=False)


def test_an_attempt_before_its_turn_that_is_answered_counts_like_any_other() -> None:
    assert sent(500, attempt=1, due_in=1_800.0) == sent(500, attempt=1)
    assert isinstance(sent(500, attempt=3, due_in=1_800.0), Dead)


@pytest.mark.parametrize(
    ("result", "end"),
    [
        (CallbackResponse(200, None, ""), AttemptEnd.ANSWERED),
        (CallbackResponse(500, None, ""), AttemptEnd.ANSWERED),
        (CallbackResponse(429, None, ""), AttemptEnd.BUSY),
        (CallbackResponse(503, None, ""), AttemptEnd.BUSY),
        (SendError("reset"), AttemptEnd.UNREACHED),
    ],
)
def test_what_an_attempt_says_about_its_origin(result: CallbackResponse | SendError, end: AttemptEnd) -> None:
    assert end_of(result) is end
