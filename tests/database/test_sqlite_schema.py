"""SQLite's schema: made and migrated at the start, refused where it is another version's."""

import asyncio
import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from answerback.database import revision, schema, sqlite
from answerback.database.tables import metadata
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from builders import accept, dump, raw, rows
from databases import Database, SqliteDatabase


@pytest.fixture
def database(path: Path) -> Database:
    """SQLite only."""
    return SqliteDatabase(path)


@pytest.fixture
def direct(tmp_path: Path) -> Path:
    """A file with the tables of the code, without a migration."""
    path = tmp_path / "direct.db"
    metadata.create_all(create_engine(f"sqlite:///{path}", poolclass=NullPool))
    return path


def indexes_of(path: Path) -> list[str]:
    """The indexes as SQL, spelled alike."""
    found = rows(path, "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    return sorted(re.sub(r"[\s\"]+", " ", sql).replace("( ", "(").replace(" )", ")") for (sql,) in found)


def test_the_migrations_lead_to_the_tables_of_the_code(path: Path) -> None:
    schema.upgrade_sqlite(path)

    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_lead_to_the_partial_indexes_of_the_code(path: Path, direct: Path) -> None:
    """Alembic's comparison does not look at the predicate of an index, and the order of conversations hangs on one."""
    schema.upgrade_sqlite(path)

    assert indexes_of(path) == indexes_of(direct)


def test_the_migrations_number_the_rows_of_the_same_tables(path: Path, direct: Path) -> None:
    """Nor at tables without row ids."""
    schema.upgrade_sqlite(path)
    without_ids = "SELECT name FROM pragma_table_list WHERE wr ORDER BY name"

    assert rows(path, without_ids) == rows(direct, without_ids) != []


def test_the_last_migration_is_the_revision_that_this_version_needs() -> None:
    assert ScriptDirectory.from_config(schema.configuration()).get_heads() == [revision.HEAD]


def test_upgrading_again_changes_nothing(path: Path) -> None:
    schema.upgrade_sqlite(path)
    before = path.read_bytes()

    schema.upgrade_sqlite(path)

    assert path.read_bytes() == before


async def test_stores_that_open_a_fresh_file_together_all_work(path: Path, clock: FakeClock) -> None:
    opened = await asyncio.gather(*(SqliteDatabase(path).open(clock) for _ in range(6)))

    accepted = await asyncio.gather(*(accept(each) for each in opened))

    assert sorted(each.position or 0 for each in accepted) == [1, 2, 3, 4, 5, 6]
    for stores in opened:
        await stores.close()


async def test_stores_that_make_different_files_at_once_do_not_collide(tmp_path: Path, clock: FakeClock) -> None:
    paths = [tmp_path / f"{n}.db" for n in range(6)]

    opened = await asyncio.gather(*(SqliteDatabase(path).open(clock) for path in paths))

    assert [(await accept(each)).position for each in opened] == [1] * 6
    for stores in opened:
        await stores.close()


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
        await SqliteDatabase(path).open(clock)
    assert dump(path) == before


@pytest.mark.parametrize("number", range(1, 7))
async def test_a_database_of_the_first_edition_is_refused_and_left_alone(
    path: Path, clock: FakeClock, number: int
) -> None:
    with raw(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute(f"INSERT INTO alembic_version VALUES ('000{number}')")
    before = dump(path)

    with pytest.raises(StorageUnavailable, match=r"first edition.*start with an empty database") as refused:
        await SqliteDatabase(path).open(clock)

    assert "\n" not in str(refused.value)
    assert dump(path) == before


async def test_a_migration_that_breaks_leaves_the_file_as_it_was(path: Path, clock: FakeClock) -> None:
    with raw(path) as connection:
        connection.execute("CREATE TABLE jobs (other TEXT)")  # the migration meets it after other tables

    with pytest.raises(StorageUnavailable, match="jobs"):
        await SqliteDatabase(path).open(clock)

    with raw(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("jobs",)]
