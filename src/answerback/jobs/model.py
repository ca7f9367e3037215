"""A job: one accepted message and the obligation to answer it.

held ──▶ queued ──▶ running ─────────────▶ completed | failed
          ▲            │  └──▶ awaiting ──▶
          └── later ───┘                     any of the four ──▶ cancelled | expired
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from answerback.kernel.errors import Failure
from answerback.llm.model import Answer, Json, Usage
from answerback.reviews.model import Review
from answerback.webhooks.model import DeliveryRecord


class JobState(StrEnum):
    """Where a job stands, and who moves it on."""

    HELD = "held"
    """Behind an earlier message of its conversation. That one's ending queues it; maintenance finds an orphan."""
    QUEUED = "queued"
    """Waiting for its `run_at`. An engine claims it."""
    RUNNING = "running"
    """Leased. The holder of the lease ends it or gives it back; maintenance takes an expired lease away."""
    AWAITING = "awaiting"
    """Handed to an LLM that answers by webhook. That webhook ends it, or its timeout."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})


class JobKind(StrEnum):
    """Which door a job came through; decides how its callback reads."""

    MESSAGE = "message"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Message:
    """What a client of the webhook door asked for. `session_id` is None where the callback URL keys the
    conversation; `metadata` is echoed."""

    message: str
    session_id: str | None = None
    stateless: bool = False
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    metadata: dict[str, Json] | None = None


Request: TypeAlias = Message | Review
"""What a job was asked to do, one form for each kind."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be accepted. `conversation_key` is None for one that takes no line; `request_hash` tells the
    bodies of one idempotency key apart; `deadline_seconds` is how long the answer may take."""

    tenant_id: str
    kind: JobKind
    request: Request
    callback_url: str
    conversation_key: str | None
    deadline_seconds: float
    idempotency_key: str | None = None
    request_hash: str | None = None
    retry_of: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the client hears with its 202. `created` is False when an earlier acceptance answers again."""

    job_id: str
    seq: int | None
    created: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A job as an engine or a callback sees it. Times are epoch milliseconds; `callback_url` is None where nobody
    is owed a callback."""

    id: str
    tenant_id: str
    kind: JobKind
    conversation_id: int | None
    seq: int | None
    request: Request
    callback_url: str | None
    created_at: int
    deadline_at: int
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job under this process's lease. `attempt` is 1-based; every write must bring `epoch`. `due_at` is when it could
    have been claimed. Its conversation was erased through message `erased_through`, 0 if never."""

    job: Job
    epoch: int
    attempt: int
    claimed_at: int
    due_at: int
    erased_through: int = 0

    @property
    def id(self) -> str:
        return self.job.id


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: an answer, or the failure that stands in its place."""

    state: JobState
    answer: Answer | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a job, written before the call. `status` is `started` while under way; `http_status`
    and `snippet` only where a response came."""

    number: int
    status: str
    started_at: int
    finished_at: int | None
    http_status: int | None
    error: str | None
    duration_ms: int | None
    snippet: str | None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as its owner may see it."""

    job: Job
    state: JobState
    attempt: int
    lease_losses: int
    run_at: int
    finished_at: int | None
    answer: str | None
    model: str | None
    usage: Usage | None
    failure: Failure | None
    retry_of: str | None
    retried_as: str | None
    attempts: tuple[Attempt, ...]
    delivery: DeliveryRecord | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation's memory, oldest turn first, and how many of its messages still wait for an answer."""

    key: str
    pending: int
    turns: tuple["ConversationTurn", ...]


@dataclass(frozen=True, slots=True)
class ConversationTurn:
    """One remembered turn and the job that made it."""

    seq: int
    job_id: str
    user: str
    assistant: str
    at: int
