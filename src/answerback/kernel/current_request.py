"""The HTTP request that the current task works for, so that every line of the log which it leaves names it."""

from contextvars import Context, ContextVar
from dataclasses import dataclass, field

from answerback.kernel.values import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class CurrentRequest:
    """`notes` are what the request's own line of the log says besides: which model answered it, and how."""

    id: str
    notes: dict[str, object] = field(default_factory=dict)


CURRENT_REQUEST: ContextVar[CurrentRequest | None] = ContextVar("current_request", default=None)
"""Set by the HTTP middleware. Tasks inherit it from the task that creates them."""


def no_request() -> Context:
    """The context of a task that outlives the request during which it is created, such as a job's run."""
    return Context()
