"""How a provider does, put together from what each process has seen of it."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

from answerback.kernel.errors import ErrorCode
from answerback.kernel.values import quickly_made

WINDOW_MS = 900_000


class Minute(NamedTuple):
    """The calls that ended in a minute, whose first ended `at` epoch milliseconds: how many failed, and how many
    answers took how many milliseconds, to two digits."""

    at: int
    failures: int
    answers: Mapping[int, int]


class Step(NamedTuple):
    """One of a route: the provider's name, and the model that it is asked for."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Rest:
    """A provider is not asked for a model (None: for any) until then, in epoch milliseconds, or only where no other
    answers; `code` is why."""

    model: str | None
    until: int
    code: ErrorCode


@quickly_made
@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a provider can be reached, since when in epoch milliseconds, and why not: `away` for us, `error` for
    operators. `reachable` is None until a call has shown it; `seen_at` is when the last one did."""

    reachable: bool | None = None
    since: int | None = None
    away: ErrorCode | None = None
    error: str | None = None
    seen_at: int = 0


UNKNOWN = Verdict()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one process has seen of a provider: its calls of late, and the last failure of all, with its time."""

    verdict: Verdict = UNKNOWN
    last_error: str | None = None
    last_error_at: int = 0
    minutes: Sequence[Minute] = ()
    rests: Sequence[Rest] = ()

    def moved(self, by: int) -> "Seen":
        """The same, with all times so many milliseconds later."""
        if not by:
            return self
        verdict = self.verdict
        if verdict.since is not None:
            verdict = replace(verdict, since=verdict.since + by, seen_at=verdict.seen_at + by)
        return Seen(
            verdict,
            self.last_error,
            self.last_error_at + by if self.last_error_at else 0,
            tuple(minute._replace(at=minute.at + by) for minute in self.minutes),
            tuple(replace(rest, until=rest.until + by) for rest in self.rests),
        )


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
    rests: Sequence[Rest] = ()


def standing(name: str, models: Sequence[str] | None, seen: Sequence[Seen], now: int) -> Standing:
    """From what at least one process has seen; `now` in epoch milliseconds."""
    minutes = [minute for each in seen for minute in each.minutes if minute.at >= now - WINDOW_MS]
    failures = sum(minute.failures for minute in minutes)
    answers: Counter[int] = Counter()
    for minute in minutes:
        answers.update(minute.answers)
    newest = max((each.verdict for each in seen), key=lambda verdict: verdict.seen_at)
    failed = max(seen, key=lambda each: each.last_error_at)
    rests: dict[str | None, Rest] = {}
    for rest in sorted((rest for each in seen for rest in each.rests), key=lambda rest: rest.until):
        if rest.until > now:
            rests[rest.model] = rest
    return Standing(
        name=name,
        reachable=newest.reachable,
        since=_since(newest.reachable, [each.verdict for each in seen]),
        error=newest.error,
        calls=failures + answers.total(),
        failures=failures,
        latency_ms_p50=_median(answers),
        last_error=failed.last_error,
        models=models,
        rests=list(rests.values()),
    )


def _median(counts: Mapping[int, int]) -> int | None:
    """Of values by how often each was seen."""
    values = sorted(counts)
    seen = list(accumulate(counts[each] for each in values))
    if not seen:
        return None
    lower, upper = (values[bisect_right(seen, place)] for place in ((seen[-1] - 1) // 2, seen[-1] // 2))
    return round((lower + upper) / 2)


def _since(reachable: bool | None, verdicts: Sequence[Verdict]) -> int | None:
    """Since when it has been so: in the process that saw it first, or since another saw the opposite last."""
    began = [each.since for each in verdicts if each.reachable is reachable and each.since is not None]
    opposite = [each.seen_at for each in verdicts if each.reachable is not None and each.reachable is not reachable]
    return max([min(began), *opposite]) if began else None
