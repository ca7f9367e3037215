"""How an upstream's trouble reads at a synchronous door: never 500, each kind with its own status."""

import math
from collections.abc import Mapping

from answerback.kernel.errors import UNUSABLE, ErrorCode, ProviderError

STATUSES: Mapping[ErrorCode, int] = {
    ErrorCode.UPSTREAM_RATE_LIMITED: 429,
    ErrorCode.UPSTREAM_ERROR: 502,
    ErrorCode.UPSTREAM_INVALID: 502,
    ErrorCode.UPSTREAM_EMPTY: 502,
    ErrorCode.UPSTREAM_AUTH: 502,
    ErrorCode.UPSTREAM_CREDIT: 502,
    ErrorCode.UPSTREAM_TIMEOUT: 503,
    ErrorCode.UPSTREAM_UNREACHABLE: 503,
    ErrorCode.UPSTREAM_REFUSED: 400,
}

SDK_PATIENCE_SECONDS = 60.0
"""The longest wait that every OpenAI SDK sits through; beyond it a client is told not to try again by itself."""


def status_of(error: ProviderError) -> int:
    return STATUSES.get(error.failure.code, 502)


def headers_of(error: ProviderError) -> dict[str, str]:
    """`Retry-After` in whole seconds, and for OpenAI's SDKs `retry-after-ms`, where the upstream named a time. The SDKs
    are told not to try again by themselves what would fail again, what was paid for, or what they would not wait
    for."""
    headers: dict[str, str] = {}
    wait = error.retry_after
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
        headers["retry-after-ms"] = str(max(1, math.ceil(wait * 1000)))
    hopeless = not error.retryable or error.failure.code in UNUSABLE
    if hopeless or (wait is not None and wait > SDK_PATIENCE_SECONDS):
        headers["x-should-retry"] = "false"
    return headers
