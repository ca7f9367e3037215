"""Bringing a database to the current schema with Alembic."""

import os
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

MIGRATIONS = Path(__file__).parent / "migrations"

_one_at_a_time = threading.Lock()
"""Alembic keeps what it works on in globals of its modules."""


class MigrationError(Exception):
    """The database cannot be brought to this version's schema."""


def configuration() -> Config:
    """Alembic's configuration without a file: the migrations live in the package."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def head() -> str:
    """The revision that this version needs."""
    return str(ScriptDirectory.from_config(configuration()).get_current_head())


def upgrade_sqlite(path: Path) -> None:
    """Applies what is missing; a database that is current is only looked at. Raises MigrationError."""
    # Messages and the signing secret are in it: whoever else is on this machine has no business there.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    config = configuration()
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"isolation_level": None})
    try:
        with _one_at_a_time, engine.begin() as connection:
            # By hand, since the driver opens none for DDL: a kill in the middle must leave nothing, and two
            # processes that start together must not both create.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            if MigrationContext.configure(connection).get_current_revision() == head():
                return
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise MigrationError(_another_version(error)) from error
    except SQLAlchemyError as error:
        raise MigrationError(str(error.__cause__ or error)) from error
    finally:
        engine.dispose()


def require_known(revision: str) -> None:
    """Raises MigrationError for a revision that this version does not know."""
    try:
        ScriptDirectory.from_config(configuration()).get_revision(revision)
    except CommandError as error:
        raise MigrationError(_another_version(error)) from error


def postgres_since(revision: str | None) -> list[str]:
    """The statements that lead PostgreSQL from a revision (None: an empty database) to the current schema, each
    transaction's BEGIN and COMMIT among them. Raises MigrationError."""
    config = configuration()
    script = config.attributes["script"] = _Script()
    with _one_at_a_time:
        try:
            command.upgrade(config, f"{revision}:head" if revision else "head", sql=True)
        except CommandError as error:
            raise MigrationError(_another_version(error)) from error
    return script.statements


class _Script:
    """What Alembic writes to: it hands over each statement by itself."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def write(self, text: str) -> None:
        if not text.startswith("--"):
            self.statements.append(text.strip())

    def flush(self) -> None:
        return


def _another_version(error: CommandError) -> str:
    return f"it was made by another version of answerback, most likely a newer one: run that ({error})"
