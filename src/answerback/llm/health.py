"""How the calls of each provider went lately, as this process saw them, and others that report theirs."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from answerback.kernel.clock import Clock
from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.telemetry import LLMCall
from answerback.llm.standing import UNKNOWN, WINDOW_MS, Minute, Rest, Seen, Standing, Step, Verdict, standing

MINUTE_MS = 60_000

MAX_RESTS = 100
"""How many models of a provider rest at most, as it is shown."""

AWAY = frozenset({ErrorCode.UPSTREAM_UNREACHABLE, ErrorCode.UPSTREAM_AUTH, ErrorCode.UPSTREAM_CREDIT})
"""After one of these the next call will hardly fare better."""
DOUBTFUL = frozenset({ErrorCode.UPSTREAM_TIMEOUT, ErrorCode.UPSTREAM_ERROR})
"""One of these may be of one call only; any other failure is an answer of a kind."""
UNANSWERED = AWAY | DOUBTFUL
AWAY_AFTER = 3
"""So many doubtful calls in a row show that the provider is not reachable."""


@dataclass(slots=True)
class _Tally:
    """A `Minute` that goes on."""

    at: int
    failures: int = 0
    answers: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class _Record:
    verdict: Verdict = UNKNOWN
    last_error: str | None = None
    last_error_at: int = 0
    doubtful: int = 0
    """How many calls in a row were, up to the last one."""
    doubtful_since: int = 0
    minutes: deque[_Tally] = field(default_factory=lambda: deque(maxlen=WINDOW_MS // MINUTE_MS + 1))
    models: Sequence[str] | None = None
    rests: dict[str | None, Rest] = field(default_factory=dict)
    """By model."""

    def seen(self, now: int) -> Seen:
        self.rests = {model: rest for model, rest in self.rests.items() if rest.until > now}
        minutes = tuple(Minute(each.at, each.failures, dict(each.answers)) for each in self.minutes)
        return Seen(self.verdict, self.last_error, self.last_error_at, minutes, tuple(self.rests.values()))

    def count(self, at: int, took_ms: int, *, failed: bool) -> None:
        if not self.minutes or at - self.minutes[-1].at >= MINUTE_MS:
            self.minutes.append(_Tally(at))
        if failed:
            self.minutes[-1].failures += 1
        else:
            self.minutes[-1].answers[_to_two_digits(took_ms)] += 1


def _to_two_digits(value: int) -> int:
    return round(value, min(0, 2 - len(str(value))))


class Health:
    """Of each provider, in the order in which they were added. `others` is what other processes have seen; `routes` are
    those of the settings by their names, the default one first, each with its providers and models in their order.

    Times are kept on a clock that nobody sets, and move with the wall clock where they are shown: after a step back by
    a day what is over would be shown for a day.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boot = clock.now() - clock.since_boot()
        self._records: dict[str, _Record] = {}
        self.others: Sequence[Mapping[str, Seen]] = ()
        self.routes: Mapping[str, Sequence[Step]] = {}

    def add(self, name: str) -> None:
        self._records.setdefault(name, _Record())

    def routed(self, routes: Mapping[str, Sequence[Step]]) -> None:
        """Its providers are shown in the order of these routes from now on, others behind them."""
        self.routes = routes
        models: dict[str, dict[str, None]] = {}
        for step in chain.from_iterable(routes.values()):
            models.setdefault(step.provider, {})[step.model] = None
        first = {name: self._records.get(name, _Record()) for name in models}
        self._records = first | {name: each for name, each in self._records.items() if name not in first}
        for name, of_provider in models.items():
            self._records[name].models = tuple(of_provider)

    def rests(self, name: str, model: str | None, seconds: float, code: ErrorCode) -> None:
        """The provider is not asked for this long, for one model or for any."""
        now = self._now()
        record = self._records.setdefault(name, _Record())
        record.rests = {each: rest for each, rest in record.rests.items() if rest.until > now}
        if model in record.rests or len(record.rests) < MAX_RESTS:
            record.rests[model] = Rest(model, now + round(seconds * 1000), code)

    def called(self, call: LLMCall, error: BaseException | None) -> None:
        """A call ended. One that was cancelled, or not made, says nothing of the provider."""
        now = self._now()
        if self._answered(call.provider, error, now):
            took_ms = round(call.seconds * 1000)
            self._records[call.provider].count(now, took_ms, failed=error is not None)

    def listed(self, name: str, error: BaseException | None) -> None:
        """The provider was asked for its models. A list that comes, which some give to anybody, does not say that calls
        are answered: it shows that a provider is there of which nothing else was known."""
        record = self._records.setdefault(name, _Record())
        known = record.verdict
        if error is not None or known.reachable is None or known.away is ErrorCode.UPSTREAM_UNREACHABLE:
            self._answered(name, error, self._now())

    def seen(self) -> Mapping[str, Seen]:
        """What this process has seen of each provider, in times of the wall clock as it is set now."""
        # To the second: the two clocks are not read at the same moment, and what has not changed must be the same.
        now = self._now()
        ahead = round(self._clock.now() - now, -3)
        return {name: record.seen(now).moved(ahead) for name, record in self._records.items()}

    def standings(self) -> Sequence[Standing]:
        now, own = self._clock.now(), self.seen()
        return [
            standing(name, record.models, [own[name], *(other[name] for other in self.others if name in other)], now)
            for name, record in self._records.items()
        ]

    def _now(self) -> int:
        return self._boot + self._clock.since_boot()

    def _answered(self, name: str, error: BaseException | None, now: int) -> bool:
        """Whether the call says something of the provider."""
        if error is not None and not (isinstance(error, ProviderError) and error.asked):
            return False
        record = self._records.get(name) or self._records.setdefault(name, _Record())
        reason = error.for_operator if isinstance(error, ProviderError) else None
        if reason:
            record.last_error, record.last_error_at = reason, now
        self._judge(record, error.failure.code if isinstance(error, ProviderError) else None, reason, now)
        return True

    def _judge(self, record: _Record, code: ErrorCode | None, reason: str | None, now: int) -> None:
        """What a call that ended with this code, None: with an answer, shows."""
        before, since = record.verdict, now
        if code in DOUBTFUL:
            record.doubtful += 1
            if record.doubtful == 1:
                record.doubtful_since = since
            if record.doubtful < AWAY_AFTER and before.reachable is not False:
                return
            since = record.doubtful_since
        else:
            record.doubtful = 0
        if code not in UNANSWERED:
            code = reason = None
        reachable = code is None
        record.verdict = Verdict(reachable, before.since if before.reachable is reachable else since, code, reason, now)
