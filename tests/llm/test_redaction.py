"""No key of anybody's is shown, however an upstream repeats it; ordinary words stay."""

import pytest

from answerback.llm.errors.redaction import redact

KEYS = {
    "openai": "sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "anthropic": "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUv-_AA",
    "groq": "gsk_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "gemini": "AIzaSyA-AbCdEfGhIjKlMnOpQrStUvWxYz01234",
    "aws, for a while": "ASIAIOSFODNN7EXAMPLE",
    "github": "ghp_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "github, fine-grained": "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "a jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "databricks": "dapi0123456789abcdef0123456789abcdef",
    "zhipu": "0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_vendors_key_is_known_wherever_it_stands(key: str) -> None:
    assert key[8:] not in redact(f"There is no {key} here")


@pytest.mark.parametrize(
    "said",
    [
        "Incorrect API key provided: {}. You can find",
        "x-api-key: {}",
        '{{"api_key": "{}", "model": "m"}}',
        "{{'Authorization': 'Bearer {}'}}",
        "Api-Key {}",
        "https://host/v1?key={}&alt=sse",
        "https://user:{}@host/v1",
    ],
)
def test_a_key_of_no_known_form_is_known_by_what_stands_before_it(said: str) -> None:
    shown = redact(said.format("Zq81mmPq0aLLx77e"))

    assert "Zq81mmPq0a" not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens",
        "API key not valid. Please pass a valid API key.",
        "The model task-oriented-assistant-v2 does not exist",
        "invalid 'messages[0].role'; authorization failed",
    ],
)
def test_ordinary_words_stay(said: str) -> None:
    assert redact(said) == said
