"""Jobs that find a minute's calls used up come back at reserved slots: tenants share these, also where
one reserved all of them before another came."""

import heapq
from bisect import bisect_left
from collections.abc import Mapping

import pytest

from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.shares import Weights
from answerback.llm.limiter import UpstreamLimiter
from answerback.testing.clock import FakeClock
from builders import Journal

PER_MINUTE = 60


class Minutes:
    """When the calls of each tenant began, in seconds, if its jobs come at these times."""

    def __init__(self, weights: Mapping[str, int] | None = None) -> None:
        self._clock = FakeClock()
        weighing = Weights()
        weighing.set(weights or {})
        self._limiter = UpstreamLimiter(
            "llm", Instruments(Journal(), self._clock), per_minute=PER_MINUTE, weights=weighing
        )
        self.began: dict[str, list[float]] = {}

    async def play(self, coming: Mapping[str, list[float]], until: float) -> None:
        start = self._clock.monotonic()
        jobs = [(at, number, tenant) for tenant, times in coming.items() for number, at in enumerate(times)]
        heapq.heapify(jobs)
        while jobs and jobs[0][0] < until:
            at, number, tenant = heapq.heappop(jobs)
            self._clock.advance(max(0.0, start + at - self._clock.monotonic()))
            try:
                await self._limiter.begin("m", tenant, 0.0, queued=True)
            except ProviderError as error:
                heapq.heappush(jobs, (at + (error.retry_after or until), number, tenant))
            else:
                self.began.setdefault(tenant, []).append(at)

    def calls(self, tenant: str, since: float, until: float) -> int:
        began = self.began[tenant]
        return bisect_left(began, until) - bisect_left(began, since)


async def test_a_tenants_backlog_delays_no_other_tenants_calls_and_leaves_no_slot_empty() -> None:
    minutes = Minutes()

    await minutes.play({"many": [0.0] * 2_000, "few": [200 + n / 10 for n in range(5)]}, until=600)

    assert len(minutes.began["few"]) == 5
    assert max(minutes.began["few"]) < 200 + 20
    assert len(minutes.began["many"]) > 0.95 * 600


@pytest.mark.parametrize("weight", [1, 3])
async def test_beside_one_that_reserved_slots_before_another_tenant_gets_its_share(weight: int) -> None:
    minutes = Minutes({"later": weight})

    await minutes.play({"first": [0.0] * 3_000, "later": [200.0] * 3_000}, until=1_400)

    for since in range(200, 1_400, 200):
        first, later = (minutes.calls(tenant, since, since + 200) for tenant in ("first", "later"))
        assert first + later > 0.95 * 200
        assert later / (first + later) == pytest.approx(weight / (weight + 1), rel=0.05)


async def test_once_the_others_have_no_jobs_left_a_tenant_gets_all_calls_again() -> None:
    minutes = Minutes()

    await minutes.play({"first": [0.0] * 3_000, "later": [200.0] * 100}, until=900)

    # A hundred at half the pace, and what was reserved meanwhile.
    assert max(minutes.began["later"]) < 200 + 2 * 100 * 1.05
    assert minutes.calls("first", 500, 900) > 0.95 * 400
