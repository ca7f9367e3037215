"""The way into the queue, as the route needs it."""

from dataclasses import dataclass
from typing import Any, Protocol

from answerback.jobs.kind import AnyKind


@dataclass(frozen=True, slots=True)
class Submission:
    """What a feature wants done."""

    kind: AnyKind
    args: Any
    tenant_id: str
    callback_url: str | None
    conversation_key: str | None = None
    idempotency_key: str | None = None
    url_field: str = "callback_url"


class Accepted(Protocol):
    """A committed job. `created` is False when an earlier acceptance answers again."""

    @property
    def job_id(self) -> str: ...

    @property
    def position(self) -> int | None: ...

    @property
    def created(self) -> bool: ...


class Submitter(Protocol):
    async def submit(self, wanted: Submission, /) -> Accepted:
        """Raises CallbackRefused, what the kind's `check` raises, ConversationFull, Overloaded, IdempotencyConflict,
        StorageUnavailable."""
