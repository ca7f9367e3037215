"""Real requests for responses, changed at random: each is answered or refused with a reason, and breaks nothing."""

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import pytest

from answerback.testing.llm import FakeLLM

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODEX: Any = {
    "model": "fake",
    "instructions": "You are a coding agent.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandboxed."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "list the files"}]},
        {
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "I call ls."}],
            "encrypted_content": None,
        },
        {"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}', "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "README.md"},
        {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin", "call_id": "call_2"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "ok"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}],
        },
    ],
    "tools": [
        {"type": "function", "name": "shell", "strict": False, "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "namespace", "name": "agents", "description": "", "tools": [{"type": "function", "name": "spawn"}]},
        {"type": "web_search"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "low", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "01a1fc84",
    "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
    "client_metadata": {"origin": "cli"},
    "metadata": {"a": "b"},
    "top_logprobs": 1,
    "previous_response_id": None,
    "background": False,
    "temperature": 0.5,
}
ODD: Any = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "\0",
    "é🌍",
    [],
    {},
    [[]],
    [None],
    {"type": None},
    {"type": "x"},
    "none",
]
ROUNDS = 200


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"RATE_LIMIT": "0"}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value within, as what holds it and under which key."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def mutated(dice: random.Random) -> Any:
    body = copy.deepcopy(CODEX)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        holder, key = dice.choice(list(places(body)))
        match dice.randrange(4):
            case 0:
                del holder[key]
            case 1:
                holder[key] = copy.deepcopy(dice.choice(ODD))
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(dice.choice([holder[key], *ODD])))
            case _:
                _, other = dice.choice(list(places(body)))
                holder[key] = copy.deepcopy(dice.choice([CODEX.get(other, other) if isinstance(other, str) else other]))
    return body


async def test_no_request_breaks_the_service(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    dice, counts = random.Random(14), {200: 0, 400: 0}
    for _ in range(ROUNDS):
        body = mutated(dice)
        async with http.post("/v1/responses", json=body) as response:
            text = await response.text()
            assert response.status in (200, 400, 404), (response.status, text, body)
            if response.status == 200:
                assert "response.failed" not in text, (text, body)
            else:
                error = (await response.json())["error"]
                assert error["message"], body
                assert error["param"] or response.status == 404 or error["code"], (error, body)
            counts[response.status] = counts.get(response.status, 0) + 1
    # Both happen often, or this would test little.
    assert min(counts[200], counts[400]) > ROUNDS / 10, counts
