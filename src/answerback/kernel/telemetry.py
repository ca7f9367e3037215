"""What the relay tells about itself, as core and adapters say it: counts and spans. `answerback.observability` hears.

Names of tenants, jobs and sessions, and texts, have no place here.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from answerback.kernel.errors import ErrorCode
from answerback.llm.model import Usage


@dataclass(frozen=True, slots=True)
class LLMCall:
    """One call of an upstream. `model` is the one asked for; times in seconds, that to the first token of a stream
    only; `code` is None for an answer."""

    provider: str
    model: str
    seconds: float
    first_token_seconds: float | None = None
    usage: Usage | None = None
    code: ErrorCode | None = None


class CallbackEnd(StrEnum):
    """What a callback attempt came to."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"


class Metrics(Protocol):
    """Counts what happens. Every method is cheap and never raises."""

    def accepted(self, kind: str) -> None: ...

    def claimed(self, seconds: float) -> None:
        """A job was taken up, so long after it was due."""

    def ended(self, state: str, code: ErrorCode | None = None, count: int = 1) -> None: ...

    def put_off(self, code: ErrorCode) -> None:
        """A job goes back to the queue, to be tried again."""

    def overhead(self, seconds: float) -> None:
        """What an answered job waited and worked besides the LLM, in its last attempt."""

    def called(self, call: LLMCall) -> None: ...

    def sent(self, end: CallbackEnd, seconds: float) -> None:
        """A callback attempt and how long it took."""

    def delivered(self, lag: float) -> None:
        """A callback arrived, so many seconds after its job ended."""

    def notifications_dropped(self, count: int) -> None:
        """Rows that no worker was told of; they are found by polling."""

    def redis(self, *, up: bool) -> None:
        """Redis answers, or is done without."""

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is a template, such as `/v1/jobs/{job_id}`."""


class Unmeasured:
    """Implements `Metrics` where nobody counts."""

    def accepted(self, kind: str) -> None: ...

    def claimed(self, seconds: float) -> None: ...

    def ended(self, state: str, code: ErrorCode | None = None, count: int = 1) -> None: ...

    def put_off(self, code: ErrorCode) -> None: ...

    def overhead(self, seconds: float) -> None: ...

    def called(self, call: LLMCall) -> None: ...

    def sent(self, end: CallbackEnd, seconds: float) -> None: ...

    def delivered(self, lag: float) -> None: ...

    def notifications_dropped(self, count: int) -> None: ...

    def redis(self, *, up: bool) -> None: ...

    def requested(self, method: str, route: str, status: int, seconds: float) -> None: ...


UNMEASURED: Metrics = Unmeasured()


Attributes: TypeAlias = Mapping[str, str | int | float | Sequence[str]]


class SpanKind(StrEnum):
    """A span's part in the exchange it belongs to."""

    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"


class Span(Protocol):
    """One stage of a message's way, as a trace shows it."""

    def rename(self, name: str) -> None: ...

    def note(self, attributes: Attributes) -> None: ...

    def fail(self, kind: str) -> None:
        """Marks the stage as failed; `kind` is a code of ours, never an upstream's text."""

    def end(self) -> None: ...


class Tracer(Protocol):
    """Follows a message from the incoming POST to the delivered webhook. Nothing here raises."""

    def current(self) -> str | None:
        """The W3C `traceparent` of the span under way; None outside of one."""

    def span(
        self, name: str, kind: SpanKind, attributes: Attributes, parent: str | None = None
    ) -> AbstractContextManager[Span]:
        """A span that is under way within the block, below `parent` (a `traceparent`) or what is under way already."""

    def begin(self, name: str, kind: SpanKind, attributes: Attributes) -> Span:
        """A span below what is under way, for its caller to end: one that outlives a block, as a stream's does."""

    def close(self) -> None:
        """Hands over what has not been told yet; may take seconds."""


class _NoSpan:
    def rename(self, name: str) -> None: ...

    def note(self, attributes: Attributes) -> None: ...

    def fail(self, kind: str) -> None: ...

    def end(self) -> None: ...


class Untraced:
    """Implements `Tracer` where nobody follows."""

    _span: Span = _NoSpan()
    _block = nullcontext(_span)

    def current(self) -> str | None:
        return None

    def span(
        self,
        name: str,  # noqa: ARG002
        kind: SpanKind,  # noqa: ARG002
        attributes: Attributes,  # noqa: ARG002
        parent: str | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        return self._block

    def begin(self, name: str, kind: SpanKind, attributes: Attributes) -> Span:  # noqa: ARG002
        return self._span

    def close(self) -> None: ...


UNTRACED: Tracer = Untraced()
