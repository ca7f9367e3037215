"""Reviews on each database, and a desk where they are handed in and run."""

import pytest
from review_desk import Desk

from answerback.testing.clock import FakeClock
from builders import Journal
from stores import Stores


@pytest.fixture
def desk(stores: Stores, clock: FakeClock, journal: Journal) -> Desk:
    return Desk(stores, clock, journal)
