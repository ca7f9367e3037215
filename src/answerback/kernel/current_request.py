"""The HTTP request that the current task works for, so that every line of the log which it leaves names it."""

from contextvars import Context, ContextVar

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Set by the HTTP middleware. Tasks inherit it from the task that creates them."""


def no_request() -> Context:
    """The context of a task that outlives the request during which it is created, such as a job's run."""
    return Context()
