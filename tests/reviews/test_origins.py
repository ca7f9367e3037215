"""How fast one origin may be asked for a tenant's files, in any number of reviews."""

import pytest
from yarl import URL

from answerback.reviews.files import origins
from answerback.reviews.files.origins import BURST_SECONDS, BYTES_PER_SECOND, OriginPace
from answerback.testing.clock import FakeClock

HERE = URL("http://files.example/a?b")
MIB = 1024 * 1024


def begun(pace: OriginPace, tries: int, url: URL = HERE, tenant: str = "t1") -> int:
    return sum(pace.begin(tenant, url) == 0 for _ in range(tries))


def test_a_minutes_worth_may_come_at_once_and_then_a_file_a_second(clock: FakeClock) -> None:
    pace = OriginPace(clock.monotonic)

    assert begun(pace, 200) == BURST_SECONDS
    assert 0 < pace.begin("t1", HERE) <= 1.0
    clock.advance(10)
    assert begun(pace, 200) == 10


def test_in_seventy_five_seconds_a_third_party_sends_little(clock: FakeClock) -> None:
    pace, received = OriginPace(clock.monotonic), 0
    for _ in range(75):
        while pace.begin("t1", HERE) == 0:
            pace.received("t1", HERE, 2 * MIB)
            received += 2 * MIB
        clock.advance(1)

    assert received < (BURST_SECONDS + 75) * BYTES_PER_SECOND


def test_a_tenants_files_use_up_no_others_pace_at_the_same_origin() -> None:
    pace = OriginPace(lambda: 0.0)
    begun(pace, 200)

    assert begun(pace, 200, tenant="t2") == BURST_SECONDS


def test_another_path_is_the_same_origin_and_another_port_is_not() -> None:
    pace = OriginPace(lambda: 0.0)
    begun(pace, 200)

    assert begun(pace, 1, URL("http://FILES.example:80/other")) == 0
    assert begun(pace, 1, URL("http://files.example:8080/a")) == 1


def test_an_idle_origin_saves_nothing_up(clock: FakeClock) -> None:
    pace = OriginPace(clock.monotonic)
    pace.begin("t1", HERE)
    clock.advance(10_000)

    assert begun(pace, 200) == BURST_SECONDS


def test_origins_are_forgotten(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "MAX_ORIGINS", 100)
    pace = OriginPace(clock.monotonic)
    for n in range(200):
        pace.begin("t1", URL(f"http://n{n}.example/"))

    assert len(vars(pace)["_paid_until"]) <= 100
