"""Receivers check callbacks with libraries of others: here, with the one of the Standard Webhooks project."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from answerback.kernel.signature import headers, new_secret, webhook_key

BODY = '{"response":"grüß dich 🌍"}'.encode()


def now() -> int:
    """The library holds timestamps against the real clock."""
    return int(datetime.now(UTC).timestamp())


def oracle(secret: str) -> Webhook:
    return Webhook(secret if secret.startswith("whsec_") else base64.b64encode(secret.encode()).decode())


@pytest.mark.parametrize("secret", ["whsec_" + "c2VjcmV0" * 4, "a plain-text secret", "späte Grüße"])
def test_a_callback_verifies(secret: str) -> None:
    made = headers("msg_1", now(), BODY, [secret])

    assert oracle(secret).verify(BODY, made) == json.loads(BODY)


def test_a_changed_body_id_or_time_does_not_verify() -> None:
    secret = new_secret()
    made = headers("msg_1", now(), BODY, [secret])

    for body, changed in [
        (BODY + b" ", made),
        (BODY, made | {"webhook-id": "msg_2"}),
        (BODY, made | {"webhook-timestamp": str(int(made["webhook-timestamp"]) - 1)}),
    ]:
        with pytest.raises(WebhookVerificationError):
            oracle(secret).verify(body, changed)


def test_during_a_rotation_the_old_and_the_new_secret_both_verify() -> None:
    newest, older = new_secret(), "an older one"

    made = headers("msg_1", now(), BODY, [newest, older])

    assert oracle(newest).verify(BODY, made)
    assert oracle(older).verify(BODY, made)
    with pytest.raises(WebhookVerificationError):
        oracle(new_secret()).verify(BODY, made)


@pytest.mark.parametrize("secret", ["plain", "whsec_c2VjcmV0"])
def test_x_signature_is_the_hmac_of_the_raw_body_with_the_newest_secret_as_written(secret: str) -> None:
    made = headers("msg_1", 1, BODY, [secret, "older"])

    assert made["X-Signature"] == "sha256=" + hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()


def test_a_new_secret_is_32_random_bytes() -> None:
    assert len(webhook_key(new_secret())) == 32
    assert new_secret() != new_secret()


def test_a_whsec_secret_must_be_base64() -> None:
    with pytest.raises(ValueError, match="base64"):
        webhook_key("whsec_not*base64")
