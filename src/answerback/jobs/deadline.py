"""Jobs near their deadline: a call that it cuts off, for how little time was left says nothing to anybody, and a wait
that would last until then, which ends while there is time for a try."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from answerback.jobs.kind import Claimed
from answerback.jobs.outcome import Outcome, Retry, Snooze
from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.retry import before_deadline

CUT_OFF = "the upstream did not answer before the job's deadline (JOB_DEADLINE_SECONDS)"

TIMER_SLACK = 0.01
"""Event loops may call a little early."""


@contextmanager
def named_deadline(claim: Claimed[Any]) -> Iterator[None]:
    """Around what the job does, from its claim on."""
    until = time.perf_counter() + claim.seconds_left - TIMER_SLACK
    try:
        yield
    except ProviderError as error:
        if error.failure.code is ErrorCode.UPSTREAM_TIMEOUT and time.perf_counter() >= until:
            error.failure = replace(error.failure, message=CUT_OFF)
        raise


def in_time(outcome: Outcome, seconds_left: float) -> Outcome:
    """The outcome, which makes no job wait until its deadline, in `seconds_left`, without a last try."""
    if not isinstance(outcome, Retry | Snooze):
        return outcome
    return replace(outcome, delay=before_deadline(outcome.delay, seconds_left))
