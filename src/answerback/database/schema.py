"""Bringing a database to the current schema with Alembic."""

import re
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

from answerback.database.revision import HEAD, MigrationError

MIGRATIONS = Path(__file__).parent / "migrations"
FIRST_EDITION = re.compile(r"000[1-6]")

_alembic = threading.Lock()
"""Held while Alembic works: it keeps its state in globals of its modules."""


def configuration() -> Config:
    """Alembic's configuration without a file: the migrations are in the package."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def require_known(revision: str | None) -> None:
    """Raises MigrationError for a revision that this version cannot migrate. None is an empty database's."""
    if revision is None:
        return
    if FIRST_EDITION.fullmatch(revision):
        raise MigrationError(
            f"it was made by the first edition of answerback (schema {revision}), whose tables this one does not read: "
            "start with an empty database"
        )
    try:
        ScriptDirectory.from_config(configuration()).get_revision(revision)
    except CommandError as error:
        raise MigrationError(
            f"it was made by another version of answerback, most likely a newer one: run that ({error})"
        ) from error


def upgrade_sqlite(path: Path) -> None:
    """Applies the migrations that are missing; a current database is not written to. Raises MigrationError."""
    config = configuration()
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"isolation_level": None})
    try:
        with _alembic, engine.begin() as connection:
            # By hand, since the driver begins no transaction for DDL: a kill in the middle must leave nothing, and two
            # processes that start together must not both create.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            found = MigrationContext.configure(connection).get_current_revision()
            require_known(found)
            if found != HEAD:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise MigrationError(str(error.__cause__ or error)) from error
    finally:
        engine.dispose()


def postgres_since(revision: str | None) -> list[str]:
    """The statements that bring PostgreSQL from a revision (None: an empty database) to the current schema, each
    transaction's BEGIN and COMMIT among them. Raises MigrationError."""
    require_known(revision)
    config = configuration()
    script = config.attributes["script"] = _Script()
    with _alembic:
        command.upgrade(config, f"{revision}:head" if revision else "head", sql=True)
    return script.statements


class _Script:
    """A file that Alembic writes SQL to, read as a list of statements."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def write(self, text: str) -> None:
        if not text.startswith("--"):
            self.statements.append(text.strip())

    def flush(self) -> None:
        return
