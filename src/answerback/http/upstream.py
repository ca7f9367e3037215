"""The statuses and headers of an upstream's failures on synchronous routes: never 500."""

import math
from collections.abc import Mapping

from answerback.http.errors import ErrorContent
from answerback.kernel.errors import UNUSABLE, ErrorCode
from answerback.kernel.provider_error import ProviderError

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
"""The longest wait that every OpenAI SDK honours. A longer one is sent with `x-should-retry: false`."""


def status_of(error: ProviderError) -> int:
    """A refusal of a request keeps the class of the upstream's status."""
    return error.shown_status or STATUSES.get(error.failure.code, 502)


def code_of(error: ProviderError) -> str:
    """A refused request is answered with the upstream's own code, if it gave one."""
    return error.failure.upstream_code or error.failure.code.value


def content_of_failure(error: ProviderError, *, operator: bool = False) -> ErrorContent:
    """What the response to a failure says; operators see of which provider it is, but for a refusal of their own
    request."""
    status, failure = status_of(error), error.failure
    refused = failure.code is ErrorCode.UPSTREAM_REFUSED and status < 500
    message = error.for_operator if operator and not refused else failure.message
    return ErrorContent(status, code_of(error), message, headers=headers_of(error), param=failure.param)


def headers_of(error: ProviderError) -> dict[str, str]:
    """`Retry-After` in whole seconds, and for OpenAI's SDKs `retry-after-ms`, where the upstream named a time. The SDKs
    are kept from retries (`x-should-retry: false`) that would fail again, would pay again, would come too early, or
    would multiply ours, which are used up."""
    headers: dict[str, str] = {}
    wait = error.retry_after
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
        headers["retry-after-ms"] = str(max(1, math.ceil(wait * 1000)))
    final = not error.retryable or error.exhausted or error.failure.code in UNUSABLE
    if final or (wait is not None and wait > SDK_PATIENCE_SECONDS):
        headers["x-should-retry"] = "false"
    return headers
