"""Jobs as values: submitted, accepted, recorded, counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from answerback.conversations.model import Entry
from answerback.jobs.kind import AnyKind, Claimed, Ending, Job, JobState
from answerback.kernel.errors import AnyFailure
from answerback.kernel.values import quickly_made
from answerback.queue.attempts import Attempt
from answerback.webhooks.model import ClaimedDelivery, DeliveryRecord, DeliveryState, Held


@quickly_made
@dataclass(frozen=True, slots=True)
class Tried:
    """One try of a client that sends a request again by itself, as OpenAI's SDKs do. `number` counts from 0, and
    `request_hash` is that of all tries."""

    request_hash: str
    number: int


@quickly_made
@dataclass(frozen=True, slots=True)
class Submission:
    """A job as a feature submits it. `callback_url` is None where no callback is owed; `conversation_key` is None for a
    job outside of any conversation. `request_hash` is there where the feature has looked the idempotency key up itself,
    because its `args` hold more than the request did, and where its client sends a request without a key again by
    itself (`jobs/repeat.py`). `url_field` names the callback URL in the caller's request. `key_id` is the key that the
    request carried. `transient`: what is held of it is erased after a day."""

    kind: AnyKind
    args: Any
    tenant_id: str
    callback_url: str | None
    conversation_key: str | None = None
    idempotency_key: str | None = None
    request_hash: str | None = None
    url_field: str = "callback_url"
    key_id: str | None = None
    transient: bool = False


@quickly_made
@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be accepted. `args` are as stored, `parsed` as its kind reads them; `request_hash` distinguishes
    bodies under one idempotency key; `deadline_seconds` is how long the answer may take."""

    tenant_id: str
    kind: str
    queue: str
    args: str
    parsed: Any
    callback_url: str | None
    conversation_key: str | None
    deadline_seconds: float
    idempotency_key: str | None = None
    request_hash: str | None = None
    retry_of: str | None = None
    traceparent: str | None = None
    key_id: str | None = None
    transient: bool = False


@quickly_made
@dataclass(frozen=True, slots=True)
class EndedJob:
    """A completed job whose caller waited for it. `args` and `result` are as stored; times are in epoch milliseconds of
    the wall clock."""

    id: str
    tenant_id: str
    kind: str
    queue: str
    args: str
    result: str
    created_at: int
    finished_at: int
    traceparent: str | None = None
    key_id: str | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Accepted:
    """A committed job. `created` is False if an earlier request created it, and `created_at` is when one did, in epoch
    milliseconds. `queued`: it waits to be claimed. `claim` is there if it was born claimed, by the caller."""

    job_id: str
    position: int | None
    created_at: int
    created: bool
    queued: bool = False
    claim: Claimed[Any] | None = None


@dataclass(frozen=True, slots=True)
class Repeatable:
    """An ended job that may run anew. `again`: what to accept, or the acceptance of an earlier retry."""

    kind: AnyKind
    again: NewJob | Accepted


@dataclass(frozen=True, slots=True)
class Limits:
    """Back-pressure: unanswered jobs in one conversation, in all, of one tenant."""

    conversation_pending: int
    queued_jobs: int
    queued_jobs_per_tenant: int


@dataclass(frozen=True, slots=True)
class Reached:
    """The tenants behind which the next walks from tenant to tenant begin, "": at the first. `claimed`: where some hold
    their shares; `promoted`: where more was due than is promoted at once."""

    claimed: str = ""
    promoted: str = ""


@dataclass(frozen=True, slots=True)
class JobClaims:
    """The jobs of a claim. `next_in`: seconds until the next one is due, 0.0 if one is due now, None if none waits.
    `unreadable` are the ids of jobs that were put off, because only another version of this service can read them.
    `held_back`: jobs that are due were left because their tenants hold their shares."""

    jobs: Sequence[Claimed[Any]]
    next_in: float | None
    unreadable: Sequence[str]
    held_back: bool
    reached: Reached


@quickly_made
@dataclass(frozen=True, slots=True)
class Finished:
    """A job's end, committed. `entry` is what its conversation remembers of it, None if nothing, as when it was erased
    meanwhile. `released`: it made the next job of its conversation due. `claim` is the delivery that was born claimed,
    by the caller; `owes`: there may be another that is due; `held` are those that wait behind another."""

    ending: Ending
    entry: Entry | None = None
    released: bool = False
    owes: bool = False
    claim: ClaimedDelivery | None = None
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """The effect of an LLM's callback: whether it ended the job, and whether the job's own callback has been
    delivered."""

    ended: bool
    delivered: bool


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as its owner may see it. `args` of its job are None where this version cannot read them. `ending` is None
    while it is open; in a list its result lacks what is long. `failure` is the last one, also while
    the job waits for another try. `run_at` is shown by the wall clock, like every time here. `state` is a text where
    only another version knows it. `claimed_at` is when the last attempt began; `behind` is the job that a held one
    waits for."""

    job: Job[Any]
    kind: AnyKind | None
    state: JobState | str
    attempt: int
    lease_losses: int
    run_at: int
    deadline_at: int
    finished_at: int | None
    ending: Ending | None
    failure: AnyFailure | None
    retry_of: str | None
    key_id: str | None
    claimed_at: int | None
    behind: str | None = None
    retried_as: str | None = None
    attempts: tuple[Attempt, ...] = ()
    attempts_made: int = 0
    deliveries: tuple[DeliveryRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; what is None is not asked for. `delivery` is the state of a job's own delivery, the one
    to the callback URL of its request; `model` the one that answered, or was asked for; `error` a part of the code or
    of the message of its error, in any case; `key_id` the key that sent it. Accepted from `since` on and before
    `until`, in epoch milliseconds."""

    tenant_id: str
    state: JobState | None = None
    kind: str | None = None
    session_id: str | None = None
    delivery: DeliveryState | None = None
    model: str | None = None
    error: str | None = None
    since: int | None = None
    until: int | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class JobRecords:
    """A page of a list. `following`: the id below which the page after begins, None behind the last. A page may have
    few records, or none, and another one after it: looking for them ended where it would have taken long."""

    records: Sequence[JobRecord]
    following: str | None


class Swept(Counter[str]):
    """How many rows a sweep moved, by the names that its log line shows: `jobs_requeued`, `deliveries_expired`. `ended`
    are the jobs that it ended, by their ids."""

    ended: Sequence[tuple[str, Finished]] = ()
