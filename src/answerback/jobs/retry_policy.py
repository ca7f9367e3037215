"""What follows from a provider's error: the job fails, or is tried again, and when."""

from collections.abc import Callable

from answerback.jobs.outcome import Failed, Retry, Snooze
from answerback.kernel.errors import UNUSABLE, ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.retry import RetrySchedule

BILLED = UNUSABLE | {ErrorCode.UPSTREAM_TIMEOUT}
"""Failures that the upstream may well charge for."""
BILLED_ATTEMPTS = 5


def after_provider_error(
    error: ProviderError, attempt: int, schedule: RetrySchedule, draw: Callable[[], float]
) -> Failed | Retry | Snooze:
    """What follows a provider's error at attempt number `attempt`. `draw` returns a uniform number in [0, 1)."""
    code, failure, status = error.failure.code, error.failure, error.http_status
    remark = None if error.base_url is None else error.for_operator
    if not error.retryable or (code in BILLED and attempt >= BILLED_ATTEMPTS):
        return Failed(failure, status, remark)
    if not error.asked:
        return Snooze(error.retry_after or 0.0, failure)
    if code is ErrorCode.UPSTREAM_RATE_LIMITED and error.retry_after is not None:
        delay = schedule.delay(1, error.retry_after, draw)
        wait = error.retry_after if delay is None else delay
        return Retry(wait, failure, counted=False, http_status=status, remark=remark)
    delay = schedule.delay(attempt, error.retry_after, draw)
    if delay is None:
        return Failed(failure, status, remark)
    return Retry(delay, failure, http_status=status, remark=remark)
