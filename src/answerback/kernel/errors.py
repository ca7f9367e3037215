"""What can go wrong, as values that carry their own remedy.

Refusal                the caller must change something (a 4xx or a 503 at a door)
├── InvalidField           a field's value cannot be taken; names the field
├── CallbackRefused        the callback address is not one the relay may call
├── Unauthorized           no key, or one that is not valid
├── Forbidden              the key is valid, and what was asked for is for operators
├── Misdirected            the service is not known by the name it was called by
├── UnknownModel           there is no such model to ask
├── NotFound               no such thing for this tenant
├── Conflict               the thing is in a state that excludes the wish
├── IdempotencyConflict    the same key came with another body
├── CallInProgress         the same key came before, and that request is still being answered
├── ResponseNotStored        the same key came before, and was answered with more than is kept
├── ConversationFull       too many unanswered messages in one conversation
├── Overloaded             the backlog is full
└── EraseUnfinished        erased from the database, and Redis is away
StorageUnavailable     the database cannot take a write now (locked, full, read-only)
└── OutcomeUnknown         the connection broke during the commit
ResultsUnwritable      the directory of benchmarks takes no file now
ProviderError          the LLM's side failed; says whether and when to try again
SendError              a callback attempt ended without a response
FileError              a file that a review refers to cannot be read; says whether it may be later
"""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a job did not complete; the `error.code` of callbacks and jobs."""

    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_INVALID = "upstream_invalid"
    UPSTREAM_EMPTY = "upstream_empty"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_AUTH = "upstream_auth"
    UPSTREAM_CREDIT = "upstream_credit"
    UPSTREAM_REFUSED = "upstream_refused"
    LLM_CALLBACK_TIMEOUT = "llm_callback_timeout"
    REVIEW_FAILED = "review_failed"
    FILE_REFUSED = "file_refused"
    FILE_UNREACHABLE = "file_unreachable"
    POISONED = "poisoned"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


UNUSABLE = frozenset({ErrorCode.UPSTREAM_EMPTY, ErrorCode.UPSTREAM_INVALID})
"""An answer came that is of no use. It may have been paid for, and so may the next one."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the client reads it. `message` is ours: upstream texts may carry secrets and are not echoed."""

    code: ErrorCode
    message: str


class Refusal(Exception):
    """Something the caller asked for cannot be done; `code` is stable, `message` says what to do."""

    code = "refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidField(Refusal):
    code = "validation_error"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class CallbackRefused(InvalidField):
    code = "callback_refused"

    def __init__(self, message: str, field: str = "callback_url") -> None:
        super().__init__(field, message)

    def named(self, field: str) -> "CallbackRefused":
        """The same refusal at a door that calls the field otherwise."""
        return CallbackRefused(field + self.message.removeprefix(self.field), field)


class Unauthorized(Refusal):
    code = "unauthorized"


class Forbidden(Refusal):
    code = "forbidden"


class Misdirected(Refusal):
    code = "misdirected"


class UnknownModel(Refusal):
    code = "model_not_found"


class NotFound(Refusal):
    code = "not_found"


class Conflict(Refusal):
    code = "conflict"


class IdempotencyConflict(Refusal):
    code = "idempotency_conflict"


class CallInProgress(Refusal):
    code = "idempotency_in_progress"


class ResponseNotStored(Refusal):
    code = "idempotency_response_not_kept"


class ConversationFull(Refusal):
    """`limit` is how many unanswered messages a conversation may have."""

    code = "conversation_full"

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class Overloaded(Refusal):
    code = "overloaded"


class EraseUnfinished(Refusal):
    """What is erased from the database may still be remembered elsewhere."""

    code = "erase_unfinished"


class StorageUnavailable(Exception):
    """The database cannot take the write now. Nothing of it was stored; trying again later may succeed."""


class OutcomeUnknown(StorageUnavailable):
    """The database went away while it committed: the write may have been stored after all."""


class ResultsUnwritable(Exception):
    """A benchmark's results cannot be kept; the text is ours and names the directory."""


class ProviderError(Exception):
    """The LLM did not answer. `retry_after` is in seconds, None where the upstream named no time. `asked` is False
    where it was not even asked, for want of room: then `retry_after` is the caller's own turn, exactly. `http_status`
    is the upstream's, None where no response came."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        asked: bool = True,
        http_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(code, message)
        self.retryable = retryable
        self.retry_after = retry_after
        self.asked = asked
        self.http_status = http_status


class FileError(Exception):
    """A file that a review refers to cannot be read; the text is ours and says what to do."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable


class SendError(Exception):
    """A callback attempt that got no usable response: refused address, connection, TLS, deadline, broken HTTP."""
