"""Shares of a pool whose places cannot be taken back."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerback.kernel.shares import Shares, Weights, with_batch


def filled(shares: Shares, tenant_id: str) -> int:
    """How many places the tenant takes, one after another."""
    taken = 0
    while shares.allowance(tenant_id):
        shares.take(tenant_id)
        taken += 1
    return taken


def test_a_tenant_alone_takes_four_fifths_and_a_newcomer_four_fifths_of_the_rest() -> None:
    shares = Shares(1000, 4.0)

    assert [filled(shares, each) for each in ("a", "b", "c")] == [800, 160, 32]
    assert shares.free == 8


def test_a_tenant_at_its_limit_takes_another_place_when_others_leave() -> None:
    shares = Shares(10, 4.0)
    filled(shares, "a")
    shares.take("b")
    assert shares.allowance("a") == 0

    shares.give("b")
    shares.give("a")

    assert shares.allowance("a") == 1


@pytest.mark.parametrize("capacity", [1, 2, 3, 5])
def test_the_smallest_pools_work(capacity: int) -> None:
    shares = Shares(capacity, 4.0)

    assert filled(shares, "a") >= 1


def weighing(**of: int) -> Weights:
    weights = Weights()
    weights.set(of)
    return weights


def test_tenants_that_want_more_than_there_is_hold_places_as_they_weigh() -> None:
    shares, luck = Shares(1000, 4.0, weights=weighing(a=3)), random.Random(7)
    held = ["b"] * filled(shares, "b")

    for _ in range(5_000):
        left = held.pop(luck.randrange(len(held)))
        shares.give(left)
        held += [each for each in ("a", "b") for _ in range(filled(shares, each))]

    assert held.count("a") / held.count("b") == pytest.approx(3.0, rel=0.05)
    assert shares.allowance("newcomer") > 50


def test_a_light_tenant_alone_has_as_many_places_as_a_heavy_one_alone() -> None:
    weights = weighing(a=3)

    assert [filled(Shares(1000, 4.0, weights=weights), each) for each in "ab"] == [800, 800]


@given(st.lists(st.sampled_from("abcd"), max_size=200))
def test_no_tenant_may_take_fewer_than_the_least(takers: list[str]) -> None:
    shares = Shares(50, 4.0, weights=weighing(a=2, b=7))
    for taker in takers:
        if shares.allowance(taker):
            shares.take(taker)

    assert shares.least == min(shares.allowance(each) for each in (*takers, "newcomer"))


@given(st.integers(1, 200), st.sampled_from([0.5, 1.0, 4.0, 9.5]), st.lists(st.sampled_from("abc"), max_size=200))
def test_an_allowance_is_as_many_as_could_be_taken_one_by_one(capacity: int, factor: float, takers: list[str]) -> None:
    shares = Shares(capacity, factor, weights=weighing(b=2))
    for taker in takers:
        if shares.allowance(taker):
            shares.take(taker)

    for tenant_id in "abc":
        allowed = shares.allowance(tenant_id)
        assert 0 <= allowed <= shares.free
        assert filled(shares, tenant_id) == allowed
        for _ in range(allowed):
            shares.give(tenant_id)


def test_batch_work_gets_half_of_what_interactive_work_leaves_and_a_twentieth() -> None:
    interactive, batch = with_batch(100, 1_000.0)

    assert filled(batch, "b") == 50 + 5
    assert filled(interactive, "i") == 50, "an interactive burst finds the other half free"
    batch.give("b", 30)
    assert filled(interactive, "i") == 30, "what batch work leaves is for interactive work first"
    assert batch.free == 0
    interactive.give("i", 80)

    assert filled(batch, "b") == 30


@pytest.mark.parametrize(("capacity", "on_top"), [(1_000, 50), (100, 5), (20, 1), (2, 1), (1, 1)])
def test_interactive_work_may_have_all_places_and_batch_work_never_stands_still(capacity: int, on_top: int) -> None:
    interactive, batch = with_batch(capacity, 1_000.0)

    assert filled(interactive, "i") == capacity
    assert filled(batch, "b") == on_top


def test_batch_work_of_several_tenants_is_shared() -> None:
    _, batch = with_batch(100, 4.0)

    assert [filled(batch, each) for each in ("a", "b", "c")] == [44, 9, 2]


@given(st.integers(1, 60), st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.booleans()), max_size=300))
def test_no_more_places_are_taken_than_there_are(capacity: int, steps: list[tuple[bool, str, bool]]) -> None:
    interactive, batch = with_batch(capacity, 4.0)
    held: list[tuple[Shares, str]] = []

    for is_batch, tenant_id, leaves in steps:
        shares = batch if is_batch else interactive
        if leaves and held:
            of, who = held.pop()
            of.give(who)
        elif shares.allowance(tenant_id):
            shares.take(tenant_id)
            held.append((shares, tenant_id))
        assert interactive.taken <= capacity
        assert interactive.taken + batch.taken <= capacity + max(1, capacity // 20)
