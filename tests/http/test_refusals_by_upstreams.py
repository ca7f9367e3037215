"""What an upstream refuses reaches the caller with its reason; what troubles the operator's account does not."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from builders import Journal
from troubles import chunk, sse
from whole_api import Api, Reply, whole_api

CLIENT, OPERATOR, UPSTREAM = "client-token-2b7c9d", "operator-token-1f0c", "key-of-the-upstream"
WHY = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."
TOO_LONG = {"message": WHY, "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, llm: FakeLLM) -> AsyncIterator[Api]:
    """One service for all, which tries once more, at once."""
    path = tmp_path_factory.mktemp("refusals") / "answerback.db"
    shutil.copy(migrated_file, path)
    settings = {"openrouter_base_url": llm.base_url, "openrouter_api_key": UPSTREAM, "mock_mode": False}
    retries = {"max_retries": 1, "min_retry_delay": 0.001, "max_retry_delay": 0.002, "rate_limit": "0"}
    async with whole_api(path, auth_token=CLIENT, operator_token=OPERATOR, **settings, **retries) as api:
        yield api


async def chat(api: Api, key: str = CLIENT, **fields: Any) -> Reply:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return await api("POST", "/v1/chat/completions", key, body=body)


async def asked(api: Api, key: str = CLIENT) -> Reply:
    return await api("POST", "/api/ask", key, body={"question": "hi"})


@pytest.mark.parametrize("stream", [False, True])
async def test_openais_routes_pass_on_message_param_and_code(api: Api, llm: FakeLLM, stream: bool) -> None:
    llm.then(replies.status(400, {"error": TOO_LONG}))

    reply = await chat(api, stream=stream)

    assert (reply.status, reply.json) == (400, {"error": TOO_LONG})
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("route", ["/api/ask", "/api/streaming", "/generate"])
async def test_our_own_routes_do_too(api: Api, llm: FakeLLM, route: str) -> None:
    llm.then(replies.status(400, {"error": TOO_LONG}))

    reply = await api("POST", route, CLIENT, body={"prompt": "hi"} if route == "/generate" else {"question": "hi"})

    said = {"code": "context_length_exceeded", "message": WHY, "param": "messages"}
    assert (reply.status, reply.json) == (400, {"detail": WHY, "error": said})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"object": "error", "message": WHY, "type": "BadRequestError", "code": 400}, "context_length_exceeded"),
        ({"error": {"message": "no", "code": 400, "type": "exceed_context_size_error"}}, "context_length_exceeded"),
        ({"error": {"message": "no such parameter", "param": "x", "code": "unknown_parameter"}}, "unknown_parameter"),
        ({"error": {"message": "no", "code": None}}, "upstream_refused"),
    ],
)
async def test_a_context_that_is_too_long_is_recognisable_whatever_the_vendor_calls_it(
    api: Api, llm: FakeLLM, body: Any, code: str
) -> None:
    llm.then(replies.status(400, body))

    assert (await chat(api)).code == code


@pytest.mark.parametrize(("status", "ours", "openais"), [(400, 400, 400), (413, 413, 413), (422, 422, 400)])
async def test_the_class_of_the_status_stays(api: Api, llm: FakeLLM, status: int, ours: int, openais: int) -> None:
    llm.then(replies.status(status), replies.status(status))

    assert ((await asked(api)).status, (await chat(api)).status) == (ours, openais)


async def test_a_stream_that_breaks_shows_no_secret(api: Api, llm: FakeLLM) -> None:
    broken = {"error": {"code": 400, "message": f"bad {UPSTREAM}", "type": "x"}}
    llm.then(replies.stream(sse(chunk("half"), broken, done=False)))

    reply = await chat(api, stream=True)

    assert reply.status == 200
    assert b'"message":"bad [redacted]"' in reply.raw
    assert UPSTREAM.encode() not in reply.raw


async def test_an_unknown_model_is_a_404_for_openais_clients_only(api: Api, llm: FakeLLM) -> None:
    unknown = {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}
    llm.then(replies.status(404, unknown), replies.status(404, unknown))

    first, second = await chat(api), await asked(api)

    assert (first.status, first.code) == (404, "model_not_found")
    assert (second.status, second.code) == (400, "model_not_found")


async def test_secrets_in_a_reason_are_redacted_and_it_is_cut(api: Api, llm: FakeLLM) -> None:
    why = (
        f"bad {UPSTREAM}, Bearer abcdef123456, https://user:pass@host/x?api_key=abcdef, sk-abcdefgh12345678 "
        + "x" * 9000
    )
    llm.then(replies.status(400, {"error": {"message": why, "param": UPSTREAM, "code": f"code-{UPSTREAM}"}}))

    reply = await chat(api)

    said = reply.json["error"]["message"]
    assert said.startswith(
        "bad [redacted], Bearer [redacted], https://[redacted]@host/x?api_key=[redacted], [redacted] x"
    )
    assert len(said) == 2000
    assert UPSTREAM not in reply.raw.decode()


OF_ACCOUNT = {"message": f"account 4711 of {UPSTREAM}", "code": f"acct_4711-{UPSTREAM}"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "upstream_auth"), (402, "upstream_credit"), (403, "upstream_auth"), (500, "upstream_error")],
)
async def test_what_an_upstream_says_of_the_account_or_itself_is_for_the_log(
    api: Api, llm: FakeLLM, status: int, code: str, stream: bool
) -> None:
    llm.then(*([replies.status(status, {"error": OF_ACCOUNT})] * (2 if status == 500 else 1)))

    reply = await chat(api, stream=stream)

    assert (reply.status, reply.code) == (502, code)
    assert "4711" not in reply.raw.decode()
    assert llm.base_url not in reply.raw.decode()
    journal = api.service.process.instruments.log
    assert isinstance(journal, Journal)
    line = [fields for event, fields in journal.lines if event == "llm_call_failed"][-1]
    assert line["upstream"] == "account 4711 of [redacted]"
    assert str(line["reason"]).startswith(f"{llm.base_url} ")
    assert str(line["reason"]).endswith("; its code: acct_4711-[redacted]")


async def test_a_code_of_the_account_stays_hidden_within_a_stream_too(api: Api, llm: FakeLLM) -> None:
    llm.then(replies.stream(sse(chunk("hi"), {"error": OF_ACCOUNT})))

    reply = await chat(api, stream=True)

    assert reply.status == 200
    assert b"upstream_error" in reply.raw
    assert b"4711" not in reply.raw


async def test_a_code_of_the_account_hides_behind_no_refusal(api: Api, llm: FakeLLM) -> None:
    # Given a refusal by a filter, whose reason is the caller's, with a status that is the account's
    llm.then(replies.status(403, {"error": {"message": "flagged", "type": "content_filter", "code": "acct_4711"}}))

    reply = await chat(api)

    assert (reply.status, reply.code) == (400, "content_filter")
    assert b"4711" not in reply.raw


async def test_a_code_that_is_known_to_name_a_reason_is_shown(api: Api, llm: FakeLLM) -> None:
    llm.then(replies.status(402, {"error": {"code": "insufficient_quota"}}))

    reply = await chat(api)

    assert reply.json["error"]["message"].endswith("(402, insufficient_quota)")


async def test_an_operator_sees_which_provider_it_is(api: Api, llm: FakeLLM) -> None:
    llm.then(replies.status(401, {"error": OF_ACCOUNT}))

    reply = await chat(api, OPERATOR)

    said = reply.json["error"]["message"]
    assert said.startswith(f"{llm.base_url} refused the relay's credentials (401)")
    assert said.endswith("; its code: acct_4711-[redacted]")


async def test_a_provider_that_does_not_run_is_named_to_the_operator(path: Path, migrated_file: Path) -> None:
    """Given a service without keys, whose callers on this machine are operators."""
    shutil.copy(migrated_file, path)
    base_url = "http://127.0.0.1:9/v1"
    async with whole_api(path, mock_mode=False, openrouter_base_url=base_url, max_retries=0) as api:
        reply = await api("POST", "/api/ask", body={"question": "hi"})

    assert (reply.status, reply.code) == (503, "upstream_unreachable")
    assert reply.json["detail"] == f"{base_url} refused the connection; is it running?"


async def test_sdks_do_not_multiply_our_own_retries(api: Api, llm: FakeLLM) -> None:
    before = llm.total
    llm.then(replies.status(429), replies.status(429))

    reply = await chat(api)

    assert (reply.status, reply.headers["x-should-retry"]) == (429, "false")
    assert llm.total == before + 2


async def test_a_wait_longer_than_our_patience_is_left_to_the_sdk(api: Api, llm: FakeLLM) -> None:
    llm.then(replies.status(429, {"error": {"message": "Please try again in 7.66s", "code": "rate_limit_exceeded"}}))

    before = llm.total
    reply = await chat(api, model="rests-after-this")

    assert (reply.status, reply.headers["retry-after"], reply.headers["retry-after-ms"]) == (429, "8", "7660")
    assert "x-should-retry" not in reply.headers
    assert llm.total == before + 1


async def test_an_account_without_credit_is_asked_once_and_is_no_rate_limit(api: Api, llm: FakeLLM) -> None:
    before = llm.total
    spent = {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}
    llm.then(replies.status(429, {"error": spent}))

    reply = await chat(api)

    assert (reply.status, reply.code, reply.headers["x-should-retry"]) == (502, "upstream_credit", "false")
    assert llm.total == before + 1
