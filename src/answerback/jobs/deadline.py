"""A call that the deadline of its job cuts off: how little time was left for it says nothing to anybody."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from answerback.jobs.kind import Claimed
from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError

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
