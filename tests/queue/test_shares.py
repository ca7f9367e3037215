"""Shares of a pool whose places cannot be taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerback.queue.shares import Shares


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


@given(st.integers(1, 200), st.sampled_from([0.5, 1.0, 4.0, 9.5]), st.lists(st.sampled_from("abc"), max_size=200))
def test_an_allowance_is_as_many_as_could_be_taken_one_by_one(capacity: int, factor: float, takers: list[str]) -> None:
    shares = Shares(capacity, factor)
    for taker in takers:
        if shares.allowance(taker):
            shares.take(taker)

    for tenant_id in "abc":
        allowed = shares.allowance(tenant_id)
        assert 0 <= allowed <= shares.free
        assert filled(shares, tenant_id) == allowed
        for _ in range(allowed):
            shares.give(tenant_id)
