"""The cells of the error table: what an upstream can do to a synchronous route, and how the route answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from answerback.testing import replies
from answerback.testing.replies import Reply

SECRET = "sk-upstream-secret"
LEAKY = {"error": {"message": f"bad key {SECRET}", "type": "scripted", "param": None, "code": None}}


@dataclass(frozen=True)
class Trouble:
    """`status` and `code` are what the caller sees; `streamed` is the reply to a stream where it differs."""

    reply: Reply
    status: int
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)
    streamed: Reply | None = None


def upstream(base_url: str) -> dict[str, str]:
    """Settings for a service whose LLM is at `base_url`, without limits and without retries."""
    return {
        "OPENROUTER_BASE_URL": base_url,
        "OPENROUTER_API_KEY": SECRET,
        "LLM_MODEL": "fake",
        "MAX_RETRIES": "0",
        "RATE_LIMIT": "0",
    }


def sse(*documents: Any, done: bool = True) -> bytes:
    """Events; text is taken as it is."""
    written = [each if isinstance(each, str) else json.dumps(each) for each in documents]
    return "".join(f"data: {each}\n\n" for each in (*written, *(["[DONE]"] if done else []))).encode()


def chunk(text: str | None = None, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    delta = {} if text is None else {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": [choice], **fields}


def _error_chunk(code: Any) -> Reply:
    return replies.stream(sse({"error": {"code": code, "message": SECRET}}))


SOON = {"Retry-After": "7", "retry-after-ms": "7000"}
NEVER = {"x-should-retry": "false"}

TROUBLES: Mapping[str, Trouble] = {
    "429": Trouble(replies.status(429, LEAKY), 429, "upstream_rate_limited"),
    "429-soon": Trouble(replies.status(429, LEAKY, {"Retry-After": "7"}), 429, "upstream_rate_limited", SOON),
    "429-late": Trouble(
        replies.status(429, LEAKY, {"Retry-After": "600"}),
        429,
        "upstream_rate_limited",
        {"Retry-After": "600", **NEVER},
    ),
    "429-in-200": Trouble(replies.error_in_200(429), 429, "upstream_rate_limited", streamed=_error_chunk(429)),
    "500": Trouble(replies.status(500, LEAKY), 502, "upstream_error"),
    "503": Trouble(replies.status(503, LEAKY, {"Retry-After": "7"}), 502, "upstream_error", SOON),
    "error-in-200": Trouble(replies.error_in_200(502), 502, "upstream_error", streamed=_error_chunk(502)),
    "vague-error-in-200": Trouble(replies.error_in_200("oops"), 502, "upstream_error", streamed=_error_chunk("oops")),
    "empty": Trouble(
        replies.message(""), 502, "upstream_empty", streamed=replies.stream(sse(chunk(""), chunk(None, "stop")))
    ),
    "no-choices": Trouble(replies.completion(choices=[]), 502, "upstream_invalid", streamed=replies.stream(sse())),
    "not-json": Trouble(
        replies.raw(b"<html>busy</html>", {"Content-Type": "text/html"}),
        502,
        "upstream_invalid",
        streamed=replies.stream(sse("<html>busy</html>")),
    ),
    "cut-short": Trouble(
        replies.break_off(), 502, "upstream_invalid", streamed=replies.stream(b'{"choices": [', "broken")
    ),
    "timeout": Trouble(replies.hang(), 503, "upstream_timeout"),
    "stall": Trouble(
        replies.hang(), 503, "upstream_timeout", streamed=replies.stream(sse(chunk(""), done=False), "never")
    ),
    "unreachable": Trouble(replies.hang_up(), 503, "upstream_unreachable"),
    "not-http": Trouble(replies.babble(), 502, "upstream_invalid"),
    "401": Trouble(replies.status(401, LEAKY), 502, "upstream_auth", NEVER),
    "402": Trouble(replies.status(402, LEAKY), 502, "upstream_credit", NEVER),
    "403": Trouble(replies.status(403, LEAKY), 502, "upstream_auth", NEVER),
    "400": Trouble(replies.status(400, LEAKY), 400, "upstream_refused", NEVER),
    "404": Trouble(replies.status(404, LEAKY), 400, "upstream_refused", NEVER),
    "context-length-in-200": Trouble(
        replies.error_in_200("context_length_exceeded"),
        400,
        "context_length_exceeded",
        NEVER,
        streamed=_error_chunk("context_length_exceeded"),
    ),
}
