"""The interfaces of metrics and traces. The classes here record nothing; `answerback.observability` overrides them.

Labels and attributes name no tenants, jobs or sessions, and hold no texts.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from answerback.kernel.errors import ErrorCode
from answerback.kernel.usage import Usage
from answerback.kernel.values import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class LLMCall:
    """One call of an upstream. `model` is the one asked for; `first_token_seconds` is None unless the answer was
    streamed; `code` is None for an answer."""

    provider: str
    model: str
    seconds: float
    first_token_seconds: float | None = None
    usage: Usage | None = None
    code: ErrorCode | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many rows wait, by state, and for how long the oldest has been due."""

    jobs: Mapping[str, int]
    deliveries: Mapping[str, int]
    oldest_job_seconds: float
    oldest_delivery_seconds: float = 0.0


ANSWERED = "completed"
"""The outcome of what was answered."""


@quickly_made
@dataclass(frozen=True, slots=True)
class JobEnd:
    """The end of a job, or of a call whose client waited for it, as statistics count it. `outcome` is `ANSWERED` or an
    error code; `usage` is None where no tokens were counted."""

    tenant_id: str
    outcome: str
    usage: Usage | None = None


class CallbackEnd(StrEnum):
    """How a callback attempt ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"


class Fallback(StrEnum):
    """Which slower way a group ran, and why."""

    UNPLANNED_STATEMENT = "unplanned_statement"
    """The batch plan lacks a statement: the group runs sequentially each time. A fault of ours."""
    SEQUENTIAL = "sequential"
    """Operations of one batch conflicted, or one failed: they run again, one after the other."""
    ALONE = "alone"
    """One failed again, or needs a lock that another transaction holds: each gets a transaction of its own."""


class Metrics:
    """Counts what happens. Every method is cheap and never raises."""

    def accepted(self, kind: str) -> None: ...

    def claimed(self, seconds: float) -> None:
        """A job was claimed this long after it was due."""

    def ended(self, state: str, code: ErrorCode | None = None, count: int = 1) -> None: ...

    def put_off(self, code: ErrorCode) -> None:
        """A job goes back to the queue, to be tried again."""

    def overhead(self, seconds: float) -> None:
        """What an answered job waited and worked besides the LLM, in its last attempt."""

    def called(self, call: LLMCall) -> None: ...

    def sent(self, end: CallbackEnd, seconds: float) -> None:
        """A callback attempt ended after this time."""

    def delivered(self, lag: float) -> None:
        """A callback arrived this many seconds after its job ended."""

    def notifications_dropped(self, count: int) -> None:
        """Rows that no other process was notified of; workers find them by polling."""

    def listen_unproven(self) -> None:
        """PostgreSQL's LISTEN failed or did not prove itself; this process finds due rows by polling."""

    def redis(self, *, up: bool) -> None:
        """Redis answers again, or no longer."""

    def fell_back(self, plan: str, fallback: Fallback) -> None:
        """A group of operations of this batch plan has to run in a slower way."""

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is a template, such as `/v1/jobs/{job_id}`."""


UNMEASURED = Metrics()


Attributes: TypeAlias = Mapping[str, str | int | float | Sequence[str]]


class SpanKind(StrEnum):
    """A span's part in the exchange it belongs to."""

    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"


class Span:
    """One stage of a message's way, as a trace shows it."""

    def rename(self, name: str) -> None: ...

    def note(self, attributes: Attributes) -> None: ...

    def fail(self, kind: str) -> None:
        """Marks the stage as failed; `kind` is a code of ours, never an upstream's text."""

    def end(self) -> None: ...


NO_SPAN = Span()
_AROUND_NOTHING = nullcontext(NO_SPAN)


class Tracer:
    """Follows a message from the incoming POST to the delivered webhook. No method raises."""

    def current(self) -> str | None:
        """The W3C `traceparent` of the current span; None without one."""
        return None

    def span(
        self,
        name: str,  # noqa: ARG002
        kind: SpanKind,  # noqa: ARG002
        attributes: Attributes,  # noqa: ARG002
        parent: str | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        """A span around the block, below `parent` (a `traceparent`), else below the current span."""
        return _AROUND_NOTHING

    def begin(self, name: str, kind: SpanKind, attributes: Attributes) -> Span:  # noqa: ARG002
        """A span below the current one that its caller ends: one that outlives a block, as a stream's does."""
        return NO_SPAN

    def close(self) -> None:
        """Exports the spans that have not been exported yet; may take seconds."""


UNTRACED = Tracer()
"""Callers that see it need not find out what a span would show."""
