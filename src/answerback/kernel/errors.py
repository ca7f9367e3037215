"""What can go wrong, as values that name their own remedy.

Refusal                the request must change, or be sent later (a 4xx or a 503)
├── InvalidField
│   ├── CallbackRefused
│   └── ToolCallUnknown
├── Unauthorized, Forbidden, Misdirected
├── UnknownModel, NotFound
├── Conflict
├── IdempotencyConflict, RequestInProgress, ResponseNotStored
├── TooManyUnanswered
│   ├── ConversationFull
│   └── TenantFull
├── Overloaded
└── EraseUnfinished
StorageUnavailable     the database cannot take a write now (locked, full, read-only)
└── OutcomeUnknown     the connection broke during the commit
ResultsUnwritable      the directory of benchmarks takes no file now

`kernel/provider_error.py` has the failure of an LLM's side. What one room alone raises and reads stands in that room:
`webhooks/sending/errors.py`, `reviews/files/errors.py`.

The docstring of each code, and of each Refusal that has one, is its row in `docs/reference/errors.md` (`make docs`).
"""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a job did not complete; the `error.code` of callbacks and jobs."""

    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    """The provider limits the rate. A job waits for the end of the limit where the provider names it, which costs no
    attempt."""
    UPSTREAM_ERROR = "upstream_error"
    """The provider failed with a 5xx or an error of its own."""
    UPSTREAM_INVALID = "upstream_invalid"
    """The provider's answer is malformed or broke off. It may have been paid for."""
    UPSTREAM_EMPTY = "upstream_empty"
    """The provider's answer is empty. It may have been paid for."""
    UPSTREAM_TIMEOUT = "upstream_timeout"
    """The provider did not answer within `LLM_TIMEOUT_SECONDS`."""
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    """The provider cannot be reached: no address, connection refused, TLS failed, or the connection broke before an
    answer's first word. Asked again first."""
    UPSTREAM_AUTH = "upstream_auth"
    """The provider refuses the service's key, region or address. The operator must act."""
    UPSTREAM_CREDIT = "upstream_credit"
    """The account at the provider has no credit left. The operator must act."""
    UPSTREAM_REFUSED = "upstream_refused"
    """The provider refuses the request: an unknown model, a wrong parameter, a conversation that is too long. `message`
    is the provider's reason; `param` and `upstream_code` (such as `context_length_exceeded`) are added where it names
    them."""
    LLM_CALLBACK_TIMEOUT = "llm_callback_timeout"
    """Reviews: the LLM did not call back within `LLM_CALLBACK_TIMEOUT_SECONDS`."""
    REVIEW_FAILED = "review_failed"
    """Reviews: the LLM reported that the review failed; `message` is its reason."""
    FILE_REFUSED = "file_refused"
    """Reviews: a file cannot be read, or is too large."""
    FILE_UNREACHABLE = "file_unreachable"
    """Reviews: a file could not be fetched."""
    TOOL_CALL_UNKNOWN = "tool_call_unknown"
    """The `tool_outputs` answer calls that are no longer open: they were answered already, or another message came
    after them."""
    CONTEXT_GONE = "context_gone"
    """Responses: what this one goes on from (a response, a conversation) was deleted before it was answered, leaves a
    call without its output, does not offer the tool that is chosen, or is too long (`upstream_code` is then
    `context_length_exceeded`)."""
    POISONED = "poisoned"
    """The workers that ran the job stopped three times within 72 hours, the last time while no other such job ran."""
    EXPIRED = "expired"
    """No answer within `JOB_DEADLINE_SECONDS`."""
    CANCELLED = "cancelled"
    """You cancelled the job."""
    INTERNAL = "internal"
    """A fault of the service, which its log describes. The job was not tried again."""


UNUSABLE = frozenset({ErrorCode.UPSTREAM_EMPTY, ErrorCode.UPSTREAM_INVALID})
"""An answer came that is of no use. It may have been paid for, and so may the next one."""


@dataclass(frozen=True, slots=True)
class AnyFailure:
    """An error as the client reads it. `code` is an `ErrorCode`, but in a job's row perhaps one of another version.
    `message` is ours, or why an upstream refuses the request, in its own words, redacted; then `param` and
    `upstream_code` are its names of the parameter and of the reason, where it gave any. `status`, `retry_after`
    (seconds) and `final` (trying again is no use, or our own retries are used up) are for a caller who waits for a job:
    those that the failure would have had without the job."""

    code: str
    message: str
    param: str | None = None
    upstream_code: str | None = None
    status: int | None = None
    retry_after: float | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Failure(AnyFailure):
    """One of this version."""

    code: ErrorCode


class Refusal(Exception):
    """A request that cannot be served; `code` is stable, `message` says what to do."""

    code = "refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidField(Refusal):
    """A field or parameter is not valid. `detail` names each, and says what it must be."""

    code = "validation_error"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class CallbackRefused(InvalidField):
    """The callback URL may not be called; the message says why, and which setting allows it."""

    code = "callback_refused"

    def __init__(self, message: str, field: str = "callback_url") -> None:
        super().__init__(field, message)

    def named(self, field: str) -> "CallbackRefused":
        """The same refusal on a route that names the field otherwise."""
        return CallbackRefused(field + self.message.removeprefix(self.field), field)


class ToolCallUnknown(InvalidField):
    """The `tool_outputs` answer calls that the conversation does not wait for."""

    code = "tool_call_unknown"


class Unauthorized(Refusal):
    """No key, or one that is not valid."""

    code = "unauthorized"


class Forbidden(Refusal):
    """The key is valid, but the request is for operators only."""

    code = "forbidden"


class Misdirected(Refusal):
    """A service without keys was called by a host name that is not this machine's own."""

    code = "misdirected"


class UnknownModel(Refusal):
    """The provider has no such model; `GET /models` lists those it has."""

    code = "model_not_found"


class NotFound(Refusal):
    """Your tenant has no such object."""

    code = "not_found"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param  # what the request calls it, where that is not its path


class Conflict(Refusal):
    """The state of the object excludes the request; the message names the state."""

    code = "conflict"


class IdempotencyConflict(Refusal):
    """This `Idempotency-Key` was used with another request. Use a new key."""

    code = "idempotency_conflict"


class RequestInProgress(Refusal):
    """The first request with this `Idempotency-Key` is still being answered. Send it again after `Retry-After`."""

    code = "idempotency_in_progress"


class ResponseNotStored(Refusal):
    """The first request with this `Idempotency-Key` succeeded, but its response was not stored (it is too large, or it
    showed a key), or was deleted. Nothing is done twice."""

    code = "idempotency_response_not_kept"


class TooManyUnanswered(Refusal):
    """`limit` is how many messages may wait for an answer."""

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class ConversationFull(TooManyUnanswered):
    """The conversation has `CONVERSATION_MAX_PENDING` unanswered messages. Wait for answers."""

    code = "conversation_full"


class TenantFull(TooManyUnanswered):
    """Your tenant has `MAX_QUEUED_JOBS_PER_TENANT` unanswered jobs. Wait for answers."""

    code = "tenant_full"


class Overloaded(Refusal):
    """The service has `MAX_QUEUED_JOBS` unanswered jobs. Nothing was stored; try again."""

    code = "overloaded"


class EraseUnfinished(Refusal):
    """The conversation is erased from the database, but Redis cannot be reached and may still hold it. Send the request
    again."""

    code = "erase_unfinished"


class StorageUnavailable(Exception):
    """The database cannot take the write now. Nothing of it was stored; a later attempt may succeed."""


class OutcomeUnknown(StorageUnavailable):
    """The connection broke during the commit: the write may have been stored after all."""


class ResultsUnwritable(Exception):
    """A benchmark's results cannot be stored; the message is ours and names the directory."""
