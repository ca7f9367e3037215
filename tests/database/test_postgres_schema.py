"""PostgreSQL's schema: made and migrated while other processes serve, refused where it is another version's."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from answerback.cli import app
from answerback.database import revision as needed
from answerback.database.postgres import migrate, open_database
from answerback.database.postgres import schema as postgres_schema
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.testing.clock import FakeClock
from builders import Journal, accept
from databases import PostgresDatabase


@pytest.fixture
def fresh(postgres_url: str) -> PostgresDatabase:
    """Without its schema."""
    return PostgresDatabase(postgres_url)


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Turns this version into the next one, which has one more migration."""

    def upgrade() -> None:
        for name in needed.FILES:
            (tmp_path / name).write_text((needed.MIGRATIONS / name).read_text())
        (tmp_path / "next_added.sql").write_text("ALTER TABLE jobs ADD COLUMN added INTEGER;")
        monkeypatch.setattr(needed, "MIGRATIONS", tmp_path)
        monkeypatch.setattr(needed, "FILES", (*needed.FILES, "next_added.sql"))
        monkeypatch.setattr(needed, "HEAD", "next")

    return upgrade


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


async def test_processes_that_open_a_fresh_database_together_all_work(
    fresh: PostgresDatabase, clock: FakeClock
) -> None:
    opened = await asyncio.gather(*(fresh.open(clock) for _ in range(6)))

    accepted = await asyncio.gather(*(accept(each) for each in opened))

    assert sorted(each.position or 0 for each in accepted) == [1, 2, 3, 4, 5, 6]
    for stores in opened:
        await stores.close()


async def test_migrating_again_changes_nothing(postgres: PostgresDatabase) -> None:
    before = await shape(postgres)

    await migrate(postgres.url)

    assert await shape(postgres) == before


async def test_an_older_schema_is_left_to_the_command(
    fresh: PostgresDatabase, next_version: Callable[[], None]
) -> None:
    await migrate(fresh.url)
    older = await revision(fresh)
    next_version()

    with pytest.raises(StorageUnavailable, match=rf"schema {older}, .* needs next: run 'answerback migrate'"):
        await open_database(fresh.url, Instruments(Journal()))
    assert await revision(fresh) == older
    await migrate(fresh.url)

    assert await revision(fresh) == "next"
    assert await fresh.rows("SELECT count(added) FROM jobs") == [(0,)]


@pytest.mark.parametrize("number", range(1, 7))
async def test_a_database_of_the_first_edition_is_refused_and_left_alone(fresh: PostgresDatabase, number: int) -> None:
    await fresh.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    await fresh.execute(f"INSERT INTO alembic_version VALUES ('000{number}')")

    for use in (open_database(fresh.url, Instruments(Journal())), migrate(fresh.url)):
        with pytest.raises(StorageUnavailable, match=r"first edition.*start with an empty database") as refused:
            await use
        assert "\n" not in str(refused.value)
    assert await shape(fresh) == []


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(fresh: PostgresDatabase) -> None:
    await migrate(fresh.url)
    await fresh.execute("UPDATE alembic_version SET version_num = '9999'")

    for use in (open_database(fresh.url, Instruments(Journal())), migrate(fresh.url)):
        with pytest.raises(StorageUnavailable, match="another version of answerback"):
            await use
    assert await revision(fresh) == "9999"


async def test_a_migration_that_breaks_can_be_run_again(fresh: PostgresDatabase) -> None:
    await fresh.execute("CREATE TABLE jobs (other TEXT)")  # the first migration meets it after other tables
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(fresh.url)
    assert [name for name, *_ in await shape(fresh)] == ["jobs"]

    await fresh.execute("DROP TABLE jobs")
    await migrate(fresh.url)

    assert await revision(fresh) == needed.HEAD


async def test_a_migration_that_waits_for_a_lock_gives_way_to_other_transactions(
    fresh: PostgresDatabase, next_version: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_schema, "LOCK_SECONDS", 0.01)
    monkeypatch.setattr(postgres_schema, "RETRY_SECONDS", 0.0)
    await migrate(fresh.url)
    next_version()
    reader = await asyncpg.connect(fresh.url)
    async with reader.transaction():
        await reader.execute("SELECT 1 FROM jobs")
        with pytest.raises(StorageUnavailable, match="lock"):
            await migrate(fresh.url)
        await fresh.execute("SELECT 1 FROM jobs")
    await reader.close()

    await migrate(fresh.url)

    assert await revision(fresh) == "next"


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server: str) -> None:
    name = "answerback_latin"
    server = PostgresDatabase(postgres_server)
    await server.execute(f"DROP DATABASE IF EXISTS {name}")
    await server.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")

    with pytest.raises(StorageUnavailable, match="LATIN1; make one with ENCODING 'UTF8'"):
        await open_database(postgres_server.rpartition("/")[0] + f"/{name}", Instruments(Journal()))

    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_command_migrates_and_says_what_is_wrong(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    assert CliRunner().invoke(app, ["migrate"]).output == "The database is current.\n"
    assert CliRunner().invoke(app, ["keys", "create", "shop"]).exit_code == 0

    monkeypatch.setenv("DATABASE_URL", postgres_url + "_not")
    gone = CliRunner().invoke(app, ["migrate"])

    assert gone.exit_code == 2
    assert gone.output.startswith("answerback: PostgreSQL at ")
    assert ': database "' in gone.output


@pytest.mark.starts_processes
def test_without_its_driver_it_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['asyncpg'] = None; from answerback.cli import main; main()"
    environment = os.environ | {"DATABASE_URL": "postgresql://nobody@localhost/none"}

    ended = subprocess.run([sys.executable, "-c", code, "migrate"], env=environment, capture_output=True, text=True)

    assert ended.returncode == 2
    assert ended.stderr == "answerback: PostgreSQL needs its driver: pip install 'answerback[postgres]'\n"
