"""What core asks of the database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Protocol, TypeAlias

from answerback.conversations.model import Recalled
from answerback.http.idempotency_model import ClaimedRecord, IdempotentRequest, StoredResponse
from answerback.jobs.model import (
    Accepted,
    ClaimedJob,
    Conversation,
    DeliveryRecord,
    Ending,
    Job,
    JobRecord,
    JobState,
    NewJob,
)
from answerback.kernel.errors import Failure
from answerback.llm.model import Question, Turn
from answerback.webhooks.model import ClaimedDelivery, OriginLine, Report

Render: TypeAlias = Callable[[Job, Ending, int], bytes]
"""Makes a callback's body from a job, its ending and the ending's time (epoch milliseconds)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Back-pressure: unanswered messages in one conversation, unanswered jobs in all."""

    conversation_pending: int
    queued_jobs: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What a claim brought, and in how many seconds the next row will be due (0.0: it is), None when none waits.

    `placed`: how many callbacks got their places in which lines. Those of a line without room are no reason to come
    back, and while there is one, `next_in` looks no further than a second ahead.
    `unreadable` are jobs that it left for later, because another version of this service wrote them.
    """

    jobs: Sequence[ClaimedJob] = ()
    deliveries: Sequence[ClaimedDelivery] = ()
    next_in: float | None = None
    placed: Sequence[tuple[OriginLine, int]] = ()
    unreadable: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep of maintenance moved, by kind of row."""

    jobs_requeued: int = 0
    jobs_poisoned: int = 0
    jobs_expired: int = 0
    jobs_unanswered: int = 0
    jobs_released: int = 0
    deliveries_released: int = 0
    deliveries_requeued: int = 0
    jobs_pruned: int = 0
    questions_pruned: int = 0
    responses_pruned: int = 0

    @property
    def total(self) -> int:
        return sum(astuple(self))


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits, by state, and for how long the oldest row has been due, in seconds."""

    jobs: Mapping[str, int]
    deliveries: Mapping[str, int]
    oldest_job_seconds: float
    oldest_delivery_seconds: float


class Store(Protocol):
    """The record of everything. Each method is one transaction, committed when it returns.

    Methods with a claim or an `epoch` are fenced: they return False, and have changed nothing, once somebody else has
    taken the row, be it because its lease ran out. Every method raises StorageUnavailable when the database cannot
    serve it now.
    """

    async def accept(self, job: NewJob, limits: Limits) -> Accepted:
        """Raises ConversationFull, Overloaded, IdempotencyConflict."""

    async def find_accepted(self, tenant_id: str, idempotency_key: str, request_hash: str) -> Accepted | None:
        """The earlier acceptance under this key. Raises IdempotencyConflict when its body differed."""

    async def claim_jobs(self, owner: str, limit: int, lease_seconds: float) -> Claims: ...

    async def claim_deliveries(
        self, owner: str, limit: int, lease_seconds: float, lines: Sequence[OriginLine] = ()
    ) -> Claims:
        """At an origin with a line it claims what there is room for, and gives what else is due there places in line;
        but whatever would not live to see its place it claims all the same."""

    async def extend_jobs(self, held: Sequence[tuple[str, int]], lease_seconds: float) -> set[str]:
        """Extends leases of `(id, epoch)`; returns the ids still held."""

    async def extend_deliveries(self, held: Sequence[tuple[str, int]], lease_seconds: float) -> set[str]: ...

    async def recent_turns(self, conversation_id: int, limit: int) -> Sequence[Turn]:
        """Newest first."""

    async def recall(self, conversation_id: int, limit: int) -> Recalled:
        """As `recent_turns`, with what it takes to go on from there without asking again."""

    async def finish(self, claim: ClaimedJob, ending: Ending, report: Report) -> bool:
        """Job state, turn, delivery row and release of the next held message, in one transaction."""

    async def requeue(
        self, claim: ClaimedJob, delay: float, counted: bool, failure: Failure, report: Report | None
    ) -> bool:
        """Back to the queue for `delay` seconds; an attempt not `counted` is given back, and one without a `report` was
        not begun."""

    async def hand_over(self, claim: ClaimedJob, timeout: float, report: Report) -> bool:
        """The LLM has taken the job and is given `timeout` seconds to answer by webhook."""

    async def require_review(self, job_id: str) -> None:
        """Raises NotFound unless it is a review, whoever's."""

    async def answer_review(self, job_id: str, ending: Ending) -> tuple[bool, bool]:
        """Ends a review from outside, whatever state it is in. Whether this ended it, and whether its callback has
        been delivered. Raises NotFound; Conflict when it ended otherwise before."""

    async def release_jobs(self, held: Sequence[tuple[str, int, float]]) -> None:
        """Gives back `(id, epoch, seconds until due)`; the attempts do not count."""

    async def delivered(self, claim: ClaimedDelivery, report: Report) -> bool: ...

    async def send_later(self, claim: ClaimedDelivery, delay: float, report: Report) -> bool: ...

    async def dead(self, claim: ClaimedDelivery, report: Report) -> bool: ...

    async def release_deliveries(self, held: Sequence[tuple[str, int, float]]) -> None:
        """As `release_jobs`."""

    async def reported(self, row_id: str, epoch: int, report: Report) -> bool:
        """Whether this attempt at a job or a delivery ended with this report."""

    async def recover_leases(self) -> Swept:
        """Takes back a batch of rows whose lease ran out; poisons a job that lost too many."""

    async def expire_jobs(self) -> Swept:
        """Ends a batch of jobs whose deadline passed, or whose LLM did not call back in time."""

    async def release_orphans(self) -> Swept:
        """Moves lines on that nobody else would."""

    async def prune(self, retention_days: float) -> Swept:
        """Deletes a batch of what ended longer ago than that."""

    async def count_open(self) -> int:
        """How many jobs have not ended; also what the back-pressure of `accept` goes by until it counts again."""

    async def depth(self) -> Depth:
        """What waits now."""

    async def get_job(self, tenant_id: str, job_id: str) -> JobRecord:
        """Raises NotFound."""

    async def list_jobs(
        self, tenant_id: str, state: JobState | None, session_id: str | None, before: str | None, limit: int
    ) -> Sequence[JobRecord]:
        """Newest first, without answers, attempts and deliveries; `before` is the last id of the page before."""

    async def cancel_job(self, tenant_id: str, job_id: str) -> bool:
        """Whether this ended it; cancelling twice is no error. Raises NotFound; Conflict when it ended otherwise."""

    async def retry_source(self, tenant_id: str, job_id: str) -> tuple[Job, Accepted | None]:
        """The job to run anew, and its earlier retry if there was one. Raises NotFound, Conflict."""

    async def replay_delivery(self, tenant_id: str, delivery_id: str) -> DeliveryRecord:
        """Raises NotFound; Conflict while an attempt is under way."""

    async def get_conversation(self, tenant_id: str, key: str) -> Conversation:
        """Raises NotFound."""

    async def erase_conversation(self, tenant_id: str, key: str) -> None:
        """Raises NotFound."""

    async def keep_question(self, tenant_id: str, question: str, answer: str) -> None: ...

    async def list_questions(self, tenant_id: str, limit: int) -> Sequence[Question]:
        """Newest first."""

    async def begin_call(self, call: IdempotentRequest, lease_seconds: float) -> ClaimedRecord | StoredResponse:
        """The response that the same call had before, or the call for this caller to answer. Raises
        IdempotencyConflict, CallInProgress, ResponseNotStored."""

    async def extend_call(self, claim: ClaimedRecord, lease_seconds: float) -> bool:
        """Whether the call is still the caller's."""

    async def keep_response(self, claim: ClaimedRecord, response: StoredResponse | None) -> bool:
        """Ends the call, None: without its response, which is too large. False, and nothing changed, when it is no
        longer the caller's."""

    async def forget_call(self, claim: ClaimedRecord) -> None:
        """Frees the key of a call that was not answered; one that was, or is no longer the caller's, stays."""

    async def own_secret(self, name: str) -> str:
        """A secret that never leaves the service: made at its first use, the same ever after."""

    async def ping(self) -> None:
        """Proves that the database takes writes."""

    async def close(self) -> None: ...
