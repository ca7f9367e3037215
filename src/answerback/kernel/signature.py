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


class Key:
    """A secret that signs any number of messages. What is made of it once would cost each signature as much as the
    rest."""

    def __init__(self, secret: str) -> None:
        self._of_webhook = hmac.new(webhook_key(secret), digestmod="sha256")
        self._of_body = hmac.new(secret.encode(), digestmod="sha256")

    def webhook_signature(self, signed: bytes) -> str:
        return "v1," + base64.b64encode(_digest(self._of_webhook, signed)).decode()

    def body_signature(self, body: bytes) -> str:
        return "sha256=" + _digest(self._of_body, body).hex()


def _digest(keyed: hmac.HMAC, message: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(message)
    return mac.digest()


def headers(webhook_id: str, timestamp: int, body: bytes, secrets_: Sequence[str]) -> dict[str, str]:
    """As `headers_by`, for secrets that sign once."""
    return headers_by([Key(each) for each in secrets_], webhook_id, timestamp, body)


def headers_by(keys: Sequence[Key], webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The signature headers of one attempt, `timestamp` in epoch seconds; every key signs, the newest first."""
    signed = b"%s.%d.%s" % (webhook_id.encode(), timestamp, body)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join([key.webhook_signature(signed) for key in keys]),
        "X-Signature": keys[0].body_signature(body),
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
