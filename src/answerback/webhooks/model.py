"""A delivery: one callback owed, its body frozen when the job ended.

held ──▶ pending ──▶ sending ──▶ delivered | dead
            ▲           │             │
            └── later ──┘◀── replay ──┘
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit


class DeliveryState(StrEnum):
    """Where a delivery stands, and who moves it on."""

    HELD = "held"
    """Behind an earlier callback of its conversation. That one's settling makes it pending; maintenance finds an
    orphan."""
    PENDING = "pending"
    """Waiting for its `run_at`. An engine claims it."""
    SENDING = "sending"
    """Leased. The holder of the lease reports; maintenance takes an expired lease away."""
    DELIVERED = "delivered"
    """A 2xx came. Only a replay moves it."""
    DEAD = "dead"
    """Schedule or deadline exhausted, or the receiver said 410. Only a replay moves it."""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery under this process's lease. `id` is the `webhook-id`; `attempt` is 1-based within the schedule;
    times are epoch milliseconds, `created_at` that of the job's end. `traceparent` is the trace of the request that
    asked for it."""

    id: str
    job_id: str
    url: str
    origin: str
    body: bytes
    epoch: int
    attempt: int
    deadline_at: int
    conversation_id: int | None
    created_at: int
    traceparent: str | None
    tenant_id: str
    claimed_at: int

    @property
    def gate(self) -> str:
        """What shares a cap and a breaker: one tenant's callbacks to one origin, so that no tenant closes another's."""
        return f"{self.tenant_id} {self.origin}"


@dataclass(frozen=True, slots=True)
class OriginLine:
    """A gate at which more callbacks may be due than it admits: `room` more now. The next ones get a moment each, the
    first in `wait` seconds, the others `spacing` seconds after one another; it has `places` of them to give."""

    gate: str
    room: int
    wait: float
    spacing: float
    places: int


@dataclass(frozen=True, slots=True)
class CallbackResponse:
    """What a receiver said. `retry_after` in seconds; `snippet` is the start of its body, for the owner's eyes."""

    status: int
    retry_after: float | None
    snippet: str


@dataclass(frozen=True, slots=True)
class Report:
    """How an attempt went, as recorded. `http_status` and `snippet` are None where no response came."""

    status: str
    error: str | None = None
    http_status: int | None = None
    duration_ms: int | None = None
    snippet: str | None = None


def origin_of(url: str) -> str:
    """`scheme://host:port` of a URL: what shares a concurrency cap and a circuit breaker."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"
