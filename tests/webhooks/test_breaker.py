"""How much each origin is called, on a clock that only moves when a test moves it."""

import pytest

from answerback.testing.clock import FakeClock
from answerback.webhooks.limits import breaker
from answerback.webhooks.limits.breaker import CAP, CircuitBreakers
from answerback.webhooks.model import OriginKey, OriginRoom
from answerback.webhooks.sending.outcome import AttemptEnd

HERE, THERE = OriginKey("tenant", "https://here.example:443"), OriginKey("tenant", "https://there.example:443")
ANSWERED, BUSY, UNREACHED, CANCELLED = AttemptEnd.ANSWERED, AttemptEnd.BUSY, AttemptEnd.UNREACHED, AttemptEnd.CANCELLED


@pytest.fixture
def breakers(clock: FakeClock) -> CircuitBreakers:
    return CircuitBreakers(clock.monotonic)


def free(breakers: CircuitBreakers, key: OriginKey = HERE) -> int:
    return breakers.look(key).free


def begin(breakers: CircuitBreakers, count: int = 1, key: OriginKey = HERE) -> None:
    for _ in range(count):
        assert free(breakers, key)
        breakers.began(key)


def attempt(breakers: CircuitBreakers, end: AttemptEnd, seconds: float = 0.0, key: OriginKey = HERE) -> bool:
    begin(breakers, key=key)
    return breakers.ended(key, end, seconds)


def break_open(breakers: CircuitBreakers, key: OriginKey = HERE) -> None:
    for _ in range(5):
        attempt(breakers, UNREACHED, key=key)


class TestTheConcurrencyLimit:
    def test_so_many_at_once_and_no_more(self, breakers: CircuitBreakers) -> None:
        assert free(breakers) == 64
        begin(breakers, 64)
        assert free(breakers) == 0

    def test_an_end_frees_a_place_and_says_that_it_was_the_first(self, breakers: CircuitBreakers) -> None:
        begin(breakers, 64)
        breakers.ended(THERE, ANSWERED, 0.1)
        assert breakers.ended(HERE, CANCELLED, 0.1)
        assert free(breakers) == 1
        assert not breakers.ended(HERE, CANCELLED, 0.1)

    def test_one_origin_never_slows_another_nor_one_tenant_another(self, breakers: CircuitBreakers) -> None:
        begin(breakers, 64)
        break_open(breakers, THERE)
        assert free(breakers, HERE._replace(origin="https://third.example:443")) == 64
        assert free(breakers, THERE._replace(tenant_id="another")) == 64


class TestAReservedPlace:
    def test_counts_until_it_is_given_back_or_its_attempt_ends(self, breakers: CircuitBreakers) -> None:
        for _ in range(64):
            assert breakers.reserve(HERE)
        assert not breakers.reserve(HERE)
        assert free(breakers) == 0

        assert breakers.give_back(HERE), "one more may begin now"
        breakers.began(HERE, reserved=True)
        breakers.ended(HERE, ANSWERED, 0.1)

        assert free(breakers) == 2

    def test_is_the_only_one_behind_deliveries_that_are_due_until_its_attempt_begins(
        self, breakers: CircuitBreakers
    ) -> None:
        assert breakers.reserve(HERE)
        breakers.give_back(HERE, behind=True)

        assert breakers.reserve(HERE)
        assert not breakers.reserve(HERE), "those in front need the other places"
        assert free(breakers) == 63
        breakers.give_back(HERE, behind=True)
        assert breakers.reserve(HERE)
        breakers.began(HERE, reserved=True)

        assert breakers.reserve(HERE)
        assert breakers.reserve(HERE)

    def test_says_nothing_of_the_origin_when_it_is_given_back(
        self, breakers: CircuitBreakers, clock: FakeClock
    ) -> None:
        begin(breakers)
        clock.advance(1)
        breakers.ended(HERE, BUSY, 0.5)
        begin(breakers, 32)
        clock.advance(breaker.PATIENCE_SECONDS * 1.5)
        assert free(breakers) == 1, "32 hang"

        assert breakers.reserve(HERE)
        breakers.give_back(HERE)

        assert free(breakers) == 1

    def test_there_is_none_for_a_probe(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        break_open(breakers)
        clock.advance(30)
        assert free(breakers) == 1
        assert not breakers.reserve(HERE), "what has waited longest is the probe"

        attempt(breakers, ANSWERED)

        assert breakers.reserve(HERE)


class TestTheBreaker:
    def test_opens_after_five_failures_in_a_row(self, breakers: CircuitBreakers) -> None:
        for end in [UNREACHED] * 4 + [ANSWERED] + [UNREACHED] * 4:
            attempt(breakers, end)
        assert not breakers.is_open(HERE)
        attempt(breakers, UNREACHED)
        assert breakers.look(HERE) == OriginRoom(0, opens_in=5.0)
        assert breakers.is_open(HERE)

    def test_then_lets_one_probe_through(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        break_open(breakers)
        clock.advance(4.5)
        assert breakers.look(HERE).opens_in == pytest.approx(0.5)
        clock.advance(0.5)
        begin(breakers)
        assert breakers.look(HERE) == OriginRoom(0)

    def test_lets_a_probe_through_at_once_where_it_is_said_to_answer_again(self, breakers: CircuitBreakers) -> None:
        another = HERE._replace(tenant_id="another")
        for key in (HERE, THERE, another):
            break_open(breakers, key)
        breakers.answers_again("tenant", HERE.origin)
        assert [breakers.look(each).free for each in (HERE, THERE, another)] == [1, 0, 0]
        breakers.answers_again("tenant")
        assert [breakers.look(each).free for each in (HERE, THERE, another)] == [1, 1, 0]
        attempt(breakers, UNREACHED)
        assert breakers.look(HERE) == OriginRoom(0, opens_in=5.0)

    def test_closes_when_the_probe_is_answered(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        break_open(breakers)
        clock.advance(30)
        assert attempt(breakers, ANSWERED)
        assert not breakers.is_open(HERE)
        assert free(breakers) == 1

    def test_waits_for_a_part_of_the_outage_up_to_a_limit(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        break_open(breakers)
        pauses = []
        for _ in range(14):
            pause = breakers.look(HERE).opens_in
            assert pause is not None
            pauses.append(round(pause))
            clock.advance(pause)
            attempt(breakers, UNREACHED)
        assert pauses == [5, 5, 5, 5, 5, 6, 8, 10, 12, 15, 19, 24, 30, 37]
        clock.advance(3_600)
        attempt(breakers, UNREACHED)
        assert breakers.look(HERE).opens_in == pytest.approx(60.0)

    def test_waits_longer_where_attempts_hang(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        for _ in range(5):
            attempt(breakers, UNREACHED, seconds=20.0)
        assert breakers.look(HERE).opens_in == pytest.approx(300.0)

    def test_does_not_count_what_hung_while_another_path_answered(
        self, breakers: CircuitBreakers, clock: FakeClock
    ) -> None:
        for _ in range(6):
            begin(breakers)
        clock.advance(10)
        attempt(breakers, ANSWERED)
        clock.advance(10)
        for _ in range(6):
            breakers.ended(HERE, UNREACHED, 20.0)
        assert not breakers.is_open(HERE)

    def test_starts_over_after_a_response(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        break_open(breakers)
        clock.advance(3_600)
        attempt(breakers, UNREACHED)
        clock.advance(60)
        attempt(breakers, ANSWERED)
        for _ in range(5):
            attempt(breakers, UNREACHED)
        assert breakers.look(HERE).opens_in == pytest.approx(5.0)

    def test_attempts_from_before_it_opened_say_nothing_of_the_probe(
        self, breakers: CircuitBreakers, clock: FakeClock
    ) -> None:
        # Given twenty attempts under way when the breaker opens
        begin(breakers, 20)
        for _ in range(5):
            breakers.ended(HERE, UNREACHED, 0.1)
        clock.advance(30)
        begin(breakers)
        # When the others fail while the probe is out
        for _ in range(15):
            breakers.ended(HERE, UNREACHED, 30.1)
        assert breakers.look(HERE) == OriginRoom(0)
        # Then the probe still decides
        clock.advance(1)
        breakers.ended(HERE, ANSWERED, 1.0)
        assert free(breakers) == 1

    def test_a_probe_that_was_given_up_is_made_again(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        break_open(breakers)
        clock.advance(30)
        begin(breakers)
        clock.advance(2)
        breakers.ended(HERE, CANCELLED, 2.0)
        assert attempt(breakers, UNREACHED) is False
        assert breakers.look(HERE).opens_in == pytest.approx(8.0, abs=0.1)


class TestAProbeBeforeItsTurn:
    """What could not be reached does not wait for its schedule's step."""

    def test_is_made_when_a_pause_is_over(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        attempt(breakers, UNREACHED)
        assert not breakers.look(HERE).probes
        clock.advance(5)
        assert breakers.look(HERE) == OriginRoom(CAP, probes=True)

    def test_is_made_by_a_half_open_breaker(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        break_open(breakers)
        assert not breakers.look(HERE).probes
        clock.advance(5)
        assert breakers.look(HERE) == OriginRoom(1, probes_only=True)

    def test_is_one_at_a_time(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        attempt(breakers, UNREACHED)
        clock.advance(5)
        breakers.began(HERE, early=True)
        assert not breakers.look(HERE).probes
        breakers.ended(HERE, UNREACHED, 0.1)
        assert not breakers.look(HERE).probes
        clock.advance(5)
        assert breakers.look(HERE).probes

    def test_that_is_answered_is_a_recovery(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        """However soon after another one."""
        for _ in range(3):
            attempt(breakers, UNREACHED)
            clock.advance(5)
            breakers.began(HERE, early=True)
            breakers.ended(HERE, ANSWERED, 0.1)
            assert breakers.look(HERE).recovered_for == 0.0
            clock.advance(30)
            breakers.drained(HERE)
            assert breakers.look(HERE).recovered_for is None

    def test_is_made_where_only_the_row_knows_of_a_failure(self, breakers: CircuitBreakers) -> None:
        """As after a start of this process."""
        assert breakers.look(HERE, unreached=True).probes
        breakers.began(HERE, early=True)
        assert not breakers.look(HERE, unreached=True).probes
        breakers.ended(HERE, ANSWERED, 0.1)
        assert not breakers.look(HERE, unreached=True).probes


class TestTheWindow:
    def test_narrows_when_a_receiver_asks_for_less_once_a_burst(
        self, breakers: CircuitBreakers, clock: FakeClock
    ) -> None:
        begin(breakers, 64)
        clock.advance(0.1)
        for _ in range(64):
            breakers.ended(HERE, BUSY, 0.1)
        assert free(breakers) == 32
        assert not breakers.is_open(HERE)

    def test_of_an_origin_that_is_owed_something_late_starts_with_one(self, breakers: CircuitBreakers) -> None:
        assert breakers.look(HERE, late=True).free == 1
        breakers.began(HERE, late=True)
        assert free(breakers) == 0


class TestARecovery:
    """After it, what waits because the origin could not be reached is due."""

    def test_is_a_response_after_a_failure(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        attempt(breakers, UNREACHED)
        assert breakers.look(HERE).recovered_for is None
        assert attempt(breakers, BUSY)
        clock.advance(3)
        assert breakers.look(HERE).recovered_for == pytest.approx(3.0)

    def test_is_the_first_response_that_this_process_hears(self, breakers: CircuitBreakers) -> None:
        """What waits may be from before its start."""
        assert attempt(breakers, ANSWERED)
        assert breakers.look(HERE).recovered_for == 0.0

    def test_lasts_until_nothing_waits_and_attempts_from_before_have_ended(
        self, breakers: CircuitBreakers, clock: FakeClock
    ) -> None:
        attempt(breakers, ANSWERED)
        clock.advance(29.9)
        breakers.drained(HERE)
        assert breakers.look(HERE).recovered_for is not None
        clock.advance(0.1)
        breakers.drained(HERE)
        assert breakers.look(HERE).recovered_for is None

    def test_comes_with_every_closing_of_the_breaker(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        attempt(breakers, ANSWERED)
        for _ in range(5):
            attempt(breakers, UNREACHED)
        clock.advance(30)
        attempt(breakers, ANSWERED)
        assert breakers.look(HERE).recovered_for == 0.0

    def test_follows_soon_on_the_first_response_where_the_receiver_was_restarted(
        self, breakers: CircuitBreakers, clock: FakeClock
    ) -> None:
        attempt(breakers, ANSWERED)
        clock.advance(2)
        attempt(breakers, UNREACHED)
        clock.advance(8)
        attempt(breakers, ANSWERED)
        assert breakers.look(HERE).recovered_for == 0.0

    def test_comes_seldom_where_only_some_attempts_fail(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        """A path that always hangs is not tried each time that another path answers."""
        recoveries = 0
        for _ in range(600):
            attempt(breakers, UNREACHED)
            clock.advance(0.5)
            attempt(breakers, ANSWERED)
            recoveries += breakers.look(HERE).recovered_for == 0.0
            clock.advance(0.5)
        # At the first response, at the next one, and five minutes later.
        assert recoveries == 3


class TestMemory:
    def test_idle_origins_are_forgotten(self, breakers: CircuitBreakers, clock: FakeClock) -> None:
        for n in range(100):
            attempt(breakers, ANSWERED, key=OriginKey("tenant", f"https://{n}.example:443"))
        clock.advance(901)
        for n in range(100, 130):
            attempt(breakers, ANSWERED, key=OriginKey("tenant", f"https://{n}.example:443"))
        assert len(breakers) == 30

    def test_never_more_than_the_bound_however_many_are_dead(
        self, breakers: CircuitBreakers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(breaker, "MAX_ORIGINS", 100)
        for n in range(500):
            break_open(breakers, OriginKey("tenant", f"https://{n}.example:443"))
        assert len(breakers) <= 100

    def test_an_origin_in_use_is_kept(self, breakers: CircuitBreakers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(breaker, "MAX_ORIGINS", 3)
        begin(breakers)
        for n in range(50):
            attempt(breakers, ANSWERED, key=OriginKey("tenant", f"https://{n}.example:443"))
        assert free(breakers) == CAP - 1

    def test_the_end_of_an_attempt_at_a_forgotten_origin_is_no_error(self, breakers: CircuitBreakers) -> None:
        assert not breakers.ended(HERE, ANSWERED, 1.0)
        assert len(breakers) == 0
