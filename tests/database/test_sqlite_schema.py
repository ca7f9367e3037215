"""SQLite's schema: made and migrated at the start, refused where it is another version's."""

import asyncio
from pathlib import Path

import pytest

from answerback.database import revision, sqlite
from answerback.database.sqlite.schema import migrate
from answerback.kernel.errors import StorageUnavailable
from answerback.testing.clock import FakeClock
from builders import accept, dump, raw, rows
from databases import Database, SqliteDatabase

BUSY_SECONDS = 5.0


@pytest.fixture
def database(path: Path) -> Database:
    """SQLite only."""
    return SqliteDatabase(path)


def test_the_last_migration_is_the_revision_that_this_version_needs(path: Path) -> None:
    migrate(path, BUSY_SECONDS)

    assert rows(path, "SELECT version_num FROM alembic_version") == [(revision.HEAD,)]


def test_migrating_again_changes_nothing(path: Path) -> None:
    migrate(path, BUSY_SECONDS)
    before = path.read_bytes()

    migrate(path, BUSY_SECONDS)

    assert path.read_bytes() == before


def test_a_migration_is_applied_to_a_database_that_lacks_it_and_to_no_other(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(path, BUSY_SECONDS)
    for name in revision.FILES:
        (tmp_path / name).write_text((revision.MIGRATIONS / name).read_text())
    lines = (
        "ALTER TABLE jobs ADD COLUMN added BLOB;  -- sqlite",
        "ALTER TABLE jobs ADD COLUMN added BYTEA;  -- postgresql",
    )
    (tmp_path / "2e02_added.sql").write_text("-- For; example.\n" + "\n".join(lines))
    monkeypatch.setattr(revision, "MIGRATIONS", tmp_path)
    monkeypatch.setattr(revision, "FILES", (*revision.FILES, "2e02_added.sql"))
    monkeypatch.setattr(revision, "HEAD", "2e02")

    migrate(path, BUSY_SECONDS)
    migrate(path, BUSY_SECONDS)

    assert rows(path, "SELECT count(added) FROM jobs") == [(0,)]
    assert rows(path, "SELECT version_num FROM alembic_version") == [("2e02",)]


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
    migrate(path, BUSY_SECONDS)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(sqlite.time, "sleep", lambda _: other.execute("ROLLBACK"))

        connection = sqlite.connector(path)()

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(path: Path, clock: FakeClock) -> None:
    migrate(path, BUSY_SECONDS)
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
