"""A start imports nothing that it does not use."""

import subprocess
import sys
from pathlib import Path

UNUSED = {
    *("aiohttp", "argparse", "asyncpg", "celery", "click", "httpx", "matplotlib", "multiprocessing"),
    *("opentelemetry.sdk", "pydantic.v1.main", "pypdf", "redis", "rich", "unittest", "uvicorn.supervisors", "xml"),
}


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


def test_the_whole_document_has_a_model_that_is_not_built_before_it_is_asked_for(tmp_path: Path) -> None:
    printing = (
        "import atexit, sys; from answerback.__main__ import main; sys.argv = ['answerback', '--version']\n"
        "def show():\n"
        "    from answerback.relay.request import WebhookMessage as ours; from fastapi.openapi.models import OpenAPI\n"
        "    print(ours.__pydantic_complete__, OpenAPI.__pydantic_complete__)\n"
        "atexit.register(show); main()"
    )

    ran = subprocess.run([sys.executable, "-c", printing], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines()[-1] == "True False"
