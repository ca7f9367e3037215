"""Upstreams' texts without secrets: what is shown of them went through here."""

import re
from collections.abc import Iterable
from dataclasses import replace

from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import storable

REDACTED = "[redacted]"
LONGEST_TEXT = 2_000
"""Characters of an upstream's text that are passed on."""
SHORTEST_SECRET = 4
"""Less is no secret, and would be found in every text."""

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=*-]{4,}"), rf"\1 {REDACTED}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@?#]*@"), rf"\1{REDACTED}@"),
    (
        re.compile(
            r"(?i)([?&;]|\b)((?:x-)?(?:api[_-]?key|access[_-]?token|auth[_-]?token|subscription-key|client[_-]?secret"
            r"|password|signature|sig|token|key)=)[^\s&#,;\"'<>]{4,}"
        ),
        rf"\1\2{REDACTED}",
    ),
    # In a header, in JSON, and as OpenAI repeats it: `x-api-key: …`, `"api_key": "…"`, `API key provided: …`.
    (
        re.compile(
            r"(?i)(\b(?:x-)?(?:api[ _-]?key|access[_-]?token|auth[_-]?token|client[_-]?secret|authorization)\b"
            r"(?: provided)?['\"]?(?:\s*[:=]\s*|\s+)['\"]?)(?=[^\s'\",;]*[0-9])[^\s'\",;]{12,}"
        ),
        rf"\1{REDACTED}",
    ),
    # Keys that vendors issue, whole or starred: sk-…, gsk_…, xai-…, hf_…, ghp_…, AIza…, AKIA…, a JWT, Zhipu's.
    (re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|nvapi|r8|pplx|csk|fw|tgp|whsec)[-_][A-Za-z0-9_*-]{8,}"), REDACTED),
    (re.compile(r"\b(?:AIza[A-Za-z0-9_-]{20,}|A[KS]IA[A-Z0-9]{12,}|ya29\.[A-Za-z0-9_.-]{10,})"), REDACTED),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|xox[abprs]-|lsv2_)[\w*-]{8,}"), REDACTED),
    (re.compile(r"\b(?:dapi[0-9a-f]{20,}|pa-\w{20,})"), REDACTED),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}|\b[0-9a-f]{32}\.\w{16}\b"), REDACTED),
)
"""RFC 6750, section 2.1; RFC 3986, section 3.2.1; the key formats that vendors document."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without `secrets`, bearer tokens, credentials in URLs and what looks like a key; `storable`, without
    other control characters, and at most `LONGEST_TEXT` characters long."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = _without(text, secret)
    # Cut only now: half a secret would not be found.
    text = storable(text[: 2 * LONGEST_TEXT])
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    text = "".join(each if each.isprintable() or each == "\n" else " " for each in text).strip()
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _without(text: str, secret: str) -> str:
    """Also without a beginning of the secret at the end, where the text was cut before."""
    text = text.replace(secret, REDACTED)
    begun = next((n for n in range(len(secret) - 1, SHORTEST_SECRET - 1, -1) if text.endswith(secret[:n])), 0)
    return text[: len(text) - begun]


def redact_error(error: BaseException | None, base_url: str, secrets: Iterable[str]) -> None:
    """Redacts every text that a ProviderError holds, which until then are the upstream's own, and says in it whose it
    is. The message, which clients see, does not name the `base_url` either. Every provider does so before it raises
    one."""
    if not isinstance(error, ProviderError):
        return
    error.base_url = base_url
    failure = error.failure
    error.failure = replace(
        failure,
        message=redact(failure.message.replace(base_url, REDACTED), secrets),
        param=redact(failure.param, secrets) if failure.param else None,
        upstream_code=redact(failure.upstream_code, secrets) if failure.upstream_code else None,
    )
    error.args = (error.failure.message,)
    error.reason = redact(error.reason, secrets) if error.reason else None
    error.hidden_code = redact(error.hidden_code, secrets) if error.hidden_code else None
