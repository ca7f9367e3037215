"""Upstreams' failures: a status or an `error` object as a ProviderError in our own words.

Sources: OpenAI's and OpenRouter's error pages; RFC 9110, section 10.2.3 (Retry-After).
"""

import re
from collections.abc import Mapping

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.json import Json
from answerback.kernel.retry import parse_retry_after
from answerback.llm.completions import decode, invalid

NO_HEADERS: Mapping[str, str] = {}

_WORD = re.compile(r"[a-z0-9_.-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_LONGEST_WAIT = 31 * 86_400.0

_STATUS_OF = {
    "context_length_exceeded": 400,
    "insufficient_credits": 402,
    "insufficient_quota": 402,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
}
"""The statuses that belong to codes, for upstreams that send such a code in a 200."""

_REMEDIES = {
    400: "check the model's name and the parameters",
    404: "check the model's name and the base URL",
    413: "the conversation is too long for it",
    422: "check the model's name and the parameters",
}


def read_document(status: int, headers: Mapping[str, str], body: bytes, now: int) -> dict[str, Json]:
    """The JSON object of a response. Raises ProviderError for a status other than 2xx, for an `error` in place of an
    answer, and for a body without an object."""
    document = decode(body)
    error = document.get("error") if isinstance(document, dict) else None
    if not 200 <= status < 300:
        raise failure(status, headers, error, now)
    if error:
        raise error_in_body(error, headers, now)
    if not isinstance(document, dict):
        raise invalid("is not a JSON object")
    return document


def error_in_body(error: Json, headers: Mapping[str, str], now: int) -> ProviderError:
    """The failure of an `error` in a 200's body, as if its code were the status."""
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str):
        code = int(code) if re.fullmatch(r"[0-9]{3}", code, re.ASCII) else _STATUS_OF.get(code)
    if isinstance(code, bool) or not isinstance(code, int) or not 400 <= code <= 599:
        wait = _retry_after(headers, _object(error), now)
        words = f"the upstream reported an error{_code(_object(error))} in place of an answer"
        return ProviderError(ErrorCode.UPSTREAM_ERROR, words, retryable=True, retry_after=wait)
    return failure(code, headers, error, now)


def failure(status: int, headers: Mapping[str, str], error: Json, now: int) -> ProviderError:
    """The failure of a status other than 2xx. `error` is the body's error object if there was one, `now` is the wall
    clock in epoch milliseconds. Of the upstream's text at most a short machine-readable code is repeated."""
    meant = _meaning(status, headers, error, now)
    meant.http_status = status
    return meant


def _meaning(status: int, headers: Mapping[str, str], error: Json, now: int) -> ProviderError:
    details = _object(error)
    named = f"{status}{_code(details)}"
    match status:
        case 401 | 403:
            return _forbidden(status, named, details)
        case 402:
            return _unpaid(named, headers, details, now)
        case 429:
            wait = _retry_after(headers, details, now)
            if wait is None:
                wait = _rate_limit_reset(headers, details, now)
            words = f"the upstream limits the rate of calls ({named})"
            return ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, words, retryable=True, retry_after=wait)
        case _ if status in (408, 409, 425) or status >= 500:
            wait = _retry_after(headers, details, now)
            words = f"the upstream failed with {named}"
            return ProviderError(ErrorCode.UPSTREAM_ERROR, words, retryable=True, retry_after=wait)
        case _ if 300 <= status < 400:
            words = f"the upstream redirects ({named}), which is not followed; check the base URL"
        case _:
            words = f"the upstream refused the request with {named}; {_REMEDIES.get(status, _REMEDIES[400])}"
    return ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False)


def _forbidden(status: int, named: str, details: Mapping[str, Json]) -> ProviderError:
    metadata = _metadata(details)
    if status == 403 and ("flagged_input" in metadata or "reasons" in metadata):
        words = f"the upstream's moderation flagged the input ({named})"
        return ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False)
    if status == 403 and "limit_source" in metadata:
        words = f"a spending limit set at the upstream is reached ({named})"
        return ProviderError(ErrorCode.UPSTREAM_CREDIT, words, retryable=False)
    words = f"the upstream refused the relay's credentials ({named}); check the provider's API key"
    return ProviderError(ErrorCode.UPSTREAM_AUTH, words, retryable=False)


def _unpaid(named: str, headers: Mapping[str, str], details: Mapping[str, Json], now: int) -> ProviderError:
    """OpenRouter's three kinds of 402."""
    reasons = [value for value in (*details.values(), *_metadata(details).values()) if isinstance(value, str)]
    if any("weight_exceeds_budget" in reason for reason in reasons):
        words = f"the request costs more than the account's whole budget ({named}); shorten it or add credit"
    elif any("in_flight_budget" in reason for reason in reasons):
        wait = _retry_after(headers, details, now)
        words = f"the calls in flight fill the account's budget for now ({named})"
        return ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, words, retryable=True, retry_after=wait)
    else:
        words = f"the upstream account has no credit left ({named})"
    return ProviderError(ErrorCode.UPSTREAM_CREDIT, words, retryable=False)


def _code(details: Mapping[str, Json]) -> str:
    for value in (details.get("code"), _metadata(details).get("error_type"), details.get("type")):
        if isinstance(value, str) and _WORD.fullmatch(value) and not value.isdigit():
            return f", {value}"
    return ""


def _metadata(details: Mapping[str, Json]) -> Mapping[str, Json]:
    return _object(details.get("metadata"))


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _header(name: str, headers: Mapping[str, str], details: Mapping[str, Json]) -> str | None:
    """A header of the response, or of the response that an error object reports."""
    value = headers.get(name)
    if value is not None:
        return value.strip()
    for key, said in _object(_metadata(details).get("headers")).items():
        if key.lower() == name.lower() and isinstance(said, str | int | float):
            return str(said).strip()
    return None


def _retry_after(headers: Mapping[str, str], details: Mapping[str, Json], now: int) -> float | None:
    """Seconds; None for garbage and for the past. The finer header is read first, as by OpenAI's SDKs."""
    value = _header("retry-after-ms", headers, details)
    if value is not None and _NUMBER.fullmatch(value):
        return _sane(float(value) / 1000)
    wait = parse_retry_after(_header("Retry-After", headers, details), now)
    return None if wait is None else _sane(wait)


def _rate_limit_reset(headers: Mapping[str, str], details: Mapping[str, Json], now: int) -> float | None:
    """OpenRouter's X-RateLimit-Reset is a moment in epoch milliseconds; other units end up beyond what is sane."""
    value = _header("X-RateLimit-Reset", headers, details)
    if value is None or not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", value):
        return None
    return _sane((float(value) - now) / 1000)


def _sane(seconds: float) -> float | None:
    return seconds if 0 <= seconds <= _LONGEST_WAIT else None
