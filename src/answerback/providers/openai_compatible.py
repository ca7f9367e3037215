"""Any LLM behind OpenAI's chat completions: OpenRouter, OpenAI itself, vLLM, Ollama and the like."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import TypeGuard

from yarl import URL

from answerback import __version__
from answerback.domain.chat import Answer, ChatRequest, Json, Usage
from answerback.domain.errors import ErrorCode, ProviderError
from answerback.providers.content import text_of
from answerback.providers.failures import NO_HEADERS, error_in_body, failure
from answerback.providers.transport import Response, Transport

TITLE = "Answerback"
LARGEST_COUNT = 2**63 - 1
LONGEST_NAME = 256

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def wall_clock() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


class OpenAICompatible:
    """Implements `ports.Provider` over `POST {base_url}/chat/completions`, plain, never retrying.

    `default_model` answers requests that name none. `connect_timeout` is in seconds. `now` is the wall clock in epoch
    milliseconds, for waits that upstreams give as a moment. A `transport` given is shared, and closed by its giver.
    `app_url` and the title "Answerback" tell OpenRouter which app calls. `name` defaults to `openrouter` or the host.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        default_model: str,
        connect_timeout: float = 10.0,
        now: Callable[[], int] = wall_clock,
        transport: Transport | None = None,
        app_url: str = "http://localhost:8080",
        name: str | None = None,
    ) -> None:
        self._url = URL(base_url.rstrip("/") + "/chat/completions")
        self._default_model = default_model
        self._now = now
        self._owned = Transport(connect_timeout) if transport is None else None
        self._transport = self._owned or transport or Transport(connect_timeout)
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            # Answers are small: compressing them would cost more time than it saves.
            "Accept-Encoding": "identity",
            "User-Agent": f"answerback/{__version__}",
            "HTTP-Referer": app_url,
            "X-OpenRouter-Title": TITLE,
        }
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        host = self._url.host or "openai-compatible"
        self.name = name or ("openrouter" if f".{host}".endswith(".openrouter.ai") else host)

    async def complete(self, request: ChatRequest) -> Answer:
        """One call, one answer. Raises ProviderError for whatever else the upstream or the network does."""
        body = dict(request.body)
        # This call reads one whole answer; streams are another call.
        body.pop("stream", None)
        body.pop("stream_options", None)
        model = body["model"] = body.get("model") or self._default_model
        response = await self._transport.post(self._url, self._headers, _encode(body), request.timeout)
        return self._answer(response, model if isinstance(model, str) else self._default_model)

    async def close(self) -> None:
        if self._owned is not None:
            await self._owned.close()

    def _answer(self, response: Response, asked: str) -> Answer:
        document = _decode(response.body)
        error = document.get("error") if isinstance(document, dict) else None
        if not 200 <= response.status < 300:
            raise failure(response.status, response.headers, error, self._now())
        if error:
            raise error_in_body(error, response.headers, self._now())
        if not isinstance(document, dict):
            raise _invalid("is not a JSON object")
        choices = document.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise _invalid("holds no choices")
        choice = choices[0]
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise error_in_body(choice.get("error"), NO_HEADERS, self._now())
        return Answer(
            text=_text(choice),
            model=_name(document.get("model")) or asked,
            usage=_usage(document.get("usage")),
            finish_reason=_name(choice.get("finish_reason")),
        )


def _encode(body: Mapping[str, Json]) -> bytes:
    try:
        # Half a surrogate pair cannot be sent as UTF-8; "replace" makes it a question mark.
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")
    except (TypeError, ValueError, RecursionError):
        words = "the request cannot be written as JSON"
        raise ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False) from None


def _decode(body: bytes) -> Json:
    """The document, None where there is none."""
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        return None


def _text(choice: Mapping[str, Json]) -> str:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _invalid("holds no message")
    try:
        text = text_of(message.get("content"))
    except ValueError:
        raise _invalid("holds no text") from None
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str):
        # The model declined, in a field of its own: asking again would get, and cost, the same.
        text = refusal
    text = _storable(text)
    if text.strip():
        return text
    if choice.get("finish_reason") == "content_filter":
        words = "the upstream's content filter withheld the answer"
        raise ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False)
    if choice.get("finish_reason") == "length":
        # The model spent its tokens before it said anything; it would do so, at the same price, again.
        words = "the upstream's answer is empty: its tokens were used up first, max_tokens may be too small"
        raise ProviderError(ErrorCode.UPSTREAM_EMPTY, words, retryable=False)
    raise ProviderError(ErrorCode.UPSTREAM_EMPTY, "the upstream's answer is empty", retryable=True)


def _storable(text: str) -> str:
    """Without NULs, which PostgreSQL cannot hold, and without half surrogate pairs, which UTF-8 cannot."""
    text = text.replace("\0", "")
    return text if text.isascii() else _HALF_CHARACTER.sub("\ufffd", text)


def _name(value: Json) -> str | None:
    return _storable(value)[:LONGEST_NAME] or None if isinstance(value, str) else None


def _usage(value: Json) -> Usage | None:
    """None unless every count is a count; a total not told is the sum."""
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    if not _counts(prompt) or not _counts(completion):
        return None
    total = value.get("total_tokens")
    total = prompt + completion if total is None else total
    return Usage(prompt, completion, total) if _counts(total) else None


def _counts(value: Json) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT


def _invalid(what: str) -> ProviderError:
    return ProviderError(ErrorCode.UPSTREAM_INVALID, f"the upstream's answer {what}", retryable=True)
