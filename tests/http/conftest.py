"""Idempotency records on each of the two databases."""

import pytest

from answerback.database.operation import Database
from answerback.http.idempotency_store import IdempotencyStore
from stores import Stores


@pytest.fixture
def opened(stores: Stores) -> Database:
    return stores._database


@pytest.fixture
def idempotency(opened: Database) -> IdempotencyStore:
    return IdempotencyStore(opened)
