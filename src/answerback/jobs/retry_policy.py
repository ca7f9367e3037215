"""What follows from a provider's error: the job fails, or is tried again, and when."""

from collections.abc import Callable

from answerback.jobs.outcome import Failed, Retry, Snooze
from answerback.kernel.errors import UNUSABLE, ErrorCode, ProviderError
from answerback.kernel.retry import RetrySchedule

BILLED = UNUSABLE | {ErrorCode.UPSTREAM_TIMEOUT}
"""Failures that the upstream may well charge for."""
BILLED_ATTEMPTS = 5


def after_provider_error(
    error: ProviderError, attempt: int, schedule: RetrySchedule, draw: Callable[[], float]
) -> Failed | Retry | Snooze:
    """What follows a provider's error at attempt number `attempt`. `draw` returns a uniform number in [0, 1)."""
    code, status = error.failure.code, error.http_status
    if not error.retryable or (code in BILLED and attempt >= BILLED_ATTEMPTS):
        return Failed(error.failure, status)
    if not error.asked:
        return Snooze(error.retry_after or 0.0, error.failure)
    if code is ErrorCode.UPSTREAM_RATE_LIMITED and error.retry_after is not None:
        delay = schedule.delay(1, error.retry_after, draw)
        return Retry(error.retry_after if delay is None else delay, error.failure, counted=False, http_status=status)
    delay = schedule.delay(attempt, error.retry_after, draw)
    if delay is None:
        return Failed(error.failure, status)
    return Retry(delay, error.failure, http_status=status)
