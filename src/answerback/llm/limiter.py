"""Limits towards an upstream: calls wait for one of its places, tenant by tenant in turn. A call that cannot wait, or
has waited long enough, is refused here, with the time of the next slot, at no cost."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.retry import RETRY_AFTER_LIMIT
from answerback.kernel.shares import SLOT_FACTOR, Shares, Weights
from answerback.kernel.turns import Turns
from answerback.llm.callers import Callers
from answerback.llm.health import Health
from answerback.llm.minute import Minute
from answerback.llm.model import ChatRequest, ModelList
from answerback.llm.provider import Provider
from answerback.llm.reply import OnEnd, Reply, StreamedReply

RESERVED_AHEAD = 900.0
"""How far ahead slots are reserved, in seconds. A job that finds them all taken asks again later: slots further ahead
would stand empty when their jobs are cancelled."""
SPACING_AFTER_PAUSE = 0.1
"""Seconds between the slots after a model's pause, if no limit a minute is set."""
CONCURRENCY_SPACING = 0.8
"""Factor on call time ÷ concurrency; below 1, so a few come back early rather than a slot standing empty."""
FIRST_GUESS = 0.1
"""The assumed duration of a call, in seconds, until one ends. Too short costs a refusal, too long an empty slot."""
WAITING_JOBS = 2
"""How many jobs of a tenant wait for each place of the upstream: enough that no place stands empty. More go back to the
queue, where they hold no worker's slot."""
TOLERATED_FALSE_WAITS = 2
"""How often in a row a model may limit calls again right after the wait that it named, before the next wait has a least
length, which doubles."""
LONGEST_GROWN_WAIT = 3_600.0
"""In seconds; an upstream may name a longer one."""
REMEMBERED_AFTER_PAUSE = 3_600.0
"""Seconds for which the end of a pause is known, to see whether the named wait was false."""
QUEUED_SLACK = 0.005
"""Seconds added to a job's reservation: times in the database are rounded down to milliseconds."""


class _Reservations:
    """The slots reserved for queued calls: the latest of each tenant, in monotonic seconds. A tenant's slots stand
    behind its own only, so that none waits for another's backlog. What it reserved before others came is too much
    beside them: then each tenant has turns, as far apart as the slots that it would reserve now, and a call that comes
    before its turn is refused and reserves again, at no cost."""

    def __init__(self, monotonic: Callable[[], float], draw: Callable[[], float], weights: Weights) -> None:
        self._monotonic = monotonic
        self._draw = draw
        self._weights = weights
        self._latest: dict[str, float] = {}
        self._turns: dict[str, float] = {}

    def turn(self, tenant_id: str, spacing: float) -> float | None:
        """When the tenant's next turn is; None: now. One turn may be taken ahead. `spacing` is that of all tenants'
        slots."""
        now = self._monotonic()
        self._forget(now)
        if self._latest.keys() <= {tenant_id}:
            return None
        turn = self._turns.get(tenant_id, now) - self._step(tenant_id, spacing)
        return turn if turn > now else None

    def began(self, tenant_id: str, spacing: float) -> None:
        """The tenant has taken a turn."""
        turn = max(self._monotonic(), self._turns.get(tenant_id, float("-inf")))
        self._turns[tenant_id] = turn + self._step(tenant_id, spacing)

    def refusal(self, words: str, tenant_id: str, opens_at: float, spacing: float, *, queued: bool) -> ProviderError:
        """Of a call, and when it may come again: where it is `queued`, at a slot reserved for it."""
        now = self._monotonic()
        slot = self._next(tenant_id, opens_at, spacing, now) + QUEUED_SLACK if queued else opens_at
        wait = max(0.0, slot - now)
        return ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, words, retryable=True, retry_after=wait, asked=False)

    def _next(self, tenant_id: str, opens_at: float, spacing: float, now: float) -> float:
        """The tenant's next slot, at or after `opens_at`."""
        self._forget(now)
        slot = max(opens_at, self._latest.get(tenant_id, float("-inf")) + self._step(tenant_id, spacing))
        if slot - opens_at > RESERVED_AHEAD:
            return opens_at + RESERVED_AHEAD * (0.5 + self._draw() / 2)
        self._latest[tenant_id] = slot
        return slot

    def _step(self, tenant_id: str, spacing: float) -> float:
        """Between a tenant's slots, beside all that have reserved some."""
        all_weigh = sum(map(self._weights.of, self._latest.keys() | {tenant_id}))
        return spacing * all_weigh / self._weights.of(tenant_id)

    def _forget(self, now: float) -> None:
        self._latest = {each: slot for each, slot in self._latest.items() if slot > now}
        self._turns = {each: turn for each, turn in self._turns.items() if turn > now}


@dataclass(slots=True)
class _Pause:
    """`false_waits`: how many pauses before it, in a row, ended too early for the upstream."""

    until: float
    false_waits: int
    reservations: _Reservations


class UpstreamLimiter:
    """The room at the upstream `name`: `per_minute` calls in any 60 s and `concurrency` at once (0: as many as come),
    which tenants share by `weights` and of which they leave some to each other by `slot_factor`; and models that the
    upstream itself limits for a while, which `health` shows. `draw` is uniform in [0, 1)."""

    def __init__(
        self,
        name: str,
        instruments: Instruments,
        per_minute: int = 0,
        concurrency: int = 0,
        draw: Callable[[], float] = random.random,
        health: Health | None = None,
        slot_factor: float = SLOT_FACTOR,
        weights: Weights | None = None,
    ) -> None:
        self._name = name
        self._health = health or Health(instruments.clock)
        self._log = instruments.log
        self._monotonic = instruments.clock.monotonic
        self._per_minute = per_minute
        self._callers = Callers(slot_factor)
        self._minute = Minute(per_minute, self._callers) if per_minute else None
        self._concurrency = concurrency
        weights = weights or Weights()
        self._reserving = partial(_Reservations, self._monotonic, draw, weights)
        self._turns = Turns(Shares(concurrency, self._factor, weights=weights)) if concurrency else None
        self._usual_seconds: float | None = None
        self._reservations, self._reserved_places = self._reserving(), self._reserving()
        self._pauses: dict[str, _Pause] = {}

    async def begin(self, model: str, tenant_id: str, patience: float, *, queued: bool) -> OnEnd:
        """Takes a slot, which is free again once the returned function is called with the call's end. An end that says
        until when the upstream's own limit is used up pauses `model` until then; where what the upstream said was false
        several times in a row, it may pause for longer, and the error says how long.

        While all places are taken, it waits for the tenant's turn, at most `patience` seconds. Without a free slot it
        raises ProviderError. Its `retry_after` is the time of a slot reserved for a `queued` call; for other calls it
        is the shortest wait possible, and nothing is reserved.
        """
        self._callers.note(tenant_id, self._monotonic(), queued=queued)
        self._check_rate(model, tenant_id, queued=queued)
        if self._turns is not None:
            # Where a factor has grown with time, this call overtakes none that waits.
            self._turns.grant()
            if not self._turns.take(tenant_id):
                await self._wait(self._turns, tenant_id, patience, queued=queued)
                try:
                    self._check_rate(model, tenant_id, queued=queued)
                except ProviderError:
                    self._turns.give(tenant_id)
                    raise
        now = self._monotonic()
        if self._minute is not None:
            self._minute.begin(tenant_id, now)
            if queued:
                self._reservations.began(tenant_id, self._minute.spacing(tenant_id))
        return partial(self._end, model, tenant_id, now)

    def _check_rate(self, model: str, tenant_id: str, *, queued: bool) -> None:
        now = self._monotonic()
        if (pause := self._pauses.get(model)) is not None and now < pause.until:
            spacing = SPACING_AFTER_PAUSE if self._minute is None else self._minute.spacing(tenant_id)
            words = f"{self._name} limits the rate of calls"
            raise pause.reservations.refusal(words, tenant_id, pause.until, spacing, queued=queued)
        minute = self._minute
        if minute is None:
            return
        opens_at = minute.opens_at(tenant_id, now)
        if opens_at is None and queued:
            opens_at = self._reservations.turn(tenant_id, minute.spacing(tenant_id))
        if opens_at is not None:
            words = f"all {self._per_minute} calls a minute that {self._name} is asked at most are used up"
            raise self._reservations.refusal(words, tenant_id, opens_at, minute.spacing(tenant_id), queued=queued)

    async def _wait(self, turns: Turns, tenant_id: str, patience: float, *, queued: bool) -> None:
        if patience > 0 and not (queued and turns.waiting(tenant_id) >= WAITING_JOBS * self._concurrency):
            try:
                await turns.wait(tenant_id, patience)
            except TimeoutError:
                pass
            else:
                return
        words = f"all {self._concurrency} calls that {self._name} is asked at once are under way"
        spacing = CONCURRENCY_SPACING * (self._usual_seconds or FIRST_GUESS) / self._concurrency
        opens_at = self._monotonic() + spacing * max(1, turns.tenants)
        raise self._reserved_places.refusal(words, tenant_id, opens_at, spacing, queued=queued)

    def _factor(self, tenant_id: str) -> float:
        """That of a tenant's places; a finite one for all of them, since a factor is multiplied by nought, too."""
        return min(self._callers.factor(tenant_id), self._concurrency)

    def pause(self, model: str, seconds: float, false_waits: int = 0) -> None:
        """Refuses calls of `model` for this time, a day at most."""
        now = self._monotonic()
        known_from = now - REMEMBERED_AFTER_PAUSE
        self._pauses = {name: pause for name, pause in self._pauses.items() if pause.until > known_from}
        until = now + min(seconds, RETRY_AFTER_LIMIT)
        if (pause := self._pauses.get(model)) is not None and now < pause.until:
            pause.until = max(until, pause.until)
        else:
            self._pauses[model] = _Pause(until, false_waits, self._reserving())

    def _end(self, model: str, tenant_id: str, started: float, error: BaseException | None) -> None:
        seconds = self._monotonic() - started
        if self._turns is not None:
            self._turns.give(tenant_id)
        usual = seconds if self._usual_seconds is None else self._usual_seconds
        self._usual_seconds = usual + (seconds - usual) / 10
        pause = self._pauses.get(model)
        was_false = pause is not None and started >= pause.until
        if error is None and was_false:
            del self._pauses[model]
        if not isinstance(error, ProviderError) or error.retry_after is None:
            return
        if error.failure.code is ErrorCode.UPSTREAM_RATE_LIMITED:
            false_waits = 0 if pause is None else pause.false_waits + was_false
            error.retry_after = _grown(error.retry_after, false_waits)
            self.pause(model, error.retry_after, false_waits)
            seconds = min(error.retry_after, RETRY_AFTER_LIMIT)
            self._health.rests(self._name, model, seconds, error.failure.code)
            self._log.warning("model_paused", provider=self._name, model=model, seconds=round(seconds, 1))


def _grown(named: float, false_waits: int) -> float:
    """The wait that an upstream names, and no less than 2 s after the first false one beyond those tolerated, 4 s after
    the second, and so on. It is not multiplied: an upstream that was wrong about seconds may be right about minutes."""
    beyond = false_waits - TOLERATED_FALSE_WAITS
    return max(named, min(2.0 ** min(beyond, 16), LONGEST_GROWN_WAIT)) if beyond > 0 else named


class LimitedProvider:
    """Implements `Provider` over another one, for calls that the limiter lets pass. `default_model` answers requests
    that name none."""

    def __init__(self, provider: Provider, limiter: UpstreamLimiter, default_model: str) -> None:
        self._provider = provider
        self._limiter = limiter
        self._default_model = default_model
        self.name = provider.name

    async def send(self, request: ChatRequest) -> Reply:
        model = request.body.get("model") or self._default_model
        patience = request.timeout if request.patient else 0.0
        end = await self._limiter.begin(model, request.tenant_id, patience, queued=request.queued)
        try:
            reply = await self._provider.send(request)
        except BaseException as error:
            end(error)
            raise
        if isinstance(reply, StreamedReply):
            reply.when_over(end)
        else:
            end(None)
        return reply

    async def models(self) -> ModelList:
        """Takes no slot: lists are few, and cached."""
        return await self._provider.models()

    async def close(self) -> None:
        await self._provider.close()
