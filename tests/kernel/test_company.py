"""Whether several have work."""

from answerback.kernel.company import LATELY_SECONDS, Company
from answerback.testing.clock import FakeClock


def test_one_that_is_met_over_and_over_is_alone() -> None:
    company = Company(FakeClock().monotonic)

    for _ in range(3):
        company.met("a")

    assert not company.several


def test_two_are_company_until_one_was_not_met_for_a_while() -> None:
    clock = FakeClock()
    company = Company(clock.monotonic)
    company.met("a")
    company.met("b")
    assert company.several

    clock.advance(LATELY_SECONDS)
    company.met("a")

    assert not company.several


def test_two_that_come_one_long_after_the_other_are_alone() -> None:
    clock = FakeClock()
    company = Company(clock.monotonic)
    company.met("a")
    clock.advance(LATELY_SECONDS)
    company.met("b")

    assert not company.several
