"""What a kind of job is. A kind is defined in one file of its feature's room, and found through the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from answerback.jobs.outcome import Outcome
from answerback.kernel.errors import AnyFailure
from answerback.kernel.json import Json
from answerback.kernel.retry import RetrySchedule
from answerback.kernel.values import quickly_made

Args = TypeVar("Args")
ArgsOrNone = TypeVar("ArgsOrNone", covariant=True)


class Kind(Protocol[Args]):
    """A kind of job: how its arguments are stored, checked and run, and what its end leaves behind. A minimal one:

    class Shout:
        name, queue, retries, callback_retries = "shout", Queue.INTERACTIVE, JOB_SCHEDULE, None

        def encode(self, args): return json.dumps({"text": args})
        def decode(self, raw): return text_of(raw)  # raises Unreadable
        async def check(self, args, tenant_id, conversation_key): refuse_empty("text", args)
        async def run(self, claim): return Completed({"text": claim.job.args.upper()})
        def effects(self, job, ending): return Effects((Event(f"shout.{ending.state}", {"answer": ending.result}),))
        def redact(self, args): return ""
        def describe(self, job, ending): return Description({"text": job.args})
    """

    name: str
    queue: Queue
    retries: RetrySchedule
    callback_retries: RetrySchedule | None
    """The schedule of callbacks to the request's URL; None: that of every other delivery."""

    def encode(self, args: Args) -> str:
        """The arguments as stored: JSON text."""

    def decode(self, raw: str) -> Args:
        """Raises Unreadable; the job is then left to a version that can read it."""

    async def check(self, args: Args, tenant_id: str, conversation_key: str | None) -> None:
        """Runs before the 202, unless an idempotency key repeats a request. Raises Refusal, which names the field."""

    async def run(self, claim: Claimed[Args]) -> Outcome:
        """One attempt. May raise ProviderError, which the engine turns into an outcome by `retries`."""

    def effects(self, job: Job[Args | None], ending: Ending) -> Effects:
        """Pure: plain data, the same for the same arguments. `args` is None where they could not be read."""

    def redact(self, args: Args) -> Args:
        """What is left of the arguments once their conversation is erased."""

    def describe(self, job: Job[Args], ending: Ending | None) -> Description:
        """The kind's own fields for `GET /v1/jobs`. `ending` is None while the job is open. A list reads the beginning
        of a long result: its fields that the summary shows come first, and those behind them may be missing."""


AnyKind: TypeAlias = Kind[Any]


class Unreadable(Exception):
    """Another version of this service wrote these arguments; this one cannot read them."""


class Queue(StrEnum):
    """Which worker slots a job may take."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class JobState(StrEnum):
    """Where a job stands, and what moves it on."""

    SCHEDULED = "scheduled"
    """Its `run_at` lies ahead; it keeps its place in its conversation. A claim promotes it to queued once it is due."""
    QUEUED = "queued"
    """Due. A worker claims it."""
    HELD = "held"
    """Behind an earlier job of its conversation. That job's end queues it; the sweep finds an orphan."""
    RUNNING = "running"
    """Leased, by a claim or from birth. The holder of the lease ends it or gives it back; the sweep takes an expired
    lease away."""
    AWAITING = "awaiting"
    """Handed to an LLM that answers by webhook. That webhook ends it, or the sweep once `run_at` has passed."""
    QUARANTINED = "quarantined"
    """Its workers lost their lease twice. The sweep releases one such job at a time once it is due, so that a third
    loss names the culprit."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})


@quickly_made
@dataclass(frozen=True, slots=True)
class Job(Generic[ArgsOrNone]):
    """A job as its kind sees it. Times are epoch milliseconds of the wall clock. `position` is its place in its
    conversation, from 1; both are None for a job without one. `callback_url` is None where no callback is owed."""

    id: str
    tenant_id: str
    kind: str
    args: ArgsOrNone
    conversation_id: int | None
    position: int | None
    callback_url: str | None
    created_at: int
    traceparent: str | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Claimed(Generic[ArgsOrNone]):
    """A job under this process's lease. `attempt` is 1-based; every write must bring `epoch`.

    `claimed_at`, `due_at` and `deadline_at` are epoch milliseconds of the scheduling clock, which no step of the wall
    clock moves; `at` is the wall clock's at the claim. `put_off_for` is the code and the message of why the job was put
    off last, if it was since its last attempt. The conversation was erased through position `erased_through`, 0
    if never; what it remembers begins at position `window_from`.
    """

    job: Job[ArgsOrNone]
    epoch: int
    attempt: int
    claimed_at: int
    at: int
    due_at: int
    deadline_at: int
    erased_through: int = 0
    window_from: int = 0
    put_off_for: Mapping[str, str] | None = None

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def tenant_id(self) -> str:
        return self.job.tenant_id

    @property
    def seconds_left(self) -> float:
        """Until the deadline, at the claim."""
        return (self.deadline_at - self.claimed_at) / 1000


@quickly_made
@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended, with its time; an `End` (`jobs/finish.py`) is how it is to end. `at` is the wall clock's, in
    epoch milliseconds. `result` is the kind's own JSON if the job completed; else `failure` says why it did not."""

    state: JobState
    at: int
    result: Json = None
    failure: AnyFailure | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Event:
    """Something that a job's end notifies. `data` is the body that the request's `callback_url` receives; endpoints
    that subscribed to `type` receive it in OpenAI's envelope."""

    type: str
    data: Mapping[str, Json]


@quickly_made
@dataclass(frozen=True, slots=True)
class Effects:
    """What a job's end leaves behind besides its own row: events to notify, and items that its conversation remembers
    (OpenAI's item shapes: message, function_call, function_call_output, reasoning)."""

    events: tuple[Event, ...] = ()
    items: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """A kind's own fields of a job: those that lists show, and those, perhaps long, that only the job's own page
    shows."""

    summary: Mapping[str, Json]
    details: Mapping[str, Json] = field(default_factory=dict)


def event_types(kind: AnyKind) -> tuple[str, ...]:
    """The types of the events that the ends of its jobs notify, where each is named after its state."""
    return tuple(f"{kind.name}.{state}" for state in sorted(ENDED))


class Registry:
    """Kinds by their names. Nothing else in the project branches on a kind."""

    def __init__(self, kinds: Iterable[AnyKind]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def __iter__(self) -> Iterator[AnyKind]:
        return iter(self._kinds.values())

    def find(self, name: str) -> AnyKind | None:
        """None for a kind of another version."""
        return self._kinds.get(name)
