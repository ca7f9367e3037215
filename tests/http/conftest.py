"""Idempotency records on each of the two databases."""

import pytest

from answerback.database.operation import Database
from answerback.http.idempotency_store import IdempotencyStore
from answerback.jobs.store import SqlStore


@pytest.fixture
def opened(store: SqlStore) -> Database:
    return store._database


@pytest.fixture
def idempotency(opened: Database) -> IdempotencyStore:
    return IdempotencyStore(opened)
