"""Metrics that remember what they recorded of Redis."""

from dataclasses import dataclass, field

from answerback.kernel.telemetry import Metrics


@dataclass
class Outages(Metrics):
    """Whether it was up, in order."""

    seen: list[bool] = field(default_factory=list)

    def redis(self, *, up: bool) -> None:
        self.seen.append(up)
