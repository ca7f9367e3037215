"""Waiting in turn for places that are short."""

import asyncio
from collections.abc import Callable

import pytest

from answerback.kernel.shares import Shares
from answerback.kernel.turns import Turns

SECOND = 1.0


class Pool:
    """Waiters, and the tenants that were granted a place, in order."""

    def __init__(self, places: int, factor: float | None = None) -> None:
        self.turns = Turns(Shares(places, places if factor is None else factor))
        self.granted: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def enter(self, *tenants: str, seconds: float | None = None) -> list[asyncio.Task[None]]:
        """Each waits for a place and keeps it."""

        async def take(tenant_id: str) -> None:
            await self.turns.wait(tenant_id, seconds)
            self.granted.append(tenant_id)

        tasks = [asyncio.ensure_future(take(tenant_id)) for tenant_id in tenants]
        self.tasks += tasks
        await settle()
        return tasks

    async def give(self, *tenants: str) -> None:
        for tenant_id in tenants:
            self.turns.give(tenant_id)
            await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_place_is_taken_at_once() -> None:
    turns = Turns(Shares(2, 2))

    assert [turns.take("a"), turns.take("b"), turns.take("c")] == [True, True, False]


async def test_places_go_from_tenant_to_tenant_however_many_wait_for_each() -> None:
    pool = Pool(1)
    await pool.enter("a", "a", "a", "a", "b", "b", "c")

    for _ in range(6):
        await pool.give(pool.granted[-1])

    assert pool.granted == ["a", "a", "b", "c", "a", "b", "a"]


async def test_a_newcomer_is_next() -> None:
    pool = Pool(1)
    await pool.enter("a", *["a"] * 50)
    await pool.give("a")

    await pool.enter("b")
    await pool.give("a")

    assert pool.granted == ["a", "a", "b"]


async def test_a_tenant_at_its_share_waits_for_a_place_of_its_own_and_others_find_one() -> None:
    pool = Pool(10, factor=4.0)
    await pool.enter(*["a"] * 20)
    assert pool.granted == ["a"] * 8

    await pool.enter("b", "c")
    assert pool.granted[8:] == ["b", "c"]

    await pool.give("b", "a", "c")
    assert pool.granted[10:] == ["a"]


async def test_a_waiter_whose_time_is_over_leaves_the_line() -> None:
    pool = Pool(1)
    await pool.enter("a")

    with pytest.raises(TimeoutError):
        await pool.turns.wait("b", 0.001)

    assert (pool.turns.waiting("b"), pool.turns.tenants) == (0, 0)
    await pool.give("a")
    assert pool.turns.take("a")


async def test_a_cancelled_waiter_takes_no_place() -> None:
    pool = Pool(1)
    await pool.enter("a")
    first, _ = await pool.enter("b", "c")

    first.cancel()
    await pool.give("a")

    assert pool.granted == ["a", "c"]


def cancelled_before(task: "asyncio.Task[None]", give: Callable[[], None]) -> None:
    task.cancel()
    give()


def cancelled_after(task: "asyncio.Task[None]", give: Callable[[], None]) -> None:
    give()
    task.cancel()


@pytest.mark.parametrize("race", [cancelled_before, cancelled_after])
async def test_a_waiter_that_is_cancelled_in_the_moment_of_the_grant_hands_the_place_on(
    race: Callable[["asyncio.Task[None]", Callable[[], None]], None],
) -> None:
    pool = Pool(1)
    await pool.enter("a")
    first, _ = await pool.enter("b", "c")

    race(first, lambda: pool.turns.give("a"))
    await settle()

    assert first.cancelled()
    assert pool.granted == ["a", "c"]
    await pool.give("c")
    assert pool.turns.take("a")


async def test_however_waiters_come_and_go_no_place_is_lost_and_none_is_taken_twice() -> None:
    turns, held = Turns(Shares(3, 3)), 0
    loop = asyncio.get_running_loop()

    async def visit(n: int) -> None:
        nonlocal held
        tenant_id = f"t{n % 4}"
        await turns.wait(tenant_id, 0.0001 * (n % 5) or None)
        held += 1
        assert held <= 3
        try:
            for _ in range(n % 3):
                await asyncio.sleep(0)
        finally:
            held -= 1
            turns.give(tenant_id)

    visits = [asyncio.ensure_future(visit(n)) for n in range(500)]
    for n, each in enumerate(visits):
        if n % 7 == 0:
            loop.call_soon(each.cancel)
        if n % 11 == 0:
            await asyncio.sleep(0)
    ended = await asyncio.gather(*visits, return_exceptions=True)

    assert all(end is None or isinstance(end, TimeoutError | asyncio.CancelledError) for end in ended)
    assert [turns.take("x") for _ in range(4)] == [True, True, True, False]
