"""The indexes that PostgreSQL uses for the statements that a busy service executes all the time."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from answerback.database.postgres.driver import DIALECT
from answerback.database.postgres.session import NO_LOCK_TIMEOUT
from databases import PostgresDatabase, own_database
from hot_statements import HOT


@pytest.fixture(scope="module")
def untouched(postgres_server: str) -> Iterator[PostgresDatabase]:
    """With the schema, and without the statistics that other tests' rows leave behind."""
    with own_database(postgres_server) as database:
        yield database


@pytest.fixture
async def planner(untouched: PostgresDatabase) -> AsyncIterator[Any]:
    """A connection in a transaction with the runner's settings."""
    connection = await asyncpg.connect(untouched.url)
    await connection.execute("BEGIN")
    await connection.execute(NO_LOCK_TIMEOUT)
    yield connection
    await connection.close()


DUMMIES = {"VARCHAR": "''", "TEXT": "''", "BIGINT": "1", "INTEGER": "1", "BYTEA": "''", "NULL": "NULL"}


async def plan(planner: Any, name: str) -> str:
    """The statement's generic plan, which does not depend on its parameters."""
    compiled = HOT[name].postgresql.compile(dialect=DIALECT)
    types = {name: str(bind.type) for bind, name in compiled.bind_names.items()}  # type: ignore[attr-defined]
    values = [DUMMIES.get(types[name], "NULL") for name in compiled.positiontup]  # type: ignore[attr-defined]
    await planner.execute(f"PREPARE hot AS {compiled}")
    arguments = f"({', '.join(values)})" if values else ""
    return "\n".join(line for (line,) in await planner.fetch(f"EXPLAIN (COSTS OFF) EXECUTE hot{arguments}"))


@pytest.mark.parametrize("name", HOT)
async def test_no_hot_statement_reads_a_whole_table(planner: Any, name: str) -> None:
    found = await plan(planner, name)

    assert "Seq Scan" not in found, found
    assert "Parallel" not in found, found


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("CLAIM_JOBS", "jobs_ready"),
        ("NEXT_JOB", "jobs_ready"),
        ("CLAIM_SUSPECT", "jobs_suspect"),
        ("CLAIM_SUSPECT", "jobs_suspect_running"),
        ("CLAIM_DELIVERIES", "deliveries_ready"),
        ("NEXT_DELIVERY", "deliveries_ready"),
        ("CLAIM_OPEN_DELIVERIES", "deliveries_ready"),
        ("NEXT_OPEN_DELIVERY", "deliveries_ready"),
        ("PLACE", "deliveries_ready"),
        ("PLACE", "deliveries_pkey"),
        ("LOST_JOBS", "jobs_leased"),
        ("LOST_DELIVERIES", "deliveries_leased"),
        ("OVERDUE_JOBS", "jobs_deadline"),
        ("UNANSWERED_JOBS", "jobs_awaiting"),
        ("OLD_JOBS", "jobs_finished"),
        ("PRUNE_CONVERSATIONS", "jobs_conversation"),
        ("RELEASE_NEXT_JOB", "jobs_held"),
        ("RELEASE_NEXT_JOB", "jobs_line"),
        ("RELEASE_NEXT_DELIVERY", "deliveries_held"),
        ("RELEASE_NEXT_DELIVERY", "deliveries_line"),
        ("RECENT_TURNS", "turns_pkey"),
        ("FIND_BY_KEY", "jobs_idempotency"),
        # By its id, however empty some partial index looks at the moment.
        ("FINISH", "jobs_pkey"),
        ("END_OPEN", "jobs_pkey"),
        ("REQUEUE", "jobs_pkey"),
        ("EXTEND_JOB", "jobs_pkey"),
        ("RELEASE_JOB", "jobs_pkey"),
        ("TAKE_BACK_JOB", "jobs_pkey"),
        ("REPORT", "deliveries_pkey"),
        ("PRUNE_DELIVERY", "deliveries_pkey"),
    ],
)
async def test_a_hot_statement_uses_the_index_made_for_it(planner: Any, name: str, index: str) -> None:
    found = await plan(planner, name)

    assert f"using {index} on" in found, found
