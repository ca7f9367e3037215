"""A body costs about what its bytes cost, whatever it holds: one request holds up no other."""

import gc
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from whole_api import Api, shared_api

pytestmark = pytest.mark.asyncio(loop_scope="module")
api = shared_api(mock_delay_seconds=0)

SIZE = 400_000
LARGEST_REFUSAL = 16 * 1024

ADDRESS = "https://203.0.114.1/hook"
GOOD: Mapping[str, Mapping[str, Any]] = {
    "/webhook": {"message": "hi", "callback_url": ADDRESS},
    "/api/ask": {"question": "hi"},
    "/api/streaming": {"question": "hi"},
    "/generate": {"prompt": "hi"},
    "/v1/keys": {"name": "k"},
    "/v1/deliveries/resend": {"status": "dead"},
    "/v1/reviews": {"submission_id": "s", "file_refs": [{"url": ADDRESS}], "webhook_url": ADDRESS},
    "/v1/webhook_endpoints": {"name": "n", "url": ADDRESS, "event_types": ["message.completed"]},
    "/v1/responses": {"input": "hi"},
}


def filled(field: str, item: object) -> Callable[[str], bytes]:
    """Makes a good body whose field holds the item so often that it has `SIZE` bytes."""
    count = SIZE // (len(json.dumps(item)) + 2)
    return lambda path: json.dumps({**GOOD[path], field: [item] * count}).encode()


def named(path: str, field: str | None = None) -> bytes:
    """A good body with `SIZE` bytes of names that nobody knows: in itself, or in a field."""
    names: dict[str, Any] = {f"k{number}": 1 for number in range(SIZE // 14)}
    return json.dumps({**GOOD[path], **({field: names} if field else names)}).encode()


def with_pages(path: str) -> bytes:
    """A good body, but for `SIZE` bytes of pages that are no numbers."""
    return json.dumps({**GOOD[path], "file_refs": [{"url": ADDRESS, "pages": [""] * (SIZE // 4)}]}).encode()


STRICT = ("/webhook", "/api/ask", "/api/streaming", "/generate", "/v1/keys", "/v1/deliveries/resend", "/v1/reviews")
REFUSED: list[tuple[str, Callable[[str], bytes]]] = [
    *((path, named) for path in STRICT),
    ("/webhook", filled("message", {})),
    ("/webhook", filled("message", 1)),
    ("/webhook", filled("tool_outputs", {})),
    ("/v1/reviews", filled("file_refs", {})),
    ("/v1/reviews", filled("file_refs", 1)),
    ("/v1/reviews", with_pages),
    ("/v1/webhook_endpoints", filled("event_types", 1)),
    ("/v1/webhook_endpoints", filled("event_types", "message.completed")),
    ("/v1/responses", partial(named, field="metadata")),
    ("/v1/responses", filled("tools", 1)),
    ("/v1/responses", filled("tools", {"type": "function", "name": "f"})),
    ("/v1/responses", filled("include", 1)),
    ("/v1/responses", filled("input", {})),
    ("/v1/responses", filled("input", 1)),
]
"""Where a body is sent, and what makes it there: all of them would be made in every process that collects tests."""


async def seconds(api: Api, path: str, body: bytes) -> tuple[float, int, int]:
    """The processor's time of a request, its status, and the bytes of its answer."""
    # A collection would look at all that other tests have left in this process.
    gc.disable()
    try:
        began = time.process_time()
        reply = await api("POST", path, body=body)
        return time.process_time() - began, reply.status, len(reply.raw)
    finally:
        gc.enable()


@pytest.mark.parametrize(("path", "make"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
async def test_what_is_refused_costs_little_and_is_refused_in_few_words(
    path: str, make: Callable[[str], bytes], api: Api
) -> None:
    body = make(path)
    await seconds(api, path, b"{}")
    began = time.process_time()
    json.loads(body)
    read = time.process_time() - began

    taken, status, answered = await seconds(api, path, body)

    assert status in (400, 422)
    assert answered < LARGEST_REFUSAL
    # Naming each error takes a hundred times as long as reading.
    assert taken < 25 * read + 0.1


async def test_what_stands_in_a_text_is_no_value(api: Api) -> None:
    said = '{"a": [1, 2, "\\" ,], ' * 30_000
    body = json.dumps({"input": said}).encode()

    taken = await api("POST", "/v1/responses", body=body)
    refused = await api("POST", "/v1/responses", body=json.dumps({"input": [1] * 100_001}).encode())
    # A text that never ends, and would be looked for from each of its quotes.
    cut = await api("POST", "/v1/responses", body=body[:-10] + b"\\")

    assert taken.status == 200
    assert refused.status == 400
    assert "100000 values" in refused.json["error"]["message"]
    assert cut.status == 400
    assert "not JSON" in cut.json["error"]["message"]
