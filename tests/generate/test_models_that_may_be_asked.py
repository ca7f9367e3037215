"""Which models `/generate` asks, what the lists show where providers are several, and OpenAI with a key alone."""

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from whole_api import Api, Reply, whole_api

UNKNOWN = replies.status(404, {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}})


@pytest.fixture
def path(path: Path, migrated_file: Path) -> Path:
    """A database with the schema."""
    shutil.copy(migrated_file, path)
    return path


def upstream(llm: FakeLLM) -> dict[str, Any]:
    return {"mock_mode": False, "openrouter_base_url": llm.base_url, "llm_model": "fake", "max_retries": 0}


async def generate(api: Api, **fields: Any) -> Reply:
    return await api("POST", "/generate", body={"prompt": "hi", **fields})


@pytest.mark.parametrize("ids", [["openai/*"], ["models/gemini-2.0-flash"], ["gpt-4o"], []])
@pytest.mark.parametrize("envelope", ["object", "array"])
async def test_a_list_is_no_whitelist(path: Path, llm: FakeLLM, ids: list[str], envelope: str) -> None:
    """Given wildcards, prefixes, or the base models of deployments: the upstream is asked, and decides."""
    rows = [{"id": name} for name in ids]
    llm.list_reply = replies.status(200, rows if envelope == "array" else {"object": "list", "data": rows})
    async with whole_api(path, **upstream(llm)) as api:
        answered = await generate(api, model="my-deployment")
        llm.then(UNKNOWN)
        refused = await generate(api, model="my-other")

    assert (answered.status, llm.calls[0].model) == (200, "my-deployment")
    assert (refused.status, refused.code) == (400, "model_not_found")
    assert refused.json["detail"] == "The model `m` does not exist"


async def test_what_a_list_that_claims_to_be_complete_lacks_is_refused_unasked(path: Path, llm: FakeLLM) -> None:
    async with whole_api(path, **upstream(llm)) as api:
        refused = await generate(api, model="nobody/knows")

    assert (refused.status, refused.code, llm.total) == (400, "model_not_found", 0)


async def test_a_dead_first_provider_costs_its_own_models_only(path: Path, llm: FakeLLM, tmp_path: Path) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text(
        '[providers.dead]\nbase_url = "http://127.0.0.1:9/v1"\n'
        f'[providers.well]\nbase_url = "{llm.base_url}"\n'
        '[[routes.smart]]\nprovider = "dead"\nmodel = "big"\n'
        '[[routes.smart]]\nprovider = "well"\nmodel = "fake"\n'
    )
    async with whole_api(path, mock_mode=False, llm_routes_file=routes, max_retries=0) as api:
        ours, openais = await api("GET", "/models"), await api("GET", "/v1/models")
        one = await api("GET", "/v1/models/fake")
        asked = await generate(api, model="fake")

    assert (ours.status, [model["id"] for model in ours.json]) == (200, ["smart", "fake"])
    assert (openais.status, [model["id"] for model in openais.json["data"]]) == (200, ["smart", "fake"])
    assert (one.status, llm.lists) == (200, 1)
    assert (asked.status, llm.calls[-1].model) == (200, "fake"), "asked of the provider that lists it"


async def test_a_provider_that_hangs_holds_up_the_list_no_longer_than_connecting_may_take(
    path: Path, llm: FakeLLM, tmp_path: Path
) -> None:
    routes = tmp_path / "routes.toml"
    async with FakeLLM() as hanging:
        hanging.list_reply = replies.hang()
        routes.write_text(
            f'[providers.hangs]\nbase_url = "{hanging.base_url}"\n[providers.well]\nbase_url = "{llm.base_url}"\n'
            '[[routes.smart]]\nprovider = "hangs"\nmodel = "big"\n'
        )
        async with whole_api(path, mock_mode=False, llm_routes_file=routes, connection_timeout=0.1) as api:
            first, second = await api("GET", "/models"), await api("GET", "/v1/models")

    assert [model["id"] for model in first.json] == ["smart", "fake"]
    assert [model["id"] for model in second.json["data"]] == ["smart", "fake"]
    assert hanging.lists == 1, "once for as long as the list is kept"


FORM = b'--x\r\ncontent-disposition: form-data; name="prompt_file"; filename="p"\r\n\r\nhi\r\n--x--\r\n'


async def test_with_openais_key_alone_it_works_out_of_the_box(
    path: Path, llm: FakeLLM, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Given models that refuse `max_tokens`."""
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", llm.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
    settings = {"openai_api_key": "sk-openai", "openai_base_url": f"http://api.openai.com:{llm.port}/v1"}
    async with whole_api(path, mock_mode=False, benchmarks_dir=tmp_path, **settings) as api:
        reply = await generate(api)
        asked = await api("POST", "/api/ask", body={"question": "hi"})
        measured = await api("POST", "/benchmark", body=FORM, content_type="multipart/form-data; boundary=x")

    assert (reply.status, asked.status) == (200, 200)
    assert measured.json["overall"]["failures"] == 0
    generated, plain, *benchmarked = (call.body for call in llm.calls)
    assert [(body["max_completion_tokens"], "max_tokens" in body) for body in benchmarked] == [(512, False)] * 5
    assert generated == {
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 512,
        "model": "gpt-5-mini",
    }
    assert plain.keys() == {"messages", "model"}, "nothing is added that nobody asked for"
    assert llm.calls[0].headers["Authorization"] == "Bearer sk-openai"


async def test_an_account_without_credit_moves_on_to_the_next_provider_and_rests(
    path: Path, llm: FakeLLM, tmp_path: Path
) -> None:
    """Given a vendor that says so with a 400."""
    routes = tmp_path / "routes.toml"
    async with FakeLLM(models=("small",)) as spare:
        spent = "Your credit balance is too low to access the Anthropic API."
        llm.then(replies.status(400, {"type": "error", "error": {"type": "invalid_request_error", "message": spent}}))
        routes.write_text(
            f'[providers.main]\nbase_url = "{llm.base_url}"\n[providers.spare]\nbase_url = "{spare.base_url}"\n'
            '[[routes.smart]]\nprovider = "main"\nmodel = "big"\n'
            '[[routes.smart]]\nprovider = "spare"\nmodel = "small"\n'
        )
        async with whole_api(path, mock_mode=False, llm_routes_file=routes, max_retries=0) as api:
            first, second = await generate(api), await generate(api)

    assert (first.json["model"], second.json["model"]) == ("small", "small")
    assert (llm.total, spare.total) == (1, 2)
