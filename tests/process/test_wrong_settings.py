"""A start that cannot go well: exit code 2, and nothing is said but the one line."""

from pathlib import Path

import pytest

from forks import Ended, Forks


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("APP_PORT", "99999", "APP_PORT is '99999'"),
        ("DATABASE_URL", "mysql://db/answerback", "DATABASE_URL starts with 'mysql'"),
        ("MAX_BODY_BYTES", "1 MiB", "MAX_BODY_BYTES is '1 MiB'"),
        ("DATABASE_URL", "sqlite:///a file/answerback.db", "cannot open the database 'a file/answerback.db'"),
        ("APP_HOST", "0.0.0.0", "answerback keys create"),
        ("AUTH_TOKEN", "se cret-marker", "AUTH_TOKEN holds a space"),
        ("LOGS_DIR", "a file/logs", "LOGS_DIR is 'a file/logs' but no log can be written there: Not a directory"),
        (
            "BENCHMARKS_DIR",
            "a file/results",
            "cannot be written to a file/results: Not a directory; see BENCHMARKS_DIR",
        ),
    ],
)
async def test_what_cannot_serve_ends_with_2_and_one_clear_line(
    forks: Forks, tmp_path: Path, setting: str, value: str, words: str
) -> None:
    assert words in the_line(await started(forks, tmp_path, "answerback serve", {setting: value}))


LOGS = "LOGS_DIR is 'a file/logs' but no log can be written there: Not a directory"
NO_BROKER = "redis://127.0.0.1:1"


@pytest.mark.parametrize(
    ("command", "settings", "words"),
    [
        ("answerback worker", {"LOGS_DIR": "a file/logs"}, LOGS),
        (
            "celery -A answerback.worker worker",
            {"LOGS_DIR": "a file/logs", "CELERY_BROKER_URL": NO_BROKER},
            LOGS,
        ),
        ("celery -A answerback.worker worker", {}, "CELERY_BROKER_URL is not set"),
        ("answerback bench", {"LLM_ROUTES_FILE": "no such file"}, "no such file"),
    ],
)
async def test_so_does_what_cannot_work_or_measure(
    forks: Forks, tmp_path: Path, command: str, settings: dict[str, str], words: str
) -> None:
    assert words in the_line(await started(forks, tmp_path, command, settings))


async def started(forks: Forks, folder: Path, command: str, settings: dict[str, str]) -> Ended:
    (folder / "a file").touch()
    return await forks.run(command.split(), folder, {"DATABASE_URL": f"sqlite:///{folder / 'a.db'}", **settings})


def the_line(ended: Ended) -> str:
    """The one that a command said before it ended with 2."""
    assert (ended.code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("answerback")
    return line


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "LLM_ROUTES_FILE 'routes.toml' cannot be used: No such file or directory"),
        ({"LLM_FALLBACK_MODELS": "a"}, "LLM_ROUTES_FILE excludes LLM_FALLBACK_MODELS"),
    ],
)
async def test_the_service_does_not_start_with_a_wrong_one(
    forks: Forks, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    ended = await started(forks, tmp_path, "answerback serve", {"LLM_ROUTES_FILE": "routes.toml", **settings})

    assert ended.code == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
