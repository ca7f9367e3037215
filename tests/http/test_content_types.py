"""A body of another kind is refused with what to send; JSON is JSON, whatever its label; empty fields are absent."""

import gzip
from pathlib import Path

import pytest

from whole_api import Api, shared_api, whole_api

pytestmark = pytest.mark.asyncio(loop_scope="module")
api = shared_api()

JSON_ROUTES = "/webhook", "/api/ask", "/generate", "/v1/reviews", "/v1/keys", "/v1/chat/completions"
OPERATOR = "operator-token-7d1f"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=a"])
async def test_a_form_is_refused_with_what_to_send(kind: str, api: Api) -> None:
    for asked in JSON_ROUTES:
        reply = await api("POST", asked, body=b"message=hi&callback_url=x", content_type=kind)
        assert (reply.status, reply.code) == (415, "unsupported_media_type"), asked
        assert "Content-Type: application/json" in reply.json["error"]["message"]


async def test_json_is_taken_whatever_it_is_labelled(api: Api) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "", "application/octet-stream"):
        reply = await api("POST", "/webhook", body=b'\xef\xbb\xbf{"message": "hi"}', content_type=kind)
        assert [each["loc"] for each in reply.json["detail"]] == [["body", "callback_url"]]


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip"])
async def test_a_compressed_body_is_refused_with_what_to_send(coding: str, api: Api) -> None:
    for asked, kind in [(each, "application/json") for each in JSON_ROUTES] + [("/benchmark", "multipart/form-data")]:
        body = gzip.compress(b'{"message": "hi"}')
        reply = await api("POST", asked, body=body, content_type=kind, content_encoding=coding)
        assert (reply.status, reply.code) == (415, "unsupported_media_type"), asked
        assert "send the body uncompressed" in reply.json["error"]["message"]


@pytest.mark.parametrize("coding", ["identity", "utf-8", "gzip"])
async def test_json_is_taken_whatever_its_coding_is_said_to_be(coding: str, api: Api) -> None:
    reply = await api("POST", "/webhook", body=b'{"message": "hi"}', content_encoding=coding)
    assert [each["loc"] for each in reply.json["detail"]] == [["body", "callback_url"]]


async def test_text_is_refused_with_what_to_send(api: Api) -> None:
    reply = await api("POST", "/api/ask", body=b"What is the capital of France?", content_type="text/plain")
    assert reply.status == 422
    assert reply.json["error"]["message"].endswith("send a JSON object; its fields are question, model")
    reply = await api("POST", "/v1/chat/completions", body=b"hi", content_type="text/plain")
    assert reply.status == 400
    assert '{"model": …, "messages": […]}' in reply.json["error"]["message"]


async def test_json_for_a_benchmark_is_refused_with_what_to_send(api: Api) -> None:
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
