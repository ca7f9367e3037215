"""Benchmarks as values: what to ask, how each run went, and the statistics that follow."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, PlainSerializer

MAX_RUNS = 100
MAX_CONCURRENCY = 100
MAX_CALLS = 10_000
MAX_PROMPT_CHARACTERS = 32_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Ask each prompt `runs` times, at most `concurrency` at once. Without `model` the default answers. Raises
    ValueError for more than `MAX_CALLS` calls."""

    prompts: Sequence[str]
    model: str | None
    runs: int
    concurrency: int
    max_tokens: int

    def __post_init__(self) -> None:
        if self.calls > MAX_CALLS:
            counts = f"{len(self.prompts):,} prompts with {self.runs} runs are {self.calls:,} calls"
            raise ValueError(f"{counts}; at most {MAX_CALLS:,} are made: take fewer prompts or fewer runs")

    @property
    def calls(self) -> int:
        return len(self.prompts) * self.runs


@dataclass(frozen=True, slots=True)
class Run:
    """One prompt asked once. `prompt` counts from 0, `number` from 1. Times in seconds leave out the waits between
    tries; `tokens` are the answer's, None where the upstream counted none. `model` is the one that answered; `failure`
    an error code, `reason` the beginning of its message."""

    prompt: int
    number: int
    model: str | None
    tries: int
    seconds: float
    first_token_seconds: float
    tokens: int | None
    failure: str | None
    reason: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        """Over the whole answer, its first token included: a short answer may come in one piece."""
        return None if self.tokens is None or self.seconds <= 0 else self.tokens / self.seconds


Measure = Annotated[float, PlainSerializer(lambda value: round(value, 6), return_type=float)]
"""A number that the report shows with six decimals."""


class Spread(BaseModel, frozen=True):
    """How a measure spreads. `std_dev` is the sample's (n - 1), 0 for a single value; percentiles are interpolated
    between the two nearest values."""

    avg: Measure = Field(examples=[0.81])
    min: Measure = Field(examples=[0.74])
    max: Measure = Field(examples=[0.92])
    std_dev: Measure = Field(examples=[0.06])
    p50: Measure = Field(examples=[0.8])
    p95: Measure = Field(examples=[0.91])


class Summary(BaseModel, frozen=True):
    """Some runs in numbers. Spreads are those of the calls that succeeded, null where none did. Times are in seconds,
    as measured from the stream, and leave out the waits between tries; `tokens` are those of the answers, as the
    upstream counts them."""

    calls: int = Field(examples=[5])
    failures: int = Field(examples=[1])
    failure_codes: Mapping[str, int] = Field(
        description="How many failed with which `error.code`.", examples=[{"upstream_timeout": 1}]
    )
    retries: int = Field(description="Tries beyond the first.", examples=[1])
    tokens: int = Field(examples=[210])
    latency: Spread | None
    time_to_first_token: Spread | None
    tokens_per_second: Spread | None


@dataclass(frozen=True, slots=True)
class Report:
    """A finished benchmark. `model` is the one asked for, by name or by default. `prompts` and `answers` have an
    entry for each prompt of the plan; that of `answers` is the beginning of its first answer. `seconds` is how long it
    all took, waits included. `reasons` has an entry for each code of `overall.failure_codes`."""

    plan: Plan
    model: str
    seconds: float
    overall: Summary
    prompts: Sequence[Summary]
    answers: Sequence[str]
    results_file: str
    reasons: Mapping[str, str]


def spread(values: Iterable[float]) -> Spread | None:
    """None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    avg = math.fsum(ordered) / len(ordered)
    # Not `statistics.stdev`: its exact fractions cost a hundred times as much.
    squares = math.fsum((value - avg) ** 2 for value in ordered)
    return Spread(
        avg=avg,
        min=ordered[0],
        max=ordered[-1],
        std_dev=math.sqrt(squares / (len(ordered) - 1)) if len(ordered) > 1 else 0.0,
        p50=_percentile(ordered, 0.50),
        p95=_percentile(ordered, 0.95),
    )


def summarize(runs: Sequence[Run]) -> Summary:
    answered = [run for run in runs if run.failure is None]
    failed = Counter(run.failure for run in runs if run.failure is not None)
    return Summary(
        calls=len(runs),
        failures=failed.total(),
        failure_codes=dict(sorted(failed.items())),
        retries=sum(run.tries - 1 for run in runs),
        tokens=sum(run.tokens or 0 for run in answered),
        latency=spread(run.seconds for run in answered),
        time_to_first_token=spread(run.first_token_seconds for run in answered),
        tokens_per_second=spread(rate for run in answered if (rate := run.tokens_per_second) is not None),
    )


def reasons_of(runs: Iterable[Run]) -> Mapping[str, str]:
    """By code, why the first run that failed with it did."""
    reasons: dict[str, str] = {}
    for run in runs:
        if run.failure is not None:
            reasons.setdefault(run.failure, run.reason)
    return dict(sorted(reasons.items()))


def read_prompts(data: bytes) -> list[str]:
    """One prompt a line of UTF-8 text; blank lines are skipped. Raises ValueError, which names the line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {number} is not UTF-8 text") from None
    prompts = []
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        prompt = line.strip()
        if "\0" in prompt:
            raise ValueError(f"line {number} holds a NUL character")
        if len(prompt) > MAX_PROMPT_CHARACTERS:
            raise ValueError(f"line {number} has {len(prompt):,} characters; at most {MAX_PROMPT_CHARACTERS:,} fit")
        if prompt:
            prompts.append(prompt)
    if not prompts:
        raise ValueError("holds no prompt: write one a line")
    return prompts


def _percentile(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
