"""A question to a scripted LLM as it came, and its answer in OpenAI's shape."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from answerback.kernel.usage import estimate_tokens
from answerback.llm.answers.content import text_of

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Call:
    """One question as it came. `n` counts from 1, `at` is monotonic seconds, `user` the text of the last user message,
    or the first text to embed; names in `headers` may be asked for in any case."""

    n: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    at: float
    user: str

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """None of a call for embeddings."""
        said: Sequence[Mapping[str, Any]] = self.body.get("messages", ())
        return said

    @property
    def model(self) -> str:
        return str(self.body.get("model", "fake"))

    @property
    def streamed(self) -> bool:
        return self.body.get("stream") is True


def document(call: Call, text: str) -> dict[str, Any]:
    """A chat completion object (OpenAI API reference, "The chat completion object")."""
    said = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{call.n}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": call.model,
        "choices": [{"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}],
        "usage": _usage(call, text),
    }


def events(call: Call, text: str) -> list[bytes]:
    """The same answer as server-sent events, a chunk a word (OpenAI API reference, "Streaming")."""
    options = call.body.get("stream_options")
    counted = isinstance(options, dict) and options.get("include_usage") is True
    head = {"id": f"chatcmpl-{call.n}", "object": "chat.completion.chunk", "created": int(time.time())}
    head["model"] = call.model
    tail = {"usage": None} if counted else {}

    def chunk(delta: Mapping[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event({**head, "choices": [choice], **tail})

    words = text.split(" ")
    pieces = [word if n == 0 else f" {word}" for n, word in enumerate(words)]
    said = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in pieces)]
    said.append(chunk({}, "stop"))
    if counted:
        said.append(event({**head, "choices": [], "usage": _usage(call, text)}))
    return [*said, DONE]


def last_user_text(messages: Sequence[Any]) -> str:
    """The text of the last user message, empty where there is none."""
    for said in reversed(messages):
        if isinstance(said, dict) and said.get("role") == "user":
            try:
                return text_of(said.get("content"))
            except ValueError:
                return ""
    return ""


def _usage(call: Call, text: str) -> dict[str, int]:
    prompt = sum(estimate_tokens(last_user_text((said,))) for said in call.messages)
    answer = estimate_tokens(text)
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def encoded(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def event(value: Any) -> bytes:
    return b"data: %s\n\n" % encoded(value)
