"""What delivering asks of the world."""

from collections.abc import Sequence
from typing import Protocol

from answerback.webhooks.model import CallbackResponse, OriginLine


class Sender(Protocol):
    """Makes one callback attempt, to an address it has checked."""

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        """Raises SendError. Ends within the configured deadline, body included."""

    async def close(self) -> None: ...


class Origins(Protocol):
    """Paces the attempts at each origin: a cap on those in flight, a circuit breaker for the dead."""

    def admit(self, origin: str, late: bool) -> float:
        """0.0 when the attempt may run now: it holds a slot until `done`. Else the seconds after which to ask again.
        `late` is whether the callback has been owed for long."""

    def done(self, origin: str, ok: bool | None, seconds: float) -> bool:
        """Ends an admitted attempt, exactly once. `ok` is False only when the origin itself failed it, None when the
        attempt was given up and says nothing of the origin. Whether somebody in its line might begin now."""

    def lines(self) -> Sequence[OriginLine]:
        """The origins at which others wait or soon will, so that a claim leaves there what would only be deferred."""

    def placed(self, line: OriginLine, count: int) -> None:
        """So many of the places of a line that `lines` told of are taken."""


class Guard(Protocol):
    """Knows which addresses the relay may call."""

    async def check(self, url: str) -> None:
        """Raises CallbackRefused. A name that does not resolve now passes: the connection is checked anyway."""
