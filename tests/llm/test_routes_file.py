"""The routes file: what it says, and one clear line for what is wrong with it."""

from pathlib import Path

import pytest

from answerback.llm.routes_file import RoutesFileError, load_routes

GOOD = """
default = "smart"

[providers.openrouter]
base_url = "https://openrouter.ai/api/v1/"
api_key_env = "OPENROUTER_API_KEY"
requests_per_minute = 20
concurrency = 4

[providers.local]
base_url = "http://localhost:11434/v1"

[routes]
cheap = [{ provider = "local", model = "llama3.2" }]
smart = [
  { provider = "openrouter", model = "openai/gpt-oss-20b:free" },
  { provider = "local", model = "llama3.2" },
]
"""
KEYS = {"OPENROUTER_API_KEY": "sk-or-secret"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "routes.toml"


def test_a_good_file(path: Path) -> None:
    path.write_text(GOOD)

    file = load_routes(path, KEYS)

    openrouter, local = file.providers.values()
    assert (openrouter.base_url, openrouter.key()) == ("https://openrouter.ai/api/v1", "sk-or-secret")
    assert (openrouter.requests_per_minute, openrouter.concurrency) == (20, 4)
    assert (local.key(), local.requests_per_minute, local.concurrency) == (None, 0, 0)
    assert [(step.provider, step.model) for step in file.routes["smart"]] == [
        ("openrouter", "openai/gpt-oss-20b:free"),
        ("local", "llama3.2"),
    ]
    assert file.default_route == "smart"
    assert "sk-or-secret" not in repr(file)


def test_without_a_default_the_first_route_is_it(path: Path) -> None:
    path.write_text(GOOD.replace('default = "smart"', ""))

    assert load_routes(path, KEYS).default_route == "cheap"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[routes]", "[routes", "it is not TOML"),
        ('provider = "local"', 'provider = "locale"', "names the provider 'locale', which is not there"),
        ('default = "smart"', 'default = "smarter"', "default names the route 'smarter', which is not there"),
        ("https://openrouter.ai", "ftp://openrouter.ai", "providers.openrouter.base_url must be an http or https URL"),
        ("https://openrouter.ai", "https://me:sk-pw@openrouter.ai", "providers.openrouter.base_url must be"),
        ('base_url = "http://localhost:11434/v1"', "", "providers.local.base_url field required"),
        ("concurrency = 4", 'concurrency = "many"', "providers.openrouter.concurrency should be a valid integer"),
        ("concurrency = 4", "concurrency = -4", "providers.openrouter.concurrency should be greater than or equal"),
        ("concurrency = 4", "concurency = 4", "providers.openrouter.concurency extra inputs are not permitted"),
        ("concurrency = 4", 'api_key = "sk-x"', "has both api_key and api_key_env"),
        ("concurrency = 4", 'api_key = "sk with spaces"', "providers.openrouter.api_key holds a space"),
        (
            '"OPENROUTER_API_KEY"',
            '"NO_SUCH_KEY"',
            "takes its key from NO_SUCH_KEY, which the environment does not hold",
        ),
        ('cheap = [{ provider = "local", model = "llama3.2" }]', "cheap = []", "routes.cheap"),
        ('model = "openai/gpt-oss-20b:free"', 'model = ""', "routes.smart.0.model"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_secrets(path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))

    with pytest.raises(RoutesFileError) as caught:
        load_routes(path, KEYS)

    line = str(caught.value)
    assert line.startswith(f"LLM_ROUTES_FILE '{path}' cannot be used: ")
    assert said in line
    assert "\n" not in line
    assert "sk-" not in line


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"\xff", "must be UTF-8"), (b"", "providers")])
def test_a_file_that_cannot_be_read(path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(RoutesFileError, match=said):
        load_routes(path, {})
