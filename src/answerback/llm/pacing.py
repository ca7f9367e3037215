"""Limits towards an upstream: a call without room is refused here, with the time of its turn, and costs nothing."""

import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import dataclass

from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.log import Log
from answerback.kernel.retry import RETRY_AFTER_LIMIT
from answerback.llm.in_time import in_time
from answerback.llm.model import Answer, ChatRequest, Chunk, Model, Relayed
from answerback.llm.provider import Provider
from answerback.reviews.model import Review
from answerback.reviews.ports import ReviewLLM

MINUTE = 60.0
LONGEST_LINE = 900.0
"""Seconds of turns that are given away ahead. Whoever comes when they are all taken asks again while they pass: turns
given away further ahead would stand empty when their jobs are cancelled."""
AFTER_REST = 0.1
"""Seconds between the turns at a model whose rest is over, where nothing else says how many it takes."""
DENSER = 0.8
"""Turns for places that calls will free are given this much closer than calls take: a few asked in vain rather than a
place that stands empty."""
WIDER = 1.02
"""Turns of a limited minute are this much further apart, so that a job a moment late does not stand where another is
due a minute after it."""
FIRST_GUESS = 0.1
"""How long calls take, in seconds, before one has ended. Too short costs a look, too long a place."""
QUEUED_SLACK = 0.005
"""Seconds on top of a job's turn, so that the database's rounding does not bring it back before."""


@dataclass(slots=True)
class _Line:
    """The turns given away: `last` is the latest, in monotonic seconds."""

    last: float = float("-inf")

    def turn(self, opens_at: float, spacing: float, draw: Callable[[], float]) -> float:
        """The next one, at or after `opens_at`."""
        turn = max(opens_at, self.last + spacing)
        if turn - opens_at > LONGEST_LINE:
            return opens_at + LONGEST_LINE * (0.5 + draw() / 2)
        self.last = turn
        return turn


@dataclass(slots=True)
class _Rest:
    until: float
    line: _Line


class Gate:
    """The room at one upstream: `per_minute` calls in any 60 s, `concurrency` at once (0: as many as come), and models
    that the upstream itself closed for a while. `monotonic` is in seconds, `draw` uniform in [0, 1)."""

    def __init__(
        self,
        per_minute: int = 0,
        concurrency: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._per_minute = per_minute
        self._concurrency = concurrency
        self._monotonic = monotonic
        self._draw = draw
        self._starts: deque[float] = deque()
        self._active = 0
        self._usual_seconds: float | None = None
        self._line = _Line()
        self._rests: dict[str, _Rest] = {}

    def enter(self, model: str, *, queued: bool) -> None:
        """Takes a place, held until `leave`.

        Without room it raises ProviderError with the seconds until there is some. A `queued` call is given a turn of
        its own, one after the other, and is expected back then; others are told the soonest and hold no turn.
        """
        now = self._monotonic()
        if (rest := self._rests.get(model)) is not None:
            if now < rest.until:
                spacing = self._pace if self._per_minute else AFTER_REST
                self._refuse("the upstream limits the rate of calls", rest.line, rest.until, spacing, now, queued)
            del self._rests[model]
        while self._starts and self._starts[0] <= now - MINUTE:
            self._starts.popleft()
        if self._per_minute and len(self._starts) >= self._per_minute:
            words = f"all {self._per_minute} calls a minute that the provider is asked at most are used up"
            self._refuse(words, self._line, self._starts[0] + MINUTE, self._pace, now, queued)
        if self._concurrency and self._active >= self._concurrency:
            words = f"all {self._concurrency} calls that the provider is asked at once are under way"
            spacing = DENSER * (self._usual_seconds or FIRST_GUESS) / self._concurrency
            self._refuse(words, self._line, now + spacing, spacing, now, queued)
        if self._per_minute:
            self._starts.append(now)
        self._active += 1

    def leave(self, seconds: float) -> None:
        """Ends a call that took so long."""
        self._active -= 1
        usual = seconds if self._usual_seconds is None else self._usual_seconds
        self._usual_seconds = usual + (seconds - usual) / 10

    def rest(self, model: str, seconds: float) -> None:
        """Asks `model` nothing for so long: its limit is used up until then."""
        now = self._monotonic()
        self._rests = {name: rest for name, rest in self._rests.items() if rest.until > now}
        until = now + min(seconds, RETRY_AFTER_LIMIT)
        if model not in self._rests:
            self._rests[model] = _Rest(until, _Line())
        else:
            self._rests[model].until = max(until, self._rests[model].until)

    @property
    def _pace(self) -> float:
        return WIDER * MINUTE / self._per_minute

    def _refuse(self, words: str, line: _Line, opens_at: float, spacing: float, now: float, queued: bool) -> None:
        turn = line.turn(opens_at, spacing, self._draw) + QUEUED_SLACK if queued else opens_at
        raise ProviderError(
            ErrorCode.UPSTREAM_RATE_LIMITED, words, retryable=True, retry_after=max(0.0, turn - now), asked=False
        )


class PacedProvider:
    """Implements `Provider`: the calls of another, those that find room. `default_model` is asked
    where a request names none."""

    def __init__(self, provider: Provider, gate: Gate, default_model: str, log: Log) -> None:
        self._provider = provider
        self._gate = gate
        self._default_model = default_model
        self._log = log
        self.name = provider.name

    async def complete(self, request: ChatRequest) -> Answer:
        with self._place(request):
            return await self._provider.complete(request)

    async def relay(self, request: ChatRequest) -> Relayed:
        with self._place(request):
            return await self._provider.relay(request)

    def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Its place is free again once the call's time is over, even if nobody has read on."""
        return in_time(self._placed(request), request.timeout)

    async def models(self) -> Sequence[Model]:
        """Takes no place: lists are few, and kept."""
        return await self._provider.models()

    async def close(self) -> None:
        await self._provider.close()

    async def _placed(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        with self._place(request):
            async with aclosing(self._provider.stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk

    def _place(self, request: ChatRequest) -> AbstractContextManager[None]:
        model = request.body.get("model") or self._default_model
        return _place(self._gate, self.name, model, self._log, queued=request.queued)


class PacedReviewLLM:
    """Implements `ReviewLLM`: hands another what finds room. Its calls are counted as of `model`."""

    def __init__(self, llm: ReviewLLM, gate: Gate, model: str, log: Log) -> None:
        self._llm = llm
        self._gate = gate
        self._model = model
        self._log = log
        self.name = llm.name

    async def submit(self, job_id: str, callback_url: str, review: Review, timeout: float) -> None:
        with _place(self._gate, self.name, self._model, self._log, queued=True):
            await self._llm.submit(job_id, callback_url, review, timeout)

    async def close(self) -> None:
        await self._llm.close()


@contextmanager
def _place(gate: Gate, upstream: str, model: str, log: Log, *, queued: bool) -> Iterator[None]:
    """Room for one call; where the call hears that a limit is used up, and until when, `model` rests until then.
    Raises ProviderError where there is no room."""
    gate.enter(model, queued=queued)
    started = time.perf_counter()
    try:
        yield
    except ProviderError as error:
        if error.failure.code is ErrorCode.UPSTREAM_RATE_LIMITED and error.retry_after:
            gate.rest(model, error.retry_after)
            log.warning("model_rests", provider=upstream, model=model, seconds=round(error.retry_after, 1))
        raise
    finally:
        gate.leave(time.perf_counter() - started)
