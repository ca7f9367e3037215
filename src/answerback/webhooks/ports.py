"""What delivering asks of the world."""

from typing import Protocol

from answerback.webhooks.model import OriginKey, OriginRoom
from answerback.webhooks.outcome import AttemptEnd, CallbackResponse


class Sender(Protocol):
    """Makes one attempt, to an address it has checked."""

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> CallbackResponse:
        """Raises SendError. Ends within the configured deadline, body included."""

    async def close(self) -> None: ...


class Origins(Protocol):
    """Says how much each origin is called."""

    def look(self, key: OriginKey, late: bool) -> OriginRoom:
        """How many more attempts may begin now. `late`: what is due there has been owed for long."""

    def is_closed(self, key: OriginKey) -> bool:
        """Whether the origin is not called, but for probes."""

    def began(self, key: OriginKey, late: bool) -> None:
        """An attempt begins, for which `look` found room."""

    def ended(self, key: OriginKey, end: AttemptEnd, seconds: float) -> bool:
        """Ends an attempt that began, exactly once. Whether another one may begin now where none could before."""

    def drained(self, key: OriginKey) -> None:
        """Nothing waits any more because the origin could not be reached."""
