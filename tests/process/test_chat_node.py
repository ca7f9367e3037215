"""The official `openai` package for Node against the running service, where Node is present."""

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
from npm import OLDER_OPENAI, OPENAI, installed
from troubles import TROUBLES, chunk, sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = Path(__file__).with_name("openai_client.mjs")


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"LLM_TIMEOUT_SECONDS": "2", "AUTH_TOKEN": "the-key"}


@pytest.fixture(scope="module")
def project(request: pytest.FixtureRequest) -> Path:
    """A folder with the package installed, and the script."""
    folder = installed(request.config, request.param)
    shutil.copy(SCRIPT, folder)
    return folder


@pytest.mark.parametrize(
    ("project", "webhooks"),
    [(OPENAI, [True, [True], ["BadRequestError", 400, "invalid_value"], True]), (OLDER_OPENAI, None)],
    indirect=["project"],
)
async def test_the_node_package_works_unmodified(project: Path, llm: FakeLLM, service: Service, webhooks: Any) -> None:
    llm.on("node 429", TROUBLES["429"].reply)
    llm.on("node 500", TROUBLES["500"].reply)
    llm.on("node 404", TROUBLES["404"].reply)
    llm.on("node broken", replies.stream(sse(chunk("half"), {"error": {"code": 502, "message": "scripted"}})))
    llm.on("node late", replies.hang())
    call = {"index": 0, "id": "c", "function": {"name": "find", "arguments": "{}"}}
    said = [{"reasoning": "hm"}, {"content": "Wait."}, {"tool_calls": [call]}]
    chunks = [{"choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in said]
    llm.on("node thinks", replies.stream(sse(*chunks, chunk(None, "tool_calls"))))

    process = await asyncio.create_subprocess_exec(
        *("node", SCRIPT.name, f"{service.url}/v1", "the-key"),
        cwd=project,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    assert json.loads(out) == {
        "chat": 'You said: "node asks". I was given 1 message.',
        "streamed": 'You said: "node streams". I was given 1 message.',
        "usage": True,
        "models": ["fake", "vendor/large:free"],
        "model": "vendor/large:free",
        "unknown": ["NotFoundError", 404, "model_not_found"],
        "limited": ["RateLimitError", 429, "upstream_rate_limited"],
        "failed": ["InternalServerError", 502, "upstream_error"],
        "refused": ["BadRequestError", 400, "upstream_refused"],
        "broken": ["APIError", None, "upstream_error"],
        "late": ["APIConnectionTimeoutError", None, None],
        "turn": 'You said: "node takes a turn". I was given 1 message.',
        "response": 'You said: "node responds". I was given 1 message.',
        "items": ["reasoning", "message", "function_call"],
        "last": "response.completed",
        "background": 'You said: "node leaves". I was given 1 message.',
        "input": ["user", "assistant", "user"],
        "cancelled": "cancelled",
        "resumed": "response.completed",
        "deleted": ["NotFoundError", 404, "not_found"],
        "turns": ["user", "user"],
        "changed": {"c": "d"},
        "gone": True,
        "webhooks": webhooks,
        "conflict": ["ConflictError", 409, "idempotency_conflict"],
        "embedded": 2,
        "completed": " and so on",
        "wrong": ["BadRequestError", 400, "invalid_value"],
        "cut": "response.failed",
        "stranger": ["AuthenticationError", 401, "invalid_api_key"],
    }
