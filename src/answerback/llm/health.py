"""How the calls of each provider went lately, as this process saw them."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from answerback.kernel.clock import Clock
from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.telemetry import LLMCall

WINDOW_SECONDS = 900.0
MAX_CALLS = 1_000
"""How many of the calls in the window are looked at: the last ones."""

MAX_RESTS = 100
"""How many models of a provider rest at most, as it is shown."""

AWAY = frozenset({ErrorCode.UPSTREAM_UNREACHABLE, ErrorCode.UPSTREAM_AUTH, ErrorCode.UPSTREAM_CREDIT})
"""After one of these the next call will hardly fare better."""
DOUBTFUL = frozenset({ErrorCode.UPSTREAM_TIMEOUT, ErrorCode.UPSTREAM_ERROR})
"""One of these may be of one call only; any other failure is an answer of a kind."""
AWAY_AFTER = 3
"""So many doubtful calls in a row show that the provider is not reachable."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a provider does. `reachable` is None until a call has shown it; `since` is when that began, in epoch
    milliseconds. `models` are those that it is asked for by routes, None: any. `calls`, `failures` and `latency_ms_p50`
    (of answers) are those of the window. `error` is why it is not reachable, `last_error` the last failure of all; both
    are for operators."""

    name: str
    reachable: bool | None
    since: int | None
    error: str | None
    calls: int
    failures: int
    latency_ms_p50: int | None
    last_error: str | None
    models: Sequence[str] | None = None
    rests: Sequence["Rest"] = ()


@dataclass(frozen=True, slots=True)
class Rest:
    """A provider is not asked for a model (None: for any) until then, in epoch milliseconds, or only where no other
    answers; `code` is why."""

    model: str | None
    until: int
    code: ErrorCode


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a provider can be reached, since when in epoch milliseconds, and why not: `away` for us, `error` for
    operators. `reachable` is None until a call has shown it."""

    reachable: bool | None = None
    since: int | None = None
    away: ErrorCode | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    at: float
    seconds: float
    failed: bool


@dataclass(slots=True)
class _Record:
    verdict: Verdict = Verdict()
    last_error: str | None = None
    doubtful: int = 0
    """How many calls in a row were, up to the last one."""
    doubtful_since: int = 0
    calls: deque[_Call] = field(default_factory=lambda: deque(maxlen=MAX_CALLS))
    models: Sequence[str] | None = None
    rests: dict[str | None, tuple[float, ErrorCode]] = field(default_factory=dict)
    """By model, each with its end in monotonic seconds."""


class Health:
    """Of each provider, in the order in which they were added. `on_verdict` is called with a provider's name when a
    call of this process has shown something else of it than was known."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self.on_verdict: Callable[[str, Verdict], None] = _ignore

    def add(self, name: str) -> None:
        self._records.setdefault(name, _Record())

    def routed(self, models: Mapping[str, Sequence[str]]) -> None:
        """The models that routes ask each provider for; the providers are shown in this order from now on, others
        behind them."""
        first = {name: self._records.get(name, _Record()) for name in models}
        self._records = first | {name: each for name, each in self._records.items() if name not in first}
        for name, of_provider in models.items():
            self._records[name].models = tuple(of_provider)

    def rests(self, name: str, model: str | None, seconds: float, code: ErrorCode) -> None:
        """The provider is not asked for this long, for one model or for any."""
        now = self._clock.monotonic()
        record = self._records.setdefault(name, _Record())
        record.rests = {each: rest for each, rest in record.rests.items() if rest[0] > now}
        if model in record.rests or len(record.rests) < MAX_RESTS:
            record.rests[model] = (now + seconds, code)

    def called(self, call: LLMCall, error: BaseException | None) -> None:
        """A call ended. One that was cancelled, or not made, says nothing of the provider."""
        if self._answered(call.provider, error):
            failed = error is not None
            self._records[call.provider].calls.append(_Call(self._clock.monotonic(), call.seconds, failed))

    def listed(self, name: str, error: BaseException | None) -> None:
        """The provider was asked for its models. A list that comes, which some give to anybody, does not say that calls
        are answered: it shows that a provider is there of which nothing else was known."""
        record = self._records.setdefault(name, _Record())
        known = record.verdict
        if error is not None or known.reachable is None or known.away is ErrorCode.UPSTREAM_UNREACHABLE:
            self._answered(name, error)

    def heard(self, name: str, verdict: Verdict) -> None:
        """What a call of another process has shown."""
        record = self._records.setdefault(name, _Record())
        record.verdict, record.doubtful = verdict, 0

    def standings(self) -> Sequence[Standing]:
        now, wall = self._clock.monotonic(), self._clock.now()
        return [_standing(name, record, now, wall) for name, record in self._records.items()]

    def _answered(self, name: str, error: BaseException | None) -> bool:
        """Whether the call says something of the provider."""
        if error is not None and not (isinstance(error, ProviderError) and error.asked):
            return False
        record = self._records.setdefault(name, _Record())
        reason = error.for_operator if isinstance(error, ProviderError) else None
        record.last_error = reason or record.last_error
        before = record.verdict
        self._judge(record, error.failure.code if isinstance(error, ProviderError) else None, reason)
        if (before.reachable, before.away) != (record.verdict.reachable, record.verdict.away):
            self.on_verdict(name, record.verdict)
        return True

    def _judge(self, record: _Record, code: ErrorCode | None, reason: str | None) -> None:
        """What a call that ended with this code, None: with an answer, shows."""
        before, since = record.verdict, self._clock.now()
        if code in DOUBTFUL:
            record.doubtful += 1
            if record.doubtful == 1:
                record.doubtful_since = since
            if record.doubtful < AWAY_AFTER and before.reachable is not False:
                return
            since = record.doubtful_since
        else:
            record.doubtful = 0
        if code not in AWAY | DOUBTFUL:
            code = reason = None
        reachable = code is None
        record.verdict = Verdict(reachable, before.since if before.reachable is reachable else since, code, reason)


def _ignore(_name: str, _verdict: Verdict) -> None:
    """No other process is there to hear it."""


def _standing(name: str, record: _Record, now: float, wall: int) -> Standing:
    calls = [call for call in record.calls if call.at >= now - WINDOW_SECONDS]
    answered = [call.seconds for call in calls if not call.failed]
    return Standing(
        name=name,
        reachable=record.verdict.reachable,
        since=record.verdict.since,
        error=record.verdict.error,
        calls=len(calls),
        failures=len(calls) - len(answered),
        latency_ms_p50=round(median(answered) * 1000) if answered else None,
        last_error=record.last_error,
        models=record.models,
        rests=[
            Rest(model, wall + round((until - now) * 1000), code)
            for model, (until, code) in record.rests.items()
            if until > now
        ],
    )
