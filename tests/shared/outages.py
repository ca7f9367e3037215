"""Metrics that remember what they were told of Redis."""

from dataclasses import dataclass, field

from answerback.kernel.telemetry import Unmeasured


@dataclass
class Outages(Unmeasured):
    """Whether it was up, in order."""

    told: list[bool] = field(default_factory=list)

    def redis(self, *, up: bool) -> None:
        self.told.append(up)
