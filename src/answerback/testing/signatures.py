"""The check that a receiver makes before it trusts a callback. Copy it, or import it in your tests."""

import hmac
import time
from collections.abc import Mapping, Sequence

from answerback.kernel import signature

TOLERANCE_SECONDS = 300.0


class InvalidSignatureError(ValueError):
    """The callback's signature or time is wrong; the message says which."""


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: str | Sequence[str],
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> str:
    """Checks `webhook-signature` (Standard Webhooks) and `X-Signature` over the raw `body`, and the time of sending.

    `secret` is what `answerback secret` shows; while a secret is being rotated, give both. `tolerance` in seconds
    bounds how old, or how far ahead, the timestamp may be of `now` (epoch seconds, the present by default).

    Returns the `webhook-id`, the same at every attempt of one callback: keep it to recognise repetitions.
    Raises InvalidSignatureError.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    given = {name.lower(): value for name, value in headers.items()}
    webhook_id = _header(given, "webhook-id")
    timestamp = _timestamp(_header(given, "webhook-timestamp"))
    if abs((time.time() if now is None else now) - timestamp) > tolerance:
        raise InvalidSignatureError(
            "webhook-timestamp is too far from the present: a repeated callback, or a wrong clock"
        )
    expected = [signature.headers(webhook_id, timestamp, body, [each]) for each in secrets]
    offered = _header(given, "webhook-signature").split(" ")
    if not _any_equal(offered, [each["webhook-signature"] for each in expected]):
        raise InvalidSignatureError("webhook-signature does not match the body and the secret")
    if not _any_equal([_header(given, "x-signature")], [each["X-Signature"] for each in expected]):
        raise InvalidSignatureError("X-Signature does not match the body and the secret")
    return webhook_id


def _header(headers: Mapping[str, str], name: str) -> str:
    try:
        return headers[name]
    except KeyError:
        raise InvalidSignatureError(f"the header {name} is missing") from None


def _timestamp(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise InvalidSignatureError("webhook-timestamp must be in epoch seconds")
    return int(value)


def _any_equal(offered: Sequence[str], expected: Sequence[str]) -> bool:
    # Every pair is compared, in constant time, so that the duration reveals nothing.
    equal = [hmac.compare_digest(one.encode(), other.encode()) for one in offered for other in expected]
    return any(equal)
