"""How an attempt at a delivery can end (a closed set), and what follows from each end."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from answerback.kernel.retry import RetrySchedule, before_deadline
from answerback.webhooks.sending.errors import NotSent, SendError

SHORTAGE_SECONDS = 2.0
"""How long a callback waits, on average, for a descriptor."""
HTTP_GONE = 410
HTTP_BUSY = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class CallbackResponse:
    """What a receiver said. `retry_after` in seconds; `snippet` is the start of its body, for the owner's eyes.
    `waited`: seconds in which the attempt waited for its tenant's turn, which are none of the receiver's."""

    status: int
    retry_after: float | None
    snippet: str
    waited: float = 0.0


class AttemptEnd(StrEnum):
    """What an attempt says about its origin."""

    ANSWERED = "answered"
    """A response came, perhaps a 500: an error of one path must not open the breaker for the others."""
    BUSY = "busy"
    """A response came that asks for less: 429 or 503."""
    UNREACHED = "unreached"
    """No response came."""
    CANCELLED = "cancelled"
    """The attempt was given up, and says nothing of the origin."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took the callback."""

    response: CallbackResponse


@dataclass(frozen=True, slots=True)
class SendLater:
    """The callback is sent again after `delay` seconds. Not `counted`: the attempt came before its turn in the
    schedule, and that turn is kept. Not `sent`: no attempt was made."""

    delay: float
    error: str
    response: CallbackResponse | None
    counted: bool = True
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Dead:
    """The callback is given up. Not `sent`: without an attempt."""

    error: str
    response: CallbackResponse | None
    sent: bool = True


DeliveryOutcome: TypeAlias = Delivered | SendLater | Dead


def end_of(result: CallbackResponse | SendError) -> AttemptEnd:
    if isinstance(result, NotSent):
        return AttemptEnd.CANCELLED
    if isinstance(result, SendError):
        return AttemptEnd.UNREACHED
    return AttemptEnd.BUSY if result.status in HTTP_BUSY else AttemptEnd.ANSWERED


def after_send(
    result: CallbackResponse | SendError,
    attempt: int,
    seconds_left: float,
    due_in: float,
    schedule: RetrySchedule,
    draw: Callable[[], float],
) -> DeliveryOutcome:
    """What follows attempt number `attempt`. Only a 2xx delivers, 410 ends it, and nothing outlives the deadline.

    An attempt that came `due_in` seconds before its turn in the schedule, and got no response, changes nothing; nor
    does one that was not made.
    """
    if isinstance(result, NotSent):
        return SendLater(SHORTAGE_SECONDS * (0.5 + draw()), str(result), None, counted=False, sent=False)
    if isinstance(result, CallbackResponse):
        if 200 <= result.status < 300:
            return Delivered(result)
        error = f"the receiver answered {result.status}"
        if result.status == HTTP_GONE:
            return Dead(error, result)
        response: CallbackResponse | None = result
        delay, asked = schedule.delay(attempt, None, draw), result.retry_after
        if delay is not None and asked is not None and asked > delay:
            error = f"{error} and asked to wait {asked:.10g} s"
            delay = schedule.delay(attempt, asked, draw)
            # A wait that a receiver asks for ends no callback without a last try.
            delay = None if delay is None else before_deadline(delay, seconds_left)
    elif due_in > 0:
        return SendLater(due_in, str(result), None, counted=False)
    else:
        error, response = str(result), None
        delay = schedule.delay(attempt, None, draw)
    if delay is None or delay > seconds_left:
        return Dead(error, response)
    return SendLater(delay, error, response)
