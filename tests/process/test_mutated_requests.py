"""Real requests, changed at random: each is answered or refused with a reason, and breaks nothing."""

import copy
import random
from collections import Counter
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
CHAT: Any = {
    "model": "fake",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "response_format": {"type": "json_object"},
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
}
ROUTES: Mapping[str, tuple[str, Any, int]] = {
    "responses": ("/v1/responses", CODEX, 100),
    "background": ("/v1/responses", CODEX | {"background": True, "store": True}, 20),
    "chat": ("/v1/chat/completions", CHAT, 20),
    "completions": ("/v1/completions", {"prompt": ["a", "b"], "stream": False, "stop": ["x"], "seed": 1}, 20),
    "embeddings": ("/v1/embeddings", {"model": "fake", "input": ["a", "b"], "dimensions": 2}, 20),
    "conversations": (
        "/v1/conversations",
        {
            "items": [
                {"type": "message", "id": "msg_1", "status": "completed", "role": "user", "content": "hi"},
                {"role": "assistant", "phase": None, "content": [{"type": "output_text", "text": "a"}]},
            ],
            "metadata": {"a": "b"},
            "other": {"a": [1, 2]},
        },
        20,
    ),
    "endpoints": (
        "/v1/webhook_endpoints",
        {"name": "n", "url": "http://127.0.0.1:9/x", "event_types": ["response.completed", "message.failed"]},
        20,
    ),
}
"""Paths, bodies, and how often each is changed."""


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"RATE_LIMIT": "0"}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value within, as what holds it and under which key."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def mutated(seed: Any, dice: random.Random) -> Any:
    body = copy.deepcopy(seed)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        if not (found := list(places(body))):
            break
        holder, key = dice.choice(found)
        match dice.randrange(4):
            case 0:
                del holder[key]
            case 1:
                holder[key] = copy.deepcopy(dice.choice(ODD))
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(dice.choice([holder[key], *ODD])))
            case _:
                _, other = dice.choice(found)
                holder[key] = copy.deepcopy(seed.get(other, other) if isinstance(other, str) else other)
    return body


@pytest.mark.parametrize("name", ROUTES)
async def test_no_request_breaks_the_service(http: aiohttp.ClientSession, llm: FakeLLM, name: str) -> None:
    path, seed, rounds = ROUTES[name]
    dice, counts = random.Random(14), Counter[int]()
    for _ in range(rounds):
        body = mutated(seed, dice)
        async with http.post(path, json=body) as response:
            text = await response.text()
            assert response.status in (200, 400, 404), (response.status, text, body)
            if response.status == 200:
                assert "response.failed" not in text or name == "background", (text, body)
            else:
                error = (await response.json())["error"]
                assert error["message"], body
                assert error["param"] or response.status == 404 or error["code"], (error, body)
            counts[response.status] += 1
    # Both happen often, or this would test little.
    assert min(counts[200], counts[400]) > rounds / 20, counts
