"""The indexes that SQLite uses for the statements that a busy service executes all the time."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from answerback.database.group_commit import DIALECT
from answerback.database.operation import Statement
from builders import accept, ended_job, raw
from databases import Database, SqliteDatabase
from hot_statements import HOT
from stores import Stores


@pytest.fixture
def database(path: Path) -> Database:
    """SQLite only."""
    return SqliteDatabase(path)


@pytest.fixture
async def connection(stores: Stores, path: Path) -> AsyncIterator[sqlite3.Connection]:
    await ended_job(stores)
    await accept(stores)
    with raw(path) as opened:
        yield opened


def plan(connection: sqlite3.Connection, statement: Statement) -> list[str]:
    compiled = statement.clause.compile(dialect=DIALECT)
    binds = compiled.bind_names  # type: ignore[attr-defined]
    parameters = {name: 1 if bind.required else bind.value for bind, name in binds.items()}
    return [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}", parameters)]


@pytest.mark.parametrize("name", HOT)
async def test_no_hot_statement_reads_a_whole_table(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, HOT[name])

    # A scan is fine over a partial index that holds only the rows that the statement is about, over the statement's own
    # parameters, and over rows that it has picked already.
    fine = ("USING", "CONSTANT", "VIRTUAL TABLE", "SCAN anon_", "SCAN (subquery")
    whole = [step for step in steps if step.startswith("SCAN") and not any(word in step for word in fine)]
    assert not whole, steps
    # Places are numbered among a bounded number of rows.
    assert name == "PLACE" or not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("CLAIM_JOBS", "jobs_ready (run_at<?)"),
        ("NEXT_JOB", "jobs_ready"),
        ("CLAIM_SUSPECT", "jobs_suspect (run_at<?)"),
        ("CLAIM_SUSPECT", "jobs_suspect_running"),
        ("CLAIM_DELIVERIES", "deliveries_ready (run_at<?)"),
        ("NEXT_DELIVERY", "deliveries_ready"),
        ("CLAIM_OPEN_DELIVERIES", "deliveries_ready (run_at<?)"),
        ("NEXT_OPEN_DELIVERY", "deliveries_ready (run_at<?)"),
        ("PLACE", "deliveries_ready (run_at<?)"),
        ("LOST_JOBS", "jobs_leased (lease_expires_at<?)"),
        ("LOST_DELIVERIES", "deliveries_leased (lease_expires_at<?)"),
        ("OVERDUE_JOBS", "jobs_deadline (deadline_at<?)"),
        ("OLD_JOBS", "jobs_finished (finished_at>? AND finished_at<?)"),
        ("PRUNE_CONVERSATIONS", "jobs_conversation (conversation_id=?)"),
        ("RELEASE_NEXT_JOB", "jobs_held (conversation_id=?)"),
        ("RELEASE_NEXT_JOB", "jobs_line (conversation_id=?)"),
        ("RELEASE_NEXT_DELIVERY", "deliveries_held (conversation_id=?)"),
        ("INSERT_DELIVERY", "deliveries_line (conversation_id=?)"),
        ("RECENT_TURNS", "PRIMARY KEY (conversation_id=?)"),
        ("FIND_BY_KEY", "jobs_idempotency (tenant_id=? AND idempotency_key=?)"),
        ("LIST_JOBS", "jobs_tenant (tenant_id=?"),
        ("KEEP_RESPONSE", "replays_key (tenant_id=? AND door=? AND key=?)"),
        ("PRUNE_REPLAYS", "replays_age (updated_at<?)"),
    ],
)
async def test_a_hot_statement_uses_the_index_made_for_it(
    connection: sqlite3.Connection, name: str, index: str
) -> None:
    steps = plan(connection, HOT[name])

    assert any(index in step for step in steps), steps
