"""Clock, log, metrics, tracer and failpoints, as one value."""

from dataclasses import dataclass, field

from answerback.kernel.clock import Clock, SystemClock
from answerback.kernel.failpoints import OnFailpoint, unarmed
from answerback.kernel.log import Log
from answerback.kernel.telemetry import UNMEASURED, UNTRACED, Metrics, Tracer


@dataclass(frozen=True, slots=True)
class Instruments:
    """`failpoint` is called at each failpoint; tests end the process there."""

    log: Log
    clock: Clock = field(default_factory=SystemClock)
    metrics: Metrics = UNMEASURED
    tracer: Tracer = UNTRACED
    failpoint: OnFailpoint = unarmed
