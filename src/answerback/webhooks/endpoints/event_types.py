"""The types of events that endpoints subscribe to, each with a sample of its `data`."""

from collections.abc import Mapping
from typing import TypeAlias

from answerback.http.openai_errors import InvalidParameter
from answerback.kernel.json import Json

Samples: TypeAlias = Mapping[str, Mapping[str, Json]]

_RESPONSE = "resp_01a1fc8454427e0488ed70bfee41f52c"
_BATCH = "batch_01a1fc8454427e0488ed70bfee41f52c"
OPENAI_SAMPLES: Samples = {
    **{f"response.{end}": {"id": _RESPONSE} for end in ("completed", "failed", "cancelled", "incomplete")},
    **{f"batch.{end}": {"id": _BATCH} for end in ("completed", "failed", "expired", "cancelled")},
}
"""Those that OpenAI's clients know and a relay of chat completions can have."""


class EventTypes:
    """What may be subscribed to: the types of `samples`."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self.names = sorted(samples)

    def sample(self, event_type: str) -> Mapping[str, Json]:
        """Raises InvalidParameter."""
        self.check("event_type", event_type)
        return self._samples[event_type]

    def check(self, param: str, event_type: str) -> None:
        """Raises InvalidParameter, which names the `param`, for a type that is not there."""
        if event_type not in self._samples:
            raise InvalidParameter(param, f"there is no event type {event_type!r}; there are {', '.join(self.names)}")
