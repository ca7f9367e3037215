"""The commands that a newcomer is shown: each must work as it is shown."""

import sys
from pathlib import Path
from typing import Any

import pytest

from answerback.cli import first_steps
from answerback.settings import Settings


def steps(**given: Any) -> list[str]:
    return list(first_steps.first_steps(Settings(_env_file=None, **given)))  # type: ignore[call-arg]


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment whose command exists and is not on the shell's path, seen from an empty folder."""
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    command = folder / "answerback"
    command.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return command


def test_a_command_that_the_shell_does_not_find_is_named_by_its_path(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_steps.command() == str(venv)
    monkeypatch.chdir(venv.parent.parent)
    assert first_steps.command() == "bin/answerback"
    # When a runner of tools has added the folder to its own path only
    monkeypatch.setenv("PATH", str(venv.parent))
    assert first_steps.command() == "bin/answerback"


def test_in_an_active_environment_its_name_is_enough(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(venv.parent))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)

    assert first_steps.command() == "answerback"


def test_without_a_command_the_module_is_run(venv: Path) -> None:
    venv.unlink()

    assert first_steps.command() == f"{sys.executable} -m answerback"


@pytest.mark.parametrize(
    ("given", "serve", "url"),
    [
        ({}, " serve", "http://127.0.0.1:8080/"),
        ({"app_host": "::1", "app_port": 8181}, " serve", "http://[::1]:8181/"),
        # A service that others can reach would refuse a callback to this machine.
        ({"app_host": "0.0.0.0"}, " serve --host 127.0.0.1", "http://127.0.0.1:8080/"),
    ],
)
def test_the_service_is_where_the_message_goes(given: dict[str, Any], serve: str, url: str) -> None:
    _, started, message = steps(**given)

    assert started.endswith(serve)
    assert message.startswith(f"curl {url}webhook ")


def test_a_key_is_named_where_the_service_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTH_TOKEN", raising=False)
    assert "Authorization" not in steps()[2]
    assert '"Authorization: Bearer your AUTH_TOKEN"' in steps(auth_token="a-token-of-16-byte")[2]
    monkeypatch.setenv("AUTH_TOKEN", "a-token-of-16-byte")
    assert '"Authorization: Bearer $AUTH_TOKEN"' in steps()[2]
