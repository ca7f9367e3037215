"""How fast one address may be asked for a tenant's files, in any number of reviews, under any number of names."""

import time

import pytest

from answerback.reviews.files import address_pace
from answerback.reviews.files.address_pace import BURST_SECONDS, BYTES_PER_SECOND, MAX_ADDRESSES, AddressPace
from answerback.testing.clock import FakeClock

HERE = ("203.0.113.1",)
MIB = 1024 * 1024


def begun(pace: AddressPace, tries: int, addresses: tuple[str, ...] = HERE, tenant: str = "t1") -> int:
    return sum(pace.begin(tenant, addresses) == 0 for _ in range(tries))


def test_a_minutes_worth_may_come_at_once_and_then_a_file_a_second(clock: FakeClock) -> None:
    pace = AddressPace(clock.monotonic)

    assert begun(pace, 200) == BURST_SECONDS
    assert 0 < pace.begin("t1", HERE) <= 1.0
    clock.advance(10)
    assert begun(pace, 200) == 10


def test_in_seventy_five_seconds_a_third_party_sends_little(clock: FakeClock) -> None:
    pace, received = AddressPace(clock.monotonic), 0
    for _ in range(75):
        while pace.begin("t1", HERE) == 0:
            pace.received("t1", HERE, 2 * MIB)
            received += 2 * MIB
        clock.advance(1)

    assert received < (BURST_SECONDS + 75) * BYTES_PER_SECOND


def test_a_tenants_files_use_up_no_others_pace_at_the_same_address() -> None:
    pace = AddressPace(lambda: 0.0)
    begun(pace, 200)

    assert begun(pace, 200, tenant="t2") == BURST_SECONDS


def test_a_name_of_several_addresses_pays_at_each_of_them() -> None:
    pace = AddressPace(lambda: 0.0)

    assert begun(pace, 200, ("203.0.113.2", *HERE)) == BURST_SECONDS
    assert begun(pace, 1) == 0
    assert begun(pace, 1, ("203.0.113.3",)) == 1


def test_an_idle_address_saves_nothing_up(clock: FakeClock) -> None:
    pace = AddressPace(clock.monotonic)
    pace.begin("t1", HERE)
    clock.advance(10_000)

    assert begun(pace, 200) == BURST_SECONDS


def test_addresses_are_forgotten_but_for_those_to_which_most_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_pace, "MAX_ADDRESSES", 100)
    pace = AddressPace(lambda: 0.0)
    begun(pace, 200)
    for n in range(200):
        pace.begin("t1", (f"198.51.100.{n}",))

    assert len(vars(pace)["_paid_until"]) <= 100
    assert begun(pace, 1) == 0


def test_names_of_many_addresses_cost_little() -> None:
    """It takes a fifth of the bound."""
    pace = AddressPace(lambda: 0.0)
    names = [tuple(f"2001:db8::{name:x}:{n:x}" for n in range(32)) for name in range(2 * MAX_ADDRESSES // 32)]
    began = time.thread_time()

    for addresses in names:
        pace.begin("t1", addresses)

    assert time.thread_time() - began < 0.5
