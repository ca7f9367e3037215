"""Idempotency records on each of the two databases."""

import pytest

from answerback.database.operation import Database
from answerback.http.idempotency_store import IdempotencyStore
from stores import Stores


@pytest.fixture
def opened(stores: Stores) -> Database:
    return stores.database


@pytest.fixture
def idempotency(stores: Stores) -> IdempotencyStore:
    return stores.idempotency
