"""Conversations on each database, and in Redis."""

import pytest
from conversation_record import Record

from stores import Stores


@pytest.fixture
def record(stores: Stores) -> Record:
    return Record(stores.database)
