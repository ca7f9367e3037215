"""A start imports nothing that it does not use."""

import subprocess
import sys
from pathlib import Path

UNUSED = {"alembic", "asyncpg", "celery", "opentelemetry.sdk", "redis", "rich"}


def imported(folder: Path) -> set[str]:
    """The modules that a command imports, which are also those of `serve`."""
    listed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "answerback", "keys", "list"],
        cwd=folder,
        env={"DATABASE_URL": f"sqlite:///{folder / 'answerback.db'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}


def test_a_new_database_and_a_current_one_are_opened_without_what_migrates_one(tmp_path: Path) -> None:
    assert imported(tmp_path) & UNUSED == set()

    again = imported(tmp_path)

    assert "answerback.bootstrap.server" in again
    assert again & UNUSED == set()
