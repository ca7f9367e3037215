"""Upstreams' failures as ProviderErrors: what `dialects.py` reads in a status and a body, in our own words.

Why a request is refused is passed on in the upstream's words; what it says of accounts and of its own trouble is for
the operator, but for codes that are `WORDS` of the dialects. Neither is redacted yet: `redaction.place` does that.
Sources: RFC 9110, section 10.2.3 (Retry-After); OpenAI's SDKs (retry-after-ms); OpenRouter's error page.
"""

import re
from collections.abc import Mapping
from typing import assert_never

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.waits import asked_in_headers, sane, wait_in_text, wait_until
from answerback.llm.answers.completions import invalid
from answerback.llm.answers.odd_json import decode
from answerback.llm.errors.dialects import LONGEST_SENTENCE, NOTHING_THERE, WORDS, classify
from answerback.llm.errors.error_bodies import ErrorBody, named_in_headers, read_error
from answerback.llm.errors.in_answers import STATUS_NUMBER, error_in
from answerback.llm.errors.meaning import NO_STATUS, Meaning, Row, plain
from answerback.llm.errors.rate_headers import reset, resets_of_kinds
from answerback.llm.errors.sentences import OF_DAYS
from answerback.llm.transport import OpenResponse

CHECK_BASE_URL = "check the base URL, which usually ends in /v1"

_BAD_KEY = "the upstream refused the relay's credentials ({}); check the provider's API key"

NO_CREDIT = "the upstream account has no credit left, or a limit on its spending is reached"

CONTEXT_CODE = "context_length_exceeded"
OPENAIS_SENTENCE = "This model's maximum context length is"

QUOTA_OF_DAYS_WAIT = 300.0
"""The shortest wait, in seconds, for a quota of a day or longer: upstreams name one second for it (Gemini)."""

LONGEST_OF_HEADERS = 3_600.0
"""How long, in seconds, headers are believed that no body explains. Vendors that have a quota of hours say so in words,
too (GitHub Models, Groq, Google), and much else is a number of another unit or a wrong date (@fastify/rate-limit, issue
301): to ask in vain once an hour costs less than a model that rests for a day."""

_DAYS = re.compile(OF_DAYS, re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")

_STATUS_OF = {
    Meaning.AUTH: 401,
    Meaning.CREDIT: 402,
    Meaning.LIMITED: 429,
    Meaning.CONTEXT: 400,
    Meaning.FILTERED: 400,
    Meaning.MODEL: 404,
    Meaning.TOO_LARGE: 413,
    Meaning.WRONG_PATH: 404,
}
"""The statuses that belong to meanings, for errors that come in a 200 without one."""


def read_document(
    response: OpenResponse, body: bytes, now: int, broken: ProviderError | None = None, *, listing: bool = False
) -> dict[str, Json]:
    """The JSON object of a response with this body. Raises ProviderError for a status other than 2xx, for an `error` in
    place of an answer, and for a body without an object. `now` is the wall clock in epoch milliseconds. `broken`: why
    the body is not whole; half a sentence of an error says nothing, its status and headers do. `listing`: the list of
    models was asked for, and nothing of a caller's was sent."""
    document = decode(body)
    if not 200 <= response.status < 300:
        if broken is not None and document is None and not read_error(None, body).is_page:
            body = b""
        raise _failure(response.status, response.headers, read_error(document, body), now, listing=listing)
    if (error := error_in(document, whole=True)) is not None:
        raise error_in_body(error, now, response.headers)
    if not isinstance(document, dict):
        if read_error(None, body).is_page:
            raise invalid(f"is a web page, not JSON; {CHECK_BASE_URL}")
        if body.lstrip()[:1] not in (b"{", b"[", b""):
            # Such as Ollama's greeting at its root.
            raise invalid(f"is not JSON; {CHECK_BASE_URL}")
        raise invalid("is not a JSON object")
    return document


def error_in_body(error: Json, now: int, headers: Mapping[str, str] | None = None) -> ProviderError:
    """The failure of an error in a 200's body or in a stream, as if its code were the status."""
    return _failure(_status_in(error), headers or {}, read_error(error or {}), now)


def _status_in(error: Json) -> int:
    for name in ("code", "status", "status_code", "statusCode", "http_code", "http_status"):
        value = error.get(name) if isinstance(error, dict) else None
        if isinstance(value, int | str) and not isinstance(value, bool) and STATUS_NUMBER.fullmatch(str(value)[:4]):
            return int(value)
    return NO_STATUS


def _failure(
    status: int, headers: Mapping[str, str], body: ErrorBody, now: int, *, listing: bool = False
) -> ProviderError:
    body = named_in_headers(body.explained(), headers)
    wait = _wait(status, headers, body, now)
    said = _said(body, now)
    decided = classify(status, body, asks_wait=said is not None, retry_after=wait is not None)
    if listing and decided.meaning in (Meaning.REFUSED, Meaning.MODEL):
        decided = NOTHING_THERE
    if status == NO_STATUS:
        status = _STATUS_OF.get(decided.meaning, NO_STATUS)
    wait = wait if wait is not None else said
    if wait is None and status == 429:
        wait = resets_of_kinds({**body.headers, **headers}, now)
    if decided.meaning is Meaning.LIMITED and _DAYS.search(" ".join((body.message[:LONGEST_SENTENCE], *body.words))):
        wait = max(wait or 0.0, QUOTA_OF_DAYS_WAIT)
    elif said is None and wait is not None:
        wait = min(wait, LONGEST_OF_HEADERS)
    error = _explained(decided, status, body, wait)
    error.concerns = decided.concerns
    error.http_status = status or None
    error.reason = body.message or None
    if _known(body) is None and error.failure.upstream_code != body.code:
        error.hidden_code = body.code
    return error


def _said(body: ErrorBody, now: int) -> float | None:
    """Seconds that the body asks for."""
    wait = body.wait
    if wait is None and body.moment is not None:
        wait = wait_until(body.moment, now)
    return wait_in_text(body.message, now) if wait is None else wait


def _explained(decided: Row, status: int, body: ErrorBody, wait: float | None) -> ProviderError:
    code = "" if (known := _known(body)) is None else f", {known.lower()}"
    named = f"{status}{code}" if status else f"an error{code} in place of an answer"
    match decided.meaning:
        case Meaning.AUTH:
            words = f"{decided.ours} ({named})" if decided.ours else _BAD_KEY.format(named)
            return ProviderError(ErrorCode.UPSTREAM_AUTH, words, retryable=False, elsewhere=True)
        case Meaning.CREDIT:
            words = f"{decided.ours or NO_CREDIT} ({named})"
            return ProviderError(ErrorCode.UPSTREAM_CREDIT, words, retryable=False, elsewhere=True)
        case Meaning.LIMITED:
            words = f"{decided.ours or 'the upstream limits the rate of calls'} ({named})"
            return ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, words, retryable=True, retry_after=wait)
        case Meaning.CAPACITY:
            words = f"the upstream has no capacity for now ({named})"
            return ProviderError(ErrorCode.UPSTREAM_ERROR, words, retryable=True, retry_after=wait)
        case Meaning.FAILED:
            words = f"the upstream failed with {named}"
            return ProviderError(ErrorCode.UPSTREAM_ERROR, words, retryable=True, retry_after=wait)
        case Meaning.WRONG_PATH:
            what = "redirects, which is not followed" if 300 <= status < 400 else "has nothing at this path"
            words = decided.ours or f"the upstream {what} ({named}); {CHECK_BASE_URL}"
            return ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False, shown_status=502, elsewhere=True)
        case Meaning.REFUSED | Meaning.CONTEXT | Meaning.TOO_LARGE | Meaning.MODEL | Meaning.FILTERED:
            return _refused(decided, status, named, body)
        case _:
            assert_never(decided.meaning)


_REMEDIES = {
    Meaning.CONTEXT: "the conversation is too long for the model",
    Meaning.TOO_LARGE: "the conversation is too long for it",
    Meaning.MODEL: "check the model's name",
    Meaning.FILTERED: "its filter or moderation refused the content",
}
_CODES = {Meaning.MODEL: "model_not_found", Meaning.FILTERED: "content_filter"}


def _refused(decided: Row, status: int, named: str, body: ErrorBody) -> ProviderError:
    """The upstream's own message, `param` and `code`: the sender needs the reason; what it says of the account stands
    in our words. A conversation that is too long always has OpenAI's code."""
    meaning = decided.meaning
    remedy = _REMEDIES.get(meaning, "check the model's name and the parameters")
    # A code of a status that is not the caller's may name the account, as its sentence may.
    code = body.code if 400 <= status < 500 and status not in (401, 402, 403) else _known(body)
    code, message = code or _CODES.get(meaning), body.message
    if decided.ours:
        code, message = _CODES.get(meaning), f"{decided.ours} ({named})"
    if meaning is Meaning.CONTEXT and code != CONTEXT_CODE:
        code, message = CONTEXT_CODE, _too_long(message)
    return ProviderError(
        ErrorCode.UPSTREAM_REFUSED,
        message or f"the upstream refused the request with {named}; {remedy}",
        retryable=False,
        shown_status=_shown_status(meaning, status),
        # Whatever a 404 did not find, another provider may have.
        elsewhere=meaning is Meaning.MODEL or status == 404,
        param=body.param,
        upstream_code=code,
    )


def _too_long(message: str) -> str:
    """Another vendor's sentence behind what clients look for in OpenAI's: LiteLLM (and aider by it) for the sentence,
    LangChain for the code, which OpenAI's SDK no longer puts beside the message in an exception's text."""
    if message and OPENAIS_SENTENCE.lower() not in message.lower():
        return f"{OPENAIS_SENTENCE} exceeded ({CONTEXT_CODE}): {message}"
    return f"{CONTEXT_CODE}: {message}" if message and CONTEXT_CODE not in message else message


def _shown_status(meaning: Meaning, status: int) -> int:
    if meaning is Meaning.REFUSED:
        # A 404 that names no model is not the caller's: OpenAI's clients would take it for one.
        return status if status in (413, 422) else 400
    if meaning in (Meaning.CONTEXT, Meaning.FILTERED) and status in (413, 422):
        return status
    return _STATUS_OF[meaning]


def _known(body: ErrorBody) -> str | None:
    """The upstream's code, if everybody may see it."""
    return body.code if body.code is not None and plain(body.code) in WORDS else None


def _header(name: str, headers: Mapping[str, str], body: ErrorBody) -> str | None:
    """A header of the response, or of the response that an error reports."""
    value = headers.get(name)
    value = body.headers.get(name.lower()) if value is None else value
    return None if value is None else value.strip()


def _wait(status: int, headers: Mapping[str, str], body: ErrorBody, now: int) -> float | None:
    """Seconds that the headers ask for. The finer one is read first, as by OpenAI's SDKs; then, of a 429, when the
    limit is reset."""
    value = _header("retry-after-ms", headers, body)
    if value is not None and _NUMBER.fullmatch(value):
        return sane(float(value) / 1000)
    value = _header("X-RateLimit-Reset", headers, body) or _header("RateLimit-Reset", headers, body)
    wait = asked_in_headers(_header("Retry-After", headers, body), value, headers.get("Date"), now)
    if wait is not None:
        return sane(wait)
    return reset(value, now) if status == 429 and value is not None else None
