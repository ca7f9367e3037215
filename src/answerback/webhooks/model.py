"""A delivery: one event owed to one destination, its body frozen when the job ended."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from answerback.kernel.values import quickly_made
from answerback.queue.attempts import Attempt

ENDPOINT = "whe_"
"""The prefix of endpoints' ids."""

DEADLINE_MS = 7 * 86_400_000
"""How long a delivery is owed at most, whatever Retry-After asks for and however long it was held; one that is released
after that gets a single attempt."""

LATE_MS = 60_000
"""A delivery that has been owed for longer comes after an outage: its receiver's, or ours."""


class DeliveryState(StrEnum):
    """Where a delivery stands, and what moves it on."""

    HELD = "held"
    """Behind an earlier delivery of its conversation to the same destination. That one's end makes it pending; the
    sweep finds an orphan."""
    PENDING = "pending"
    """Waits for its `run_at`. A worker claims it; the sweep ends it if its deadline has passed and its origin's breaker
    is open."""
    SENDING = "sending"
    """Leased, by a claim or from birth. The holder of the lease reports; the sweep takes an expired lease away."""
    DELIVERED = "delivered"
    """A 2xx came. Only a resend moves it."""
    DEAD = "dead"
    """Schedule or deadline exhausted, the receiver said 410, or its endpoint was deleted. Only a resend moves it."""


class OriginKey(NamedTuple):
    """One tenant's deliveries to one origin: they share a circuit breaker and a concurrency limit, so that no tenant
    closes another's."""

    tenant_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class OriginRoom:
    """How many more attempts an origin takes now."""

    free: int
    opens_in: float | None = None
    """Seconds until an attempt may begin, where that is a question of time: the breaker is open, or attempts come at
    intervals."""
    recovered_for: float | None = None
    """Seconds since it first answered after failing; what could not be reached before then is due now."""
    probes: bool = False
    """Whether one that could not be reached is tried now, before its turn in the schedule."""
    probes_only: bool = False
    """Its breaker is open: the one that is sent is a probe."""


@quickly_made
@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery under this process's lease. `id` is the `webhook-id`; `attempt` is 1-based within the schedule.

    `claimed_at`, `due_at` and `deadline_at` are epoch milliseconds of the scheduling clock; `due_at` lies ahead where
    the delivery was claimed before its schedule's turn because its origin had recovered, or may have. `at` is the wall
    clock's at the claim, `created_at` that of the job's end. `traceparent` is the trace of the request that asked for
    it. `endpoint_id` is None for a delivery to the URL of the request.
    """

    id: str
    job_id: str
    event_type: str
    endpoint_id: str | None
    endpoint_deleted: bool
    destination: str
    tenant_id: str
    conversation_id: int | None
    url: str
    origin: str
    body: bytes
    epoch: int
    attempt: int
    claimed_at: int
    at: int
    due_at: int
    deadline_at: int
    created_at: int
    traceparent: str | None

    @property
    def key(self) -> OriginKey:
        return OriginKey(self.tenant_id, self.origin)

    @property
    def late(self) -> bool:
        return self.at - self.created_at > LATE_MS

    @property
    def early(self) -> bool:
        """Before its turn in the schedule."""
        return self.due_at > self.claimed_at


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that waits until that of an earlier job of its conversation, to the same destination, has ended."""

    id: str
    behind: str


@dataclass(frozen=True, slots=True)
class Reported:
    """The end of an attempt, committed. `released`: it made the next delivery of its conversation due."""

    released: bool


@dataclass(frozen=True, slots=True)
class Round:
    """A walk past all origins that takes several claims. It goes on behind `reached`. Of the origins up to there
    `next_at` is when something is due, on the scheduling clock, None: nothing waits for a time; `held_back` is whether
    something that is due was left because its tenant holds its share."""

    reached: OriginKey
    next_at: int | None
    held_back: bool


@dataclass(frozen=True, slots=True)
class DeliveryClaims:
    """The deliveries of a claim. `next_in`: seconds until the next one is due, 0.0 if one is due now, None if none
    waits.

    `drained` are recovered origins at which no delivery is left from before they recovered. `held_back`: deliveries
    that are due were left because their tenants hold their shares. The next walk begins behind the tenant `walked_to`;
    `under_way` is a round that the next claim goes on with.
    """

    deliveries: Sequence[ClaimedDelivery]
    next_in: float | None
    drained: Sequence[OriginKey]
    held_back: bool
    walked_to: str
    under_way: Round | None


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery as its owner may see it. Times are epoch milliseconds of the wall clock; the attempt under way is not
    among `attempts`, of which some may have been dropped: `attempts_made` counts them all. `next_attempt_at` is None
    unless it is pending; `held_by` is the job whose delivery it is held behind. Of an `erased` one nothing is left to
    send. `state` is a text where only another version knows it."""

    id: str
    job_id: str
    endpoint_id: str | None
    url: str
    state: DeliveryState | str
    attempt: int
    next_attempt_at: int | None
    delivered_at: int | None
    attempts: tuple[Attempt, ...]
    attempts_made: int
    held_by: str | None = None
    erased: bool = False


@lru_cache(maxsize=1024)
def origin_of(url: str) -> str:
    """`scheme://host:port` of a URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def path_of(url: str) -> str:
    """What a URL names at its origin, without its query."""
    return url.partition("?")[0]


@lru_cache(maxsize=1024)
def destination_of(url: str) -> str:
    """The `destination` of a request's callback URL, by which its deliveries are ordered; an endpoint's is its id."""
    return "url_" + hashlib.sha256(url.encode()).hexdigest()[:32]
