"""The newest `openai` package and the last one of the major version before, in environments of their own: typed objects
come out of every route, and typed exceptions out of every error."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from isolated import uvx
from troubles import TROUBLES, chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = Path(__file__).with_name("openai_client.py")
WEBHOOKS: Mapping[str, Any] = {
    "endpoint": "shop",
    "renamed": "other",
    "rotated": True,
    "endpoints": [True],
    "types": True,
    "unreachable": ["BadRequestError", 400, "invalid_value"],
    "endpoint gone": True,
    "unknown endpoint": ["NotFoundError", 404, "not_found"],
}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"LLM_TIMEOUT_SECONDS": "20", "AUTH_TOKEN": "the-key"}


@pytest.mark.parametrize(("version", "webhooks"), [("2.54.0", {}), ("3.57.0", WEBHOOKS)])
async def test_the_python_package_works_unmodified(
    llm: FakeLLM, service: Service, tmp_path: Path, version: str, webhooks: Mapping[str, Any]
) -> None:
    for name in ("429", "500", "404"):
        llm.on(name, TROUBLES[name].reply)
    llm.on("broken", replies.stream(sse(chunk("half"), {"error": {"code": 502, "message": "scripted"}})))
    llm.on("hangs", replies.hang())
    call = {"index": 0, "id": "c", "function": {"name": "find", "arguments": "{}"}}
    said = [{"reasoning": "hm"}, {"content": "Wait."}, {"tool_calls": [call]}]
    chunks = [{"choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in said]
    llm.on("thinks", replies.stream(sse(*chunks, chunk(None, "tool_calls"))))
    shutil.copy(SCRIPT, tmp_path)
    program = ("--from", f"openai=={version}", "python", SCRIPT.name, f"{service.url}/v1", "the-key")

    ran = await asyncio.to_thread(uvx, *program, cwd=tmp_path)

    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert seen == {
        "chat": 'You said: "asks". I was given 1 message.',
        "streamed": 'You said: "streams". I was given 1 message.',
        "usage": True,
        "models": ["fake", "vendor/large:free"],
        "model": "vendor/large:free",
        "embedded": 2,
        "completed": " and so on",
        "response": 'You said: "responds". I was given 1 message.',
        "fetched": True,
        "items": ["reasoning", "message", "function_call"],
        "last": "response.completed",
        "resumed": 'You said: "leaves". I was given 1 message.',
        "input": ["user", "assistant", "user"],
        "cancelled": "cancelled",
        "deleted": ["NotFoundError", 404, "not_found"],
        "turns": ["assistant", "user", "user", "user"],
        "item": "message",
        "shortened": True,
        "changed": {"c": "d"},
        "gone": True,
        "unknown conversation": ["NotFoundError", 404, "not_found"],
        **webhooks,
        "unknown": ["NotFoundError", 404, "model_not_found"],
        "limited": ["RateLimitError", 429, "upstream_rate_limited"],
        "failed": ["InternalServerError", 502, "upstream_error"],
        "refused": ["BadRequestError", 400, "upstream_refused"],
        "broken": ["APIError", None, "upstream_error"],
        "cut": "response.failed",
        "wrong": ["BadRequestError", 400, "invalid_value"],
        "conflict": ["ConflictError", 409, "idempotency_conflict"],
        "late": ["APITimeoutError", None, None],
        "stranger": ["AuthenticationError", 401, "invalid_api_key"],
    }
