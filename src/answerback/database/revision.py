"""Which schema a database has, and the migrations that lead to this version's."""

import re
from pathlib import Path

from answerback.database.dialect import Dialect

MIGRATIONS = Path(__file__).parent / "migrations"
FILES = ("2e01_second_edition.sql",)
"""In the order in which they are applied. What comes before the underscore is the revision that a file leads to."""
HEAD = "2e01"
"""The revision that this version needs: that of the last file."""
FIRST_EDITION = re.compile(r"000[1-6]")
VERSION_TABLE = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
"""The table has the name that the first edition's had, so that each edition knows the other's databases."""


class MigrationError(Exception):
    """The database cannot be brought to this version's schema."""


def migrations_since(revision: str | None, dialect: Dialect) -> list[list[str]]:
    """The statements of each migration that a database of this revision lacks, None being an empty one. Each migration
    is to be one transaction. Raises MigrationError."""
    revisions = [None, *(name.partition("_")[0] for name in FILES)]
    if revision is not None and FIRST_EDITION.fullmatch(revision):
        raise MigrationError(
            f"it was made by the first edition of answerback (schema {revision}), whose tables this one does not read: "
            "start with an empty database"
        )
    if revision not in revisions:
        raise MigrationError(
            f"it was made by another version of answerback (schema {revision}), most likely a newer one: run that"
        )
    first = revisions.index(revision)
    beginning = [VERSION_TABLE, "INSERT INTO alembic_version VALUES ('')"] if revision is None else []
    migrations = [
        [*_statements(name, dialect), f"UPDATE alembic_version SET version_num = '{leads_to}'"]
        for name, leads_to in zip(FILES[first:], revisions[first + 1 :], strict=True)
    ]
    return [[*beginning, *migrations[0]], *migrations[1:]] if migrations else []


def _statements(name: str, dialect: Dialect) -> list[str]:
    """Of a file of migrations: a line that ends in `-- sqlite` or `-- postgresql` is for that database only."""
    others = tuple(f"-- {each.value}" for each in Dialect if each is not dialect)
    lines = (MIGRATIONS / name).read_text(encoding="utf-8").splitlines()
    kept = (line.partition("--")[0].rstrip() for line in lines if not line.endswith(others))
    return [statement for each in "\n".join(kept).split(";\n") if (statement := each.strip().removesuffix(";"))]
