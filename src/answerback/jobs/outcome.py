"""The closed sets of what an attempt can come to, and what follows from each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from answerback.kernel.errors import UNUSABLE, ErrorCode, Failure, ProviderError
from answerback.kernel.retry import RetrySchedule
from answerback.llm.model import Answer

BILLED = UNUSABLE | {ErrorCode.UPSTREAM_TIMEOUT}
"""Failures that the upstream may well charge for."""
BILLED_ATTEMPTS = 5

POISON_LOSSES = 3
POISON_WINDOW_MS = 72 * 3_600_000


@dataclass(frozen=True, slots=True)
class Answered:
    """The LLM answered: the job completes. `seconds` is how long it took, None where that was not measured."""

    answer: Answer
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Trying again would not help, or no try is left: the job fails. `http_status` is what the LLM answered, None
    where it did not."""

    failure: Failure
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class AskLater:
    """The job goes back to the queue for `delay` seconds. `counted` is False where the attempt is given back, as
    after a rate limit that named its end; `asked` is False where it was not begun, and leaves no attempt behind.
    `http_status` is as in `Failed`."""

    delay: float
    failure: Failure
    counted: bool = True
    asked: bool = True
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Awaiting:
    """The LLM has taken the job and answers by webhook, within `timeout` seconds."""

    timeout: float


JobOutcome: TypeAlias = Answered | Failed | AskLater | Awaiting


def after_provider_error(
    error: ProviderError, attempt: int, schedule: RetrySchedule, draw: Callable[[], float]
) -> Failed | AskLater:
    """What follows a provider's error at attempt number `attempt`."""
    code, status = error.failure.code, error.http_status
    if not error.retryable or (code in BILLED and attempt >= BILLED_ATTEMPTS):
        return Failed(error.failure, status)
    if not error.asked:
        return AskLater(error.retry_after or 0.0, error.failure, counted=False, asked=False)
    if code is ErrorCode.UPSTREAM_RATE_LIMITED and error.retry_after is not None:
        delay = schedule.delay(1, error.retry_after, draw)
        return AskLater(error.retry_after if delay is None else delay, error.failure, counted=False, http_status=status)
    delay = schedule.delay(attempt, error.retry_after, draw)
    if delay is None:
        return Failed(error.failure, status)
    return AskLater(delay, error.failure, http_status=status)


def poisoned(losses: int) -> bool:
    """Whether a job has cost its workers their lease too often to be tried again."""
    return losses >= POISON_LOSSES
