"""What an operator may write, what comes of it, and what is said when it is wrong."""

import ipaddress
from pathlib import Path

import pytest

from answerback.kernel.retry import DAY, STANDARD_WEBHOOKS_SCHEDULE
from answerback.settings import Settings, SettingsError, load_settings
from answerback.settings.describing import describe, env_example

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty environment and a folder without `.env`."""
    for name, _, _ in describe():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def given(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        given(monkeypatch, **environment)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_nothing_set_gives_a_service_that_runs_here_and_answers_by_itself() -> None:
    settings = load_settings()

    assert (settings.app_host, settings.app_port, settings.loopback_only) == ("127.0.0.1", 8080, True)
    assert settings.database_path == Path("answerback.db")
    assert settings.mock
    assert settings.callback_schedule.waits == STANDARD_WEBHOOKS_SCHEDULE
    assert (settings.context_max_messages, settings.context_max_tokens) == (20, 8000)
    assert (settings.conversation_max_pending, settings.max_queued_jobs) == (100, 1_000_000)


def test_the_environment_wins_over_the_env_file_even_when_blank(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(
        "\ufeffLEASE_SECONDS=7\nAPP_PORT=1111\nOPENROUTER_API_KEY=from-file\nUNKNOWN_THING=1\n", encoding="utf-8"
    )

    settings = given(monkeypatch, APP_PORT="2222", OPENROUTER_API_KEY="")

    assert (settings.app_port, settings.lease_seconds) == (2222, 7)
    assert settings.provider_api_key is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////var/lib/answerback.db", "/var/lib/answerback.db"),
        ("postgresql://me:p%40ss@db.example:5433/shop?password=hidden", "postgresql://db.example:5433/shop"),
        ("postgresql+asyncpg://me@[::1]/shop", "postgresql://[::1]/shop"),
        ("postgresql:///shop?host=/run/postgresql&user=me", "postgresql:///shop"),
    ],
)
def test_a_database_is_shown_without_credentials(monkeypatch: pytest.MonkeyPatch, url: str, shown: str) -> None:
    assert given(monkeypatch, DATABASE_URL=url).database_shown == shown


def test_blank_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = load_settings()

    for name, _, _ in describe():
        with monkeypatch.context() as blank:
            assert given(blank, **{name: "  "}) == unset, name


def test_the_service_is_reached_at_the_port_it_listens_on_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().public_base_url == "http://localhost:8080"
    assert given(monkeypatch, APP_PORT="9001").public_base_url == "http://localhost:9001"
    assert given(monkeypatch, PUBLIC_BASE_URL="https://r.example/below/").public_base_url == "https://r.example/below"


def test_secrets_that_can_be_found_by_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().short_secrets == []
    names = ["AUTH_TOKEN", "OPERATOR_TOKEN", "CALLBACK_HMAC_SECRET"]
    assert given(monkeypatch, **dict.fromkeys(names, "x" * 15)).short_secrets == names
    assert given(monkeypatch, **dict.fromkeys(names, "x" * 16)).short_secrets == []
    # What counts is the key, not how it is written.
    assert given(monkeypatch, CALLBACK_HMAC_SECRET="whsec_aHVudGVyMjI=").short_secrets == names[2:]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().app_port = 1  # type: ignore[misc]


class TestDatabase:
    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///./data/a.db", "data/a.db"),
            ("sqlite:////var/lib/a b.db", "/var/lib/a b.db"),
            ("sqlite+aiosqlite:///a.db", "a.db"),
        ],
    )
    def test_a_file(self, monkeypatch: pytest.MonkeyPatch, url: str, path: str) -> None:
        assert given(monkeypatch, DATABASE_URL=url).database_path == Path(path)

    @pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg", "postgres"])
    def test_a_server(self, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
        settings = given(monkeypatch, DATABASE_URL=f"{scheme}://me:hunter2@h:5433/db")

        assert settings.database_path is None
        assert settings.postgres_dsn == "postgresql://me:hunter2@h:5433/db"
        assert "hunter2" not in repr(settings)

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("sqlite:///:memory:", "in memory"),
            ("sqlite://", "in memory"),
            ("sqlite:///", "in memory"),
            ("sqlite:///file::memory:", "in memory"),
            ("sqlite://a.db", "three slashes"),
            ("sqlite:///a.db?mode=ro", "no options"),
            ("sqlite:///folder/", "file's name"),
            ("mysql://me:hunter2@h/db", "starts with 'mysql'"),
            ("me:hunter2@h/db", "starts with 'me'"),
            ("/hunter2.db", "not a database URL"),
            ("postgresql://me:hunter2@h:0/db", "starts with 'postgresql'"),
        ],
    )
    def test_anything_else_is_refused(self, monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
        message = refused(monkeypatch, DATABASE_URL=url)

        assert message.startswith("DATABASE_URL ")
        assert said in message
        assert "sqlite:///path/to/file.db" in message
        assert "hunter2" not in message


class TestProvider:
    @pytest.mark.parametrize(
        ("environment", "base", "key", "model", "mock"),
        [
            ({}, "https://openrouter.ai/api/v1", None, "openai/gpt-oss-20b:free", True),
            ({"OPENROUTER_API_KEY": "r"}, "https://openrouter.ai/api/v1", "r", "openai/gpt-oss-20b:free", False),
            ({"OPENAI_API_KEY": "o"}, "https://api.openai.com/v1", "o", "gpt-5-mini", False),
            ({"OPENAI_API_KEY": "o", "LLM_MODEL": "m"}, "https://api.openai.com/v1", "o", "m", False),
            (
                {"OPENAI_API_KEY": "o", "OPENROUTER_BASE_URL": "https://eu.openrouter.ai/api/v1"},
                "https://eu.openrouter.ai/api/v1",
                "o",
                "openai/gpt-oss-20b:free",
                False,
            ),
            (
                {"OPENROUTER_API_KEY": "r", "OPENAI_API_KEY": "o", "OPENAI_BASE_URL": "https://api.openai.com/v1"},
                "https://openrouter.ai/api/v1",
                "r",
                "openai/gpt-oss-20b:free",
                False,
            ),
            ({"OPENAI_BASE_URL": "https://api.openai.com/v1"}, "https://api.openai.com/v1", None, "gpt-5-mini", True),
            (
                {"OPENAI_BASE_URL": "http://localhost:11434/v1/", "LLM_MODEL": "qwen3"},
                "http://localhost:11434/v1",
                None,
                "qwen3",
                False,
            ),
            (
                {"OPENROUTER_BASE_URL": "https://openrouter.ai.example.com"},
                "https://openrouter.ai.example.com",
                None,
                "openai/gpt-oss-20b:free",
                False,
            ),
            (
                {"OPENROUTER_API_KEY": "r", "MOCK_MODE": "true"},
                "https://openrouter.ai/api/v1",
                "r",
                "openai/gpt-oss-20b:free",
                True,
            ),
        ],
    )
    def test_who_answers(
        self,
        monkeypatch: pytest.MonkeyPatch,
        environment: dict[str, str],
        base: str,
        key: str | None,
        model: str,
        mock: bool,
    ) -> None:
        settings = given(monkeypatch, **environment)

        secret = settings.provider_api_key
        assert settings.provider_base_url == base
        assert (secret.get_secret_value() if secret else None) == key
        assert settings.default_model == model
        assert settings.mock is mock

    @pytest.mark.parametrize(
        "url", ["openrouter.ai", "ftp://h/v1", "https://", "https://me:hunter2@h/v1", "http://h:99999", "http://a b"]
    )
    def test_a_base_url_must_be_one(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        message = refused(monkeypatch, OPENAI_BASE_URL=url)

        assert message.startswith("OPENAI_BASE_URL must be an http or https URL")
        assert "hunter2" not in message


class TestCallbacks:
    @pytest.mark.parametrize(
        ("environment", "waits"),
        [
            ({"CALLBACK_MAX_RETRIES": "3"}, (0.0, 5.0, 300.0)),
            ({"CALLBACK_MAX_RETRIES": "12"}, (*STANDARD_WEBHOOKS_SCHEDULE, DAY, DAY)),
            ({"CALLBACK_MAX_RETRIES": "6", "CALLBACK_BACKOFF_SECONDS": "2"}, (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)),
            ({"CALLBACK_MAX_RETRIES": "4", "CALLBACK_BACKOFF_SECONDS": "50000"}, (0.0, 50_000.0, DAY, DAY)),
            (
                {"CALLBACK_BACKOFF_SECONDS": "0.5"},
                (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0),
            ),
        ],
    )
    def test_the_schedule(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], waits: tuple[float, ...]
    ) -> None:
        assert given(monkeypatch, **environment).callback_schedule.waits == waits

    @pytest.mark.parametrize(
        ("environment", "waits"),
        [
            ({}, (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)),
            ({"CALLBACK_MAX_RETRIES": "3"}, (0.0, 2.0, 4.0)),
            ({"CALLBACK_BACKOFF_SECONDS": "20000"}, (0.0, 20_000.0, 40_000.0, 80_000.0, DAY, DAY)),
        ],
    )
    def test_the_schedule_of_reviews(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], waits: tuple[float, ...]
    ) -> None:
        assert given(monkeypatch, **environment).review_callback_schedule.waits == waits

    def test_allowed_networks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = given(monkeypatch, CALLBACK_ALLOWED_NETWORKS="10.0.0.0/8, fd00::/8  192.168.1.7,")

        expected = ("10.0.0.0/8", "fd00::/8", "192.168.1.7/32")
        assert settings.callback_allowed_networks == tuple(ipaddress.ip_network(text) for text in expected)

    @pytest.mark.parametrize("word", ["10.0.0.1/8", "intranet", "300.0.0.0/8"])
    def test_a_network_that_is_none(self, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
        message = refused(monkeypatch, CALLBACK_ALLOWED_NETWORKS=f"127.0.0.0/8,{word}")

        assert message.startswith(f"CALLBACK_ALLOWED_NETWORKS holds '{word}' but must be networks such as 10.0.0.0/8")

    @pytest.mark.parametrize("secret", ["whsec_", "whsec_no base64!", "whsec_hunter2"])
    def test_a_standard_secret_must_be_base64(self, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
        message = refused(monkeypatch, CALLBACK_HMAC_SECRET=secret)

        assert message.startswith("CALLBACK_HMAC_SECRET starts with whsec_ but")
        assert "hunter2" not in message

    @pytest.mark.parametrize("secret", ["whsec_aHVudGVyMg==", " any text, kept as it is "])
    def test_a_good_secret_is_kept_as_it_is(self, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
        kept = given(monkeypatch, CALLBACK_HMAC_SECRET=secret).callback_hmac_secret

        assert kept is not None
        assert kept.get_secret_value() == secret


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_only(monkeypatch: pytest.MonkeyPatch, host: str, loopback: bool) -> None:
    assert given(monkeypatch, APP_HOST=host).loopback_only is loopback


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("APP_HOST", "http://me", "is 'http://me' but must be an address"),
        ("APP_HOST", "127.0.0.1:80", "is '127.0.0.1:80' but must be an address alone: the port belongs in APP_PORT"),
        ("APP_HOST", "[::1]:80", "is '[::1]:80' but must be an address alone: the port belongs in APP_PORT"),
        ("APP_HOST", "relay:80", "is 'relay:80' but must be an address alone: the port belongs in APP_PORT"),
        (
            "PUBLIC_BASE_URL",
            "relay",
            "must be an http or https URL without credentials, query or fragment, such as"
            " https://answerback.example.com",
        ),
        ("APP_PORT", "0", "is '0' but should be greater than or equal to 1"),
        ("APP_PORT", "65536", "is '65536' but should be less than or equal to 65535"),
        ("APP_PORT", "http", "is 'http' but should be a valid integer"),
        ("LLM_TIMEOUT_SECONDS", "0", "is '0' but should be greater than 0"),
        ("LLM_TIMEOUT_SECONDS", "nan", "is 'nan' but should be a finite number"),
        ("CALLBACK_TIMEOUT_SECONDS", "inf", "is 'inf' but should be a finite number"),
        ("CALLBACK_MAX_RETRIES", "0", "is '0' but should be greater than or equal to 1"),
        ("CALLBACK_BACKOFF_SECONDS", "-1", "is '-1' but should be greater than 0"),
        ("LEASE_SECONDS", "0.5", "is '0.5' but should be greater than or equal to 1"),
        ("MOCK_MODE", "perhaps", "is 'perhaps' but should be true or false"),
        ("LOG_FORMAT", "xml", "is 'xml' but should be 'text' or 'json'"),
        ("LOG_LEVEL", "LOUD\nER", r"is 'LOUD\nER' but should be 'DEBUG', 'INFO'"),
        ("AUTH_TOKEN", "hunter2 x", "holds a space"),
        ("OPENROUTER_API_KEY", "hunter2\nx", "holds a space"),
        ("OPENAI_API_KEY", "hunter2é", "holds a space or a character that cannot travel"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    message = refused(monkeypatch, **{name: value})

    assert message.startswith(f"{name} {said}")
    assert "\n" not in message
    assert "hunter2" not in message


def test_several_problems_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(monkeypatch, APP_PORT="x", LOG_FORMAT="xml", DATABASE_URL="redis://h")

    assert [part.split()[0] for part in message.split("; ")] == ["DATABASE_URL", "APP_PORT", "LOG_FORMAT"]


def test_an_env_file_that_is_not_text() -> None:
    Path(".env").write_bytes(b"APP_PORT=\xff\xfe")

    with pytest.raises(SettingsError, match=r"^\.env cannot be read: it must be UTF-8 text$"):
        load_settings()


def test_levels_and_formats_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, LOG_LEVEL="debug", LOG_FORMAT="JSON")

    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OPENROUTER_API_KEY", "OPENAI_API_KEY", "AUTH_TOKEN", "CALLBACK_HMAC_SECRET")

    settings = given(monkeypatch, **dict.fromkeys(names, "hunter2"))

    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


class TestDocumentation:
    def test_every_setting_is_described(self) -> None:
        assert sorted(name.lower() for name, _, _ in describe()) == sorted(Settings.model_fields)
        for name, _, description in describe():
            assert description.endswith("."), name
            assert "\n" not in description
            assert "|" not in description

    def test_the_example_file_is_up_to_date(self) -> None:
        # When this fails: python -m answerback.testing.docs
        assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()

    def test_the_example_uncommented_changes_nothing(self) -> None:
        before = load_settings()

        lines = env_example().splitlines()
        Path(".env").write_text("\n".join(line.removeprefix("#") for line in lines if not line.startswith("# ")))

        assert Path(".env").read_text().count("=") == len(describe())
        assert load_settings() == before


class TestFleet:
    @pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://me:p@h", "amqp://me:p@h:5672//", "amqps://h"])
    def test_brokers(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        broker = given(monkeypatch, CELERY_BROKER_URL=url).celery_broker_url

        assert broker is not None
        assert broker.get_secret_value() == url

    @pytest.mark.parametrize("name", ["REDIS_URL", "CELERY_BROKER_URL"])
    @pytest.mark.parametrize(
        "url", ["sqs://h", "localhost:6379", "redis://", "http://me:hunter2@h", "redis://:hunter2@h/junk"]
    )
    def test_anything_else_is_refused(self, monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
        message = refused(monkeypatch, **{name: url})

        assert message.startswith(f"{name} must")
        assert "redis://localhost:6379/" in message
        assert "hunter2" not in message
