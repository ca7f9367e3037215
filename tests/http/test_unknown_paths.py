"""A path that is not there is answered with what could have been meant."""

from pathlib import Path

import pytest

from whole_api import Api, whole_api

OPERATOR = "operator-token-7d1f"
MISSING_V1 = "POST /v1/chat/completions"


async def said(api: Api, method: str, path: str, status: int = 404) -> str:
    reply = await api(method, path)
    assert reply.status == status, path
    return str(reply.json["error"]["message"])


async def test_a_404_names_what_was_meant(path: Path) -> None:
    meant = {
        "/chat/completions": MISSING_V1,
        "/v1/v1/chat/completions": MISSING_V1,
        "/api/v1/chat/completions": MISSING_V1,
        "/openai/deployments/gpt/v1/chat/completions": MISSING_V1,
        "/v1/chat/completion": MISSING_V1,
        "/V1/Chat/Completions": MISSING_V1,
        "/webhooks": "POST /webhook",
        "/v1/webhook": "POST /webhook",
        "/jobs/job_1": "GET /v1/jobs/{job_id}",
        "/api/asks": "POST /api/ask",
        "/generat": "POST /generate",
        "/v1/assistants": "assistants are not offered here",
        "/v1/images/generations": "images are not offered here",
        "/wp-login.php": "'/docs' lists what there is",
        "/" + "a" * 5_000: "'/docs' lists what there is",
    }
    async with whole_api(path) as api:
        for asked, words in meant.items():
            assert words in await said(api, "POST", asked), asked


async def test_below_v1_it_is_an_error_as_openais(path: Path) -> None:
    async with whole_api(path) as api:
        error = (await api("POST", "/v1/assistants")).json["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert (error["type"], error["code"]) == ("invalid_request_error", "not_found")


async def test_a_wrong_method_is_answered_with_the_right_one(path: Path) -> None:
    async with whole_api(path) as api:
        reply = await api("GET", "/webhook")
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
        assert reply.json["error"]["message"] == "this path does not take GET; send POST"
        assert (await api("DELETE", "/healthz")).headers["allow"] == "GET, HEAD"


async def test_the_root_leads_a_browser_to_the_documentation(path: Path) -> None:
    async with whole_api(path) as api:
        reply = await api("GET", "/", accept="text/html,*/*;q=0.8")
        assert (reply.status, reply.headers["location"]) == (307, "docs")
        assert "/docs" in await said(api, "GET", "/")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=a"])
async def test_a_form_is_refused_with_what_to_send(kind: str, path: Path) -> None:
    async with whole_api(path) as api:
        for asked in ("/webhook", "/api/ask", "/generate", "/v1/reviews", "/v1/keys", "/v1/chat/completions"):
            reply = await api("POST", asked, body=b"message=hi&callback_url=x", content_type=kind)
            assert (reply.status, reply.code) == (415, "unsupported_media_type"), asked
            assert "Content-Type: application/json" in reply.json["error"]["message"]


async def test_json_is_taken_whatever_it_is_labelled(path: Path) -> None:
    async with whole_api(path) as api:
        for kind in ("application/x-www-form-urlencoded", "text/plain", "", "application/octet-stream"):
            reply = await api("POST", "/webhook", body=b'\xef\xbb\xbf{"message": "hi"}', content_type=kind)
            assert [each["loc"] for each in reply.json["detail"]] == [["body", "callback_url"]]


async def test_text_is_refused_with_what_to_send(path: Path) -> None:
    async with whole_api(path) as api:
        reply = await api("POST", "/api/ask", body=b"What is the capital of France?", content_type="text/plain")
        assert reply.status == 422
        assert reply.json["error"]["message"].endswith("send a JSON object; its fields are question, model")
        reply = await api("POST", "/v1/chat/completions", body=b"hi", content_type="text/plain")
        assert reply.status == 400
        assert '{"model": …, "messages": […]}' in reply.json["error"]["message"]


async def test_json_for_a_benchmark_is_refused_with_what_to_send(path: Path) -> None:
    async with whole_api(path) as api:
        reply = await api("POST", "/benchmark", body={"runs": 1}, content_type="application/json")
        assert (reply.status, reply.code) == (415, "unsupported_media_type")
        assert "curl -F prompt_file=@prompts.txt" in reply.json["error"]["message"]


async def test_an_optional_field_that_is_empty_or_null_counts_as_absent(path: Path) -> None:
    async with whole_api(path, operator_token=OPERATOR, mock_delay_seconds=0) as api:
        for empty in ("", None):
            asked = {"question": "hi", "model": empty}
            assert (await api("POST", "/api/ask", OPERATOR, body=asked)).status == 200
            made = {"prompt": "hi", "model": empty, "max_tokens": empty, "temperature": empty, "stream": empty}
            assert (await api("POST", "/generate", OPERATOR, body=made)).status == 200
            key = {"name": f"k{empty}", "tenant": empty, "operator": empty, "rate_limit": empty, "weight": empty}
            assert (await api("POST", "/v1/keys", OPERATOR, body=key)).status == 201
            assert (await api("POST", "/api/ask", OPERATOR, body={"question": empty})).status == 422
