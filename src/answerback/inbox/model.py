"""Callbacks in an inbox, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from answerback.kernel.json import in_text

MAX_ITEMS = 100
"""How many a tenant has: the newest."""
MAX_BODY = 64 * 1024
"""How much of a body is stored."""
MAX_HEADERS = 50
MAX_HEADER = 1024
KEPT_MS = 86_400_000
"""How long they stay."""

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Never stored."""


class Verdict(StrEnum):
    """What the signature of a callback says."""

    VERIFIED = "verified"
    """It is the tenant's, or that of an endpoint of its with this address."""
    WRONG = "wrong"
    """It is there, and is neither."""
    MISSING = "missing"
    """There is none."""


@dataclass(frozen=True, slots=True)
class Received:
    """A callback as it came. `body` is its beginning where it is long, `size` how many bytes it had. `received_at` is
    in epoch milliseconds of the wall clock."""

    id: str
    received_at: int
    headers: Mapping[str, str]
    body: bytes
    size: int
    signature: Verdict
    job_id: str | None


@dataclass(frozen=True, slots=True)
class ReceivedPage:
    """The newest first. `following` is the id that the next page begins after, None on the last."""

    items: Sequence[Received]
    following: str | None


def shown_headers(given: Mapping[str, str]) -> dict[str, str]:
    """What is stored of the headers of a request."""
    shown = ((name.lower(), value[:MAX_HEADER]) for name, value in given.items())
    return dict([each for each in shown if each[0] not in SECRET_HEADERS][:MAX_HEADERS])


def job_in(body: bytes) -> str | None:
    """The `job_id` that a body names: at its top, as a callback has it, or in its `data`, as an event."""
    read = in_text(body)
    for place in (read, read.get("data") if isinstance(read, dict) else None):
        named = place.get("job_id") if isinstance(place, dict) else None
        # Strangers write it: half a surrogate pair, or a NUL, is in no text of a database.
        if isinstance(named, str) and len(named) <= MAX_JOB_ID and named.isprintable():
            return named
    return None


MAX_JOB_ID = 64
