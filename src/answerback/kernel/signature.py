"""How a callback proves where it comes from.

Standard Webhooks (https://www.standardwebhooks.com, "Signature scheme"): HMAC-SHA256 over `id.timestamp.body`.
`X-Signature` is the plain HMAC-SHA256 of the body that many receivers already check.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"


def new_secret() -> str:
    """A fresh secret in the form of the Standard Webhooks specification: `whsec_` + base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def webhook_key(secret: str) -> bytes:
    """The HMAC key of a secret: base64-decoded after `whsec_`, else the text's UTF-8 bytes.

    Raises ValueError when what follows `whsec_` is not base64.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret[len(PREFIX) :], validate=True)
    except binascii.Error as error:
        raise ValueError("what follows 'whsec_' must be base64") from error


def headers(webhook_id: str, timestamp: int, body: bytes, secrets_: Sequence[str]) -> dict[str, str]:
    """The signature headers of one attempt, `timestamp` in epoch seconds; every secret signs, the newest first."""
    signed = b"%s.%d.%s" % (webhook_id.encode(), timestamp, body)
    signatures = [
        "v1," + base64.b64encode(hmac.digest(webhook_key(secret), signed, "sha256")).decode() for secret in secrets_
    ]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
        "X-Signature": "sha256=" + hmac.digest(secrets_[0].encode(), body, "sha256").hex(),
    }


def is_signed(given: Mapping[str, str], body: bytes, secrets_: Sequence[str]) -> bool:
    """Whether `webhook-signature` among the headers, whose names are in lower case, is by one of the secrets."""
    try:
        timestamp = int(given["webhook-timestamp"])
        own = headers(given["webhook-id"], timestamp, body, secrets_)["webhook-signature"].split()
    except (KeyError, ValueError):
        return False
    presented = [each.encode() for each in given["webhook-signature"].split()]
    return any(hmac.compare_digest(each.encode(), other) for each in own for other in presented)
