"""Migrations, and the query plans that the indexes are there for."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from answerback.database import schema, sqlite
from answerback.database.group_commit import DIALECT
from answerback.database.operation import Statement
from answerback.database.sqlite import open_sqlite
from answerback.database.tables import metadata
from answerback.jobs.callbacks import render
from answerback.jobs.store import SqlStore
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from builders import accept, dump, ended_job, raw
from databases import Database, SqliteDatabase
from hot_statements import HOT


@pytest.fixture
def database(path: Path) -> Database:
    """SQLite only."""
    return SqliteDatabase(path)


def tables_of(path: Path) -> list[str]:
    """The schema as SQL, spelled alike."""
    with raw(path) as connection:
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
        return sorted(re.sub(r"[\s\"]+", " ", sql).replace("( ", "(").replace(" )", ")") for (sql,) in found)


def test_the_migrations_lead_to_the_tables_of_the_code(path: Path) -> None:
    schema.upgrade_sqlite(path)

    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_lead_to_the_partial_indexes_of_the_code(path: Path, tmp_path: Path) -> None:
    """Alembic's comparison does not look at the predicate of an index; the order of the line hangs on one."""
    schema.upgrade_sqlite(path)
    direct = tmp_path / "direct.db"
    metadata.create_all(create_engine(f"sqlite:///{direct}", poolclass=NullPool))

    def indexes(of: Path) -> list[str]:
        return [sql for sql in tables_of(of) if "INDEX" in sql]

    assert indexes(path) == indexes(direct)


def test_upgrading_again_changes_nothing(path: Path) -> None:
    schema.upgrade_sqlite(path)
    before = path.read_bytes()

    schema.upgrade_sqlite(path)

    assert path.read_bytes() == before


async def test_stores_that_open_a_fresh_file_together_all_work(path: Path, clock: FakeClock) -> None:
    stores = await asyncio.gather(*(open_sqlite(path, clock, render) for _ in range(6)))

    accepted = await asyncio.gather(*(accept(store) for store in stores))

    assert sorted(each.seq or 0 for each in accepted) == [1, 2, 3, 4, 5, 6]
    for store in stores:
        await store.close()


async def test_stores_that_make_different_files_at_once_do_not_meet(tmp_path: Path, clock: FakeClock) -> None:
    paths = [tmp_path / f"{n}.db" for n in range(6)]

    stores = await asyncio.gather(*(open_sqlite(path, clock, render) for path in paths))

    assert [(await accept(store)).seq for store in stores] == [1] * 6
    for store in stores:
        await store.close()


def test_a_connection_waits_for_its_turn_to_change_a_fresh_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade_sqlite(path)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(sqlite.time, "sleep", lambda _: other.execute("ROLLBACK"))

        connection = sqlite.connector(path)()

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(path: Path, clock: FakeClock) -> None:
    schema.upgrade_sqlite(path)
    with raw(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump(path)

    with pytest.raises(StorageUnavailable, match="another version of answerback"):
        await open_sqlite(path, clock, render)
    assert dump(path) == before


async def test_a_migration_that_breaks_leaves_the_file_as_it_was(path: Path, clock: FakeClock) -> None:
    with raw(path) as connection:
        connection.execute("CREATE TABLE turns (somebody TEXT)")  # the migration meets it after other tables

    with pytest.raises(StorageUnavailable, match="turns"):
        await open_sqlite(path, clock, render)

    with raw(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("turns",)]


@pytest.fixture
async def connection(store: SqlStore, path: Path) -> AsyncIterator[sqlite3.Connection]:
    await ended_job(store)
    await accept(store)
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

    # A scan is fine over an index that holds only the rows it is about: those few that wait, run or ended. And over
    # what the statement was handed, or has picked already.
    fine = ("USING", "CONSTANT", "VIRTUAL TABLE", "SCAN anon_", "SCAN (subquery", "SCAN stops")
    whole = [step for step in steps if step.startswith("SCAN") and not any(word in step for word in fine)]
    assert not whole, steps
    # A job notifies few destinations.
    assert name == "DELIVERIES_OF_JOB" or not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("CLAIM_JOBS", "jobs_ready (run_at<?)"),
        ("NEXT_JOB", "jobs_ready"),
        ("CLAIM_SUSPECT", "jobs_suspect (run_at<?)"),
        ("CLAIM_SUSPECT", "jobs_suspect_running"),
        ("WALK", "deliveries_ready"),
        ("CLAIM_DUE", "deliveries_ready (tenant_id=? AND origin=? AND run_at<?)"),
        ("CLAIM_UNREACHED", "deliveries_unreached (tenant_id=? AND origin=?)"),
        ("NEXT_HERE", "deliveries_ready (tenant_id=? AND origin=?)"),
        ("LOST_JOBS", "jobs_leased (lease_expires_at<?)"),
        ("FIND_LOST", "deliveries_leased (lease_expires_at<?)"),
        ("OVERDUE_JOBS", "jobs_deadline (deadline_at<?)"),
        ("OLD_JOBS", "jobs_finished (finished_at>? AND finished_at<?)"),
        ("PRUNE_CONVERSATIONS", "jobs_conversation (conversation_id=?)"),
        ("RELEASE_NEXT_JOB", "jobs_held (conversation_id=?)"),
        ("RELEASE_NEXT_JOB", "jobs_line (conversation_id=?)"),
        ("RELEASE_NEXT", "deliveries_held (conversation_id=? AND destination=?)"),
        ("NOTIFY_URL", "deliveries_order (conversation_id=? AND destination=?)"),
        ("NOTIFY_ENDPOINTS", "deliveries_order (conversation_id=? AND destination=?)"),
        ("NOTIFY_ENDPOINTS", "PRIMARY KEY (tenant_id=? AND event_type=?)"),
        ("FIND_OVERDUE", "deliveries_deadline (deadline_at<?)"),
        ("DELIVERIES_OF_JOB", "deliveries_event (job_id=?)"),
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
