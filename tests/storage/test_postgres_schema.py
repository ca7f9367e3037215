"""PostgreSQL's schema: how it comes about while others serve, and the indexes that its statements use."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from typer.testing import CliRunner

from answerback.cli import app
from answerback.database import schema
from answerback.database.postgres import migrate, open_postgres
from answerback.database.postgres import schema as postgres_schema
from answerback.database.postgres.driving import DIALECT
from answerback.database.postgres.runner import ALONE
from answerback.database.tables import metadata
from answerback.jobs.callbacks import render
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from builders import accept
from databases import PostgresDatabase, own_database
from hot_statements import HOT


@pytest.fixture
def fresh(postgres_url: str) -> PostgresDatabase:
    """Without its schema."""
    return PostgresDatabase(postgres_url)


async def shape(database: PostgresDatabase) -> list[tuple[Any, ...]]:
    """Columns, constraints and indexes, as the server writes them."""
    columns = """SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name != 'alembic_version'"""
    constraints = """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '' FROM pg_constraint
                     WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text != 'alembic_version'"""
    indexes = """SELECT tablename, indexname, indexdef, '' FROM pg_indexes
                 WHERE schemaname = 'public' AND tablename != 'alembic_version'"""
    return sorted(await database.rows(f"{columns} UNION ALL {constraints} UNION ALL {indexes}"))


async def revision(database: PostgresDatabase) -> str:
    return str((await database.rows("SELECT version_num FROM alembic_version"))[0][0])


async def test_the_migrations_lead_to_the_tables_of_the_code(
    postgres: PostgresDatabase, fresh: PostgresDatabase
) -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata.sorted_tables:
        await fresh.execute(str(CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            await fresh.execute(str(CreateIndex(index).compile(dialect=dialect)))

    assert await shape(postgres) == await shape(fresh)


async def test_processes_that_open_a_fresh_database_together_all_work(
    fresh: PostgresDatabase, clock: FakeClock
) -> None:
    stores = await asyncio.gather(*(fresh.open(clock) for _ in range(6)))

    accepted = await asyncio.gather(*(accept(store) for store in stores))

    assert sorted(each.seq or 0 for each in accepted) == [1, 2, 3, 4, 5, 6]
    for store in stores:
        await store.close()


async def test_migrating_again_changes_nothing(postgres: PostgresDatabase) -> None:
    before = await shape(postgres)

    await migrate(postgres.url)

    assert await shape(postgres) == before


async def test_an_older_schema_is_left_to_the_command(fresh: PostgresDatabase) -> None:
    await migrate(fresh.url)
    whole = await shape(fresh)
    await fresh.execute("UPDATE alembic_version SET version_num = '0005'; DROP INDEX jobs_suspect_running")

    with pytest.raises(StorageUnavailable, match=r"schema 0005, .*: run 'answerback migrate'"):
        await open_postgres(fresh.url, render)
    assert await revision(fresh) == "0005"
    await migrate(fresh.url)

    assert (await revision(fresh), await shape(fresh)) == (schema.head(), whole)


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(fresh: PostgresDatabase) -> None:
    await migrate(fresh.url)
    await fresh.execute("UPDATE alembic_version SET version_num = '9999'")

    for use in (open_postgres(fresh.url, render), migrate(fresh.url)):
        with pytest.raises(StorageUnavailable, match="another version of answerback"):
            await use
    assert await revision(fresh) == "9999"


async def test_a_migration_that_breaks_can_be_run_again(fresh: PostgresDatabase) -> None:
    await fresh.execute("CREATE TABLE turns (somebody TEXT)")  # the first migration meets it after other tables
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(fresh.url)
    assert [name for name, *_ in await shape(fresh)] == ["turns"]

    await fresh.execute("DROP TABLE turns")
    await migrate(fresh.url)

    assert await revision(fresh) == schema.head()


async def test_a_migration_gets_out_of_the_way_of_whoever_holds_its_table(
    fresh: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for its lock, it would hold up everybody who comes after it."""
    monkeypatch.setattr(postgres_schema, "LOCK_SECONDS", 0.01)
    monkeypatch.setattr(postgres_schema, "AGAIN_SECONDS", 0.0)
    await migrate(fresh.url)
    await fresh.execute("UPDATE alembic_version SET version_num = '0005'")
    somebody = await asyncpg.connect(fresh.url)
    async with somebody.transaction():
        await somebody.execute("SELECT 1 FROM jobs")
        with pytest.raises(StorageUnavailable, match="lock"):
            await migrate(fresh.url)
        await fresh.execute("SELECT 1 FROM jobs")
    await somebody.close()

    await migrate(fresh.url)

    assert await revision(fresh) == schema.head()


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server: str) -> None:
    name = "answerback_latin"
    server = PostgresDatabase(postgres_server)
    await server.execute(f"DROP DATABASE IF EXISTS {name}")
    await server.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")

    with pytest.raises(StorageUnavailable, match="LATIN1; make one with ENCODING 'UTF8'"):
        await open_postgres(postgres_server.rpartition("/")[0] + f"/{name}", render)

    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def untouched(postgres_server: str) -> Iterator[PostgresDatabase]:
    """With the schema, and without the statistics that other tests' rows leave behind."""
    with own_database(postgres_server) as database:
        yield database


@pytest.fixture
async def planner(untouched: PostgresDatabase) -> AsyncIterator[Any]:
    """A connection in a transaction of ours."""
    connection = await asyncpg.connect(untouched.url)
    await connection.execute("BEGIN")
    await connection.execute(ALONE)
    yield connection
    await connection.close()


DUMMIES = {"VARCHAR": "''", "TEXT": "''", "BIGINT": "1", "INTEGER": "1", "BYTEA": "''", "NULL": "NULL"}


async def plan(planner: Any, name: str) -> str:
    """As it is for parameters that the planner does not look at."""
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
        ("WALK", "deliveries_ready"),
        ("WALK", "deliveries_pkey"),
        ("CLAIM_DUE", "deliveries_ready"),
        ("CLAIM_UNREACHED", "deliveries_unreached"),
        ("NEXT_HERE", "deliveries_ready"),
        ("LOST_JOBS", "jobs_leased"),
        ("FIND_LOST", "deliveries_leased"),
        ("OVERDUE_JOBS", "jobs_deadline"),
        ("UNANSWERED_JOBS", "jobs_awaiting"),
        ("OLD_JOBS", "jobs_finished"),
        ("PRUNE_CONVERSATIONS", "jobs_conversation"),
        ("RELEASE_NEXT_JOB", "jobs_held"),
        ("RELEASE_NEXT_JOB", "jobs_line"),
        ("RELEASE_NEXT", "deliveries_held"),
        ("RELEASE_NEXT", "deliveries_order"),
        ("NOTIFY_URL", "deliveries_order"),
        ("NOTIFY_ENDPOINTS", "deliveries_order"),
        ("FIND_OVERDUE", "deliveries_deadline"),
        ("DELIVERIES_OF_JOB", "deliveries_event"),
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
        ("TAKE_BACK", "deliveries_pkey"),
        ("PRUNE_DELIVERIES", "deliveries_event"),
    ],
)
async def test_a_hot_statement_uses_the_index_made_for_it(planner: Any, name: str, index: str) -> None:
    found = await plan(planner, name)

    assert f"using {index} on" in found, found


def test_the_command_migrates_and_says_what_is_wrong(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    assert CliRunner().invoke(app, ["migrate"]).output == "The database is current.\n"
    assert CliRunner().invoke(app, ["keys", "create", "shop"]).exit_code == 0

    monkeypatch.setenv("DATABASE_URL", postgres_url + "_not")
    gone = CliRunner().invoke(app, ["migrate"])

    assert gone.exit_code == 2
    assert gone.output.startswith("answerback: PostgreSQL at ")
    assert ': database "' in gone.output


def test_without_its_driver_it_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['asyncpg'] = None; from answerback.cli import main; main()"
    environment = os.environ | {"DATABASE_URL": "postgresql://nobody@localhost/none"}

    said = subprocess.run([sys.executable, "-c", code, "migrate"], env=environment, capture_output=True, text=True)

    assert said.returncode == 2
    assert said.stderr == "answerback: PostgreSQL needs its driver: pip install 'answerback[postgres]'\n"
