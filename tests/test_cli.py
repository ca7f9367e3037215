"""The command line, as an operator types it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from answerback import __version__, cli
from answerback.cli import app
from answerback.cli.first_steps import first_steps
from answerback.settings import Settings, load_settings
from answerback.settings.describing import describe

Run = Callable[..., Result]

KEY = re.compile(r"ab_[A-Za-z0-9_-]{43}")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `answerback …` in an empty folder with nothing set but what is given."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner(env=environment).invoke(app, arguments)

    return run


def said(result: Result) -> list[str]:
    """The lines of a command that went well."""
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def refusal(result: Result) -> str:
    """What a command that could not be done says: one line on stderr, nothing on stdout."""
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("answerback: ")
    return line


def create_key(run: Run, name: str = "somebody") -> tuple[str, str]:
    """A new key's id, and the key."""
    first, key, *_ = said(run("keys", "create", name))
    return first.split()[0], key


def test_help_names_every_command(run: Run) -> None:
    printed = "\n".join(said(run("--help")))

    for command in ("init", "serve", "listen", "worker", "demo", "bench", "migrate", "secret", "keys"):
        assert re.search(rf"\b{command}\b", printed)


@pytest.mark.parametrize(
    "command",
    [
        *("init", "serve", "listen", "demo", "migrate", "secret"),
        *("keys create", "keys list", "keys weigh", "keys revoke"),
    ],
)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    assert said(run(*command.split(), "--help"))
    assert said(run(*command.split(), "-h")) == said(run(*command.split(), "--help"))


def test_it_says_which_version_it_is(run: Run) -> None:
    assert said(run("--version")) == [f"answerback {__version__}"]


def test_help_on_serving_says_where_the_settings_are(run: Run) -> None:
    printed = " ".join(said(run("serve", "--help")))

    assert "from the environment and from .env in the working directory" in printed
    assert "answerback init" in printed


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that a service was started with."""
    served: list[Settings] = []

    def serve(settings: Settings, _: object, processes: int) -> int:
        served.append(settings)
        return 0

    monkeypatch.setattr(cli, "serve_app", serve)
    return served


def test_host_and_port_of_the_command_line_win_over_the_environment(run: Run, served: list[Settings]) -> None:
    assert run("serve", "--host", "::1", "--port", "8181", APP_HOST="127.0.0.2", APP_PORT="8282").exit_code == 0
    assert run("serve", APP_PORT="8282").exit_code == 0

    assert [(each.app_host, each.app_port) for each in served] == [("::1", 8181), ("127.0.0.1", 8282)]
    assert served[0].public_base_url == "http://localhost:8181"


def test_a_wrong_port_is_refused_by_the_name_under_which_it_was_given(run: Run, served: list[Settings]) -> None:
    assert refusal(run("serve", "--port", "99999")).startswith("answerback: --port is '99999' but ")
    assert refusal(run("serve", APP_PORT="99999")).startswith("answerback: APP_PORT is '99999' but ")

    assert not served


def test_a_first_env_file_has_every_setting_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    before = load_settings()

    printed = said(run("init"))

    env = tmp_path / ".env"
    assert all(f"#{name}=" in env.read_text() for name, _, _ in describe())
    assert load_settings() == before
    assert env.stat().st_mode & 0o077 == 0
    steps = [line for step in first_steps(before) for line in step.splitlines()]
    assert [line.strip() for line in printed[-len(steps) :]] == [line.strip() for line in steps]


@pytest.mark.parametrize("there", ["file", "dangling link"])
def test_an_env_file_is_never_overwritten(run: Run, tmp_path: Path, there: str) -> None:
    env = tmp_path / ".env"
    if there == "file":
        env.write_text("APP_PORT=8181\n")
    else:
        env.symlink_to(tmp_path / "elsewhere")

    assert ".env exists already" in refusal(run("init"))

    assert not (tmp_path / "elsewhere").exists()
    assert there != "file" or env.read_text() == "APP_PORT=8181\n"


def test_an_env_file_that_cannot_be_written_is_reported_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert ".env cannot be written" in refusal(run("init"))


@pytest.mark.parametrize("command", ["secret", "secret --rotate", "keys list", "keys create x"])
def test_a_command_names_the_database_that_it_used_beside_its_result(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "mine.db").touch()

    result = run(*command.split(), DATABASE_URL="sqlite:///mine.db")

    assert result.stderr.splitlines()[0] == f"Database: {tmp_path / 'mine.db'}"
    assert "mine.db" not in result.stdout


def test_a_command_in_a_folder_that_is_not_the_services_says_that_its_database_is_new(run: Run) -> None:
    first, second = run("secret"), run("secret")

    assert "(new; a service that was started in another folder uses another one)" in first.stderr
    assert "(new" not in second.stderr


def test_an_unknown_command_is_a_mistake(run: Run) -> None:
    assert run("nonsense").exit_code == 2


def test_a_key_is_shown_when_it_is_made_with_its_id_and_whose_it_is(run: Run) -> None:
    first, key, note, tenant, secret = said(run("keys", "create", "Customer One"))

    assert re.fullmatch(r"key_[0-9a-f]{32}  Customer One", first)
    assert KEY.fullmatch(key)
    assert "only its hash is stored" in note
    assert re.fullmatch(r"Its tenant is tnt_[0-9a-f]{32}\.", tenant)
    assert secret.split()[-1] == said(run("secret", "--key", "Customer One"))[0]


def test_the_first_key_of_clients_comes_with_how_to_manage_keys_from_now_on(run: Run) -> None:
    assert "answerback keys create NAME --operator" in run("keys", "create", "shop").stderr
    assert "first key" not in run("keys", "create", "blog").stderr


def test_a_first_key_that_manages_keys_needs_no_warning(run: Run) -> None:
    assert "first key" not in run("keys", "create", "mine", "--operator").stderr


def test_a_further_key_of_a_tenant_shows_no_secret(run: Run) -> None:
    tenant = said(run("keys", "create", "shop"))[3]

    further = said(run("keys", "create", "shop, again", "--tenant", "shop"))

    assert further[3:] == [tenant]


def test_a_key_of_an_unknown_tenant_is_not_made(run: Run) -> None:
    assert "nobody" in refusal(run("keys", "create", "shop", "--tenant", "nobody"))

    assert said(run("keys", "list")) == []


def test_a_key_may_have_a_rate_of_its_own(run: Run) -> None:
    run("keys", "create", "batch jobs", "--rate-limit", "1000/hour")

    (line,) = said(run("keys", "list"))
    assert "1000/hour" in line
    refused = refusal(run("keys", "create", "typo", "--rate-limit", "often"))
    assert "--rate-limit is 'often' but must be a number a second, minute, hour or day" in refused


def test_a_key_may_weigh_its_tenant_which_may_be_weighed_anew(run: Run) -> None:
    tenant = said(run("keys", "create", "heavy", "--weight", "3"))[3].split()[-1].rstrip(".")
    assert "weight 3" in said(run("keys", "list"))[0]

    assert said(run("keys", "weigh", "heavy", "5")) == [f"{tenant} weighs 5."]

    assert "weight 5" in said(run("keys", "list"))[0]
    assert "nobody" in refusal(run("keys", "weigh", "nobody", "5"))
    assert run("keys", "weigh", "heavy", "0").exit_code == 2
    assert "--weight" in run("keys", "create", "typo", "--weight", "0").stderr


def test_a_name_that_another_tenant_has_is_made_and_said(run: Run) -> None:
    """It may be a slip: its messages, conversations and secret are not the other key's."""
    tenant = said(run("keys", "create", "shop"))[3].split()[-1].rstrip(".")

    again = run("keys", "create", "shop")
    further = run("keys", "create", "shop", "--tenant", tenant)

    assert said(again)
    assert f"answerback keys create shop --tenant {tenant}" in again.stderr
    assert "another key" not in further.stderr


def test_operator_keys_are_listed_as_such(run: Run) -> None:
    run("keys", "create", "mine", "--operator")
    run("keys", "create", "theirs")

    assert [line.split()[4] for line in said(run("keys", "list"))] == ["operator", "client"]


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 201])
def test_a_name_that_cannot_be_shown_is_refused(run: Run, name: str) -> None:
    assert "NAME must be printable text" in refusal(run("keys", "create", name))


def test_every_key_is_another(run: Run) -> None:
    assert create_key(run)[1] != create_key(run)[1]


def test_the_list_shows_every_key_by_its_whole_id_and_never_the_key(run: Run) -> None:
    made = [create_key(run, name) for name in ("first", "a name that is longer than any column should be, really")]

    lines = said(run("keys", "list", COLUMNS="40"))

    assert [line.split()[0] for line in lines] == [key_id for key_id, _ in made]
    assert [line.split()[2] for line in lines] == ["live", "live"]
    assert lines[1].endswith("a name that is longer than any column should be, really")
    assert not KEY.search("\n".join(lines))


def test_the_key_is_nowhere_in_the_database(run: Run, tmp_path: Path) -> None:
    _, key = create_key(run)

    assert all(key.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_revoked_key_is_listed_as_revoked(run: Run) -> None:
    kept, gone = create_key(run)[0], create_key(run)[0]

    assert said(run("keys", "revoke", gone)) == [f"{gone} is revoked."]

    states = {line.split()[0]: line.split()[2] for line in said(run("keys", "list"))}
    assert states == {kept: "live", gone: "revoked"}


@pytest.mark.parametrize("again", [False, True], ids=["unknown", "revoked before"])
def test_a_key_that_is_not_live_cannot_be_revoked(run: Run, again: bool) -> None:
    key_id = create_key(run)[0] if again else "key_nothing"
    if again:
        run("keys", "revoke", key_id)

    assert key_id in refusal(run("keys", "revoke", key_id))


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("keys revoke", "KEY_ID"),
        ("keys weigh -- 3", "TENANT"),
        ("keys create more --tenant", "--tenant"),
        ("secret --key", "--key"),
        ("listen --key", "--key"),
        ("listen --secret", "--secret"),
    ],
)
def test_what_is_not_utf8_is_refused_by_the_name_of_the_parameter(run: Run, command: str, named: str) -> None:
    odd = os.fsdecode(b"\xff")
    before, _, after = command.partition(" -- ")

    refused = refusal(run(*before.split(), odd, *after.split()))

    assert refused == f"answerback: {named} must be UTF-8 text"


def test_the_secret_is_made_once(run: Run) -> None:
    (first,), (again,) = said(run("secret")), said(run("secret"))

    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", first)
    assert again == first


def test_a_rotated_secret_takes_the_place_of_the_old_one(run: Run) -> None:
    (old,), (new,) = said(run("secret")), said(run("secret", "--rotate"))

    assert new != old
    assert said(run("secret")) == [new]


def test_each_tenant_has_a_secret_of_its_own_to_show_and_rotate(run: Run) -> None:
    run("keys", "create", "shop")
    (default,), (shops,) = said(run("secret")), said(run("secret", "--key", "shop"))
    assert default != shops

    (rotated,) = said(run("secret", "--key", "shop", "--rotate"))

    assert said(run("secret", "--key", "shop")) == [rotated]
    assert rotated != shops
    assert said(run("secret")) == [default]


def test_the_configured_secret_is_the_default_tenants_only(run: Run) -> None:
    run("keys", "create", "shop")

    (shops,) = said(run("secret", "--key", "shop", CALLBACK_HMAC_SECRET="my own words"))

    assert shops.startswith("whsec_")
    assert said(run("secret", "--key", "shop", "--rotate", CALLBACK_HMAC_SECRET="my own words")) != [shops]


def test_the_secret_of_an_unknown_key_is_refused(run: Run) -> None:
    assert "nobody" in refusal(run("secret", "--key", "nobody"))


def test_the_configured_secret_is_shown(run: Run) -> None:
    assert said(run("secret", CALLBACK_HMAC_SECRET="my own words")) == ["my own words"]


def test_the_configured_secret_is_not_rotated_here(run: Run) -> None:
    assert "CALLBACK_HMAC_SECRET" in refusal(run("secret", "--rotate", CALLBACK_HMAC_SECRET="my own words"))

    assert said(run("secret", CALLBACK_HMAC_SECRET="my own words")) == ["my own words"]


def test_migrating_makes_the_database_and_may_be_repeated(run: Run, tmp_path: Path) -> None:
    database = tmp_path / "new.db"

    for _ in range(2):
        assert said(run("migrate", DATABASE_URL=f"sqlite:///{database}")) == ["The database is current."]

    assert database.exists()


@pytest.mark.parametrize(
    "command", ["migrate", "secret", "secret --rotate", "keys list", "keys create x", "keys revoke x"]
)
def test_a_database_that_cannot_be_opened_is_reported_in_one_line(run: Run, tmp_path: Path, command: str) -> None:
    line = refusal(run(*command.split(), DATABASE_URL=f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"))

    assert "folder.db" in line


@pytest.mark.parametrize("command", ["serve", "demo", "migrate", "secret", "keys list"])
def test_a_wrong_setting_stops_every_command(run: Run, command: str) -> None:
    assert "LEASE_SECONDS" in refusal(run(*command.split(), LEASE_SECONDS="many"))
