"""The outcomes of an attempt, which a kind's `run` returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from answerback.kernel.errors import Failure
from answerback.kernel.json import Json
from answerback.kernel.usage import Usage
from answerback.kernel.values import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Completed:
    """The job is done. `result` is JSON that its kind can read again. `seconds` is how long the LLM took, None where
    that was not measured; `about` goes into the log line (never a text, never a secret). `window_from` moves the
    beginning of what the conversation remembers, None leaves it. `usage` is what the answer cost, None where that is
    not known."""

    result: Json
    seconds: float | None = None
    about: Mapping[str, object] = field(default_factory=dict)
    window_from: int | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Trying again would not help, or no try is left. `http_status` is what the LLM answered, None where it did not.
    `remark` says to operators what went wrong, and at which provider."""

    failure: Failure
    http_status: int | None = None
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """An attempt was made and failed: the job is scheduled again in `delay` seconds. `counted` is False if the attempt
    uses up none of the schedule's, as after a rate limit that named its end. `http_status` and `remark` are as in
    `Failed`."""

    delay: float
    failure: Failure
    counted: bool = True
    http_status: int | None = None
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Snooze:
    """The LLM was not asked, and `failure` says why: the job is scheduled again in `delay` seconds, and was no
    attempt."""

    delay: float
    failure: Failure


@dataclass(frozen=True, slots=True)
class Awaiting:
    """An LLM has taken the job and answers by webhook, within `timeout` seconds."""

    timeout: float


Outcome: TypeAlias = Completed | Failed | Retry | Snooze | Awaiting
