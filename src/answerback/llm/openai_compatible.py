"""Any LLM behind OpenAI's chat completions: OpenRouter, OpenAI itself, vLLM, Ollama and the like."""

import json
import time
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from yarl import URL

from answerback import __version__
from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.llm import completions
from answerback.llm.failures import NO_HEADERS, error_in_body, failure
from answerback.llm.model import Answer, ChatRequest, Chunk, Json, Model, Relayed
from answerback.llm.streams import chunks
from answerback.llm.transport import Response, Transport

TITLE = "Answerback"
MODELS_TIMEOUT = 20.0


def wall_clock() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


class OpenAICompatible:
    """Implements `ports.Provider` over `POST {base_url}/chat/completions`, plain, never retrying.

    `default_model` answers requests that name none. `connect_timeout` is in seconds. `now` is the wall clock in epoch
    milliseconds, for waits that upstreams give as a moment. `app_url` and the title "Answerback" tell OpenRouter which
    app calls. `name` defaults to `openrouter` or the host.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        default_model: str,
        connect_timeout: float = 10.0,
        now: Callable[[], int] = wall_clock,
        app_url: str = "http://localhost:8080",
        name: str | None = None,
    ) -> None:
        self._url = URL(base_url.rstrip("/") + "/chat/completions")
        self._models_url = URL(base_url.rstrip("/") + "/models")
        self._default_model = default_model
        self._now = now
        self._transport = Transport(connect_timeout)
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
        asked = self._body(request, stream=False)
        _, document, choice = await self._whole(asked, request.timeout)
        return Answer(
            text=completions.text(choice),
            model=completions.name(document.get("model")) or asked["model"],
            usage=completions.usage(document.get("usage")),
            finish_reason=completions.name(choice.get("finish_reason")),
        )

    async def relay(self, request: ChatRequest) -> Relayed:
        """One call, the upstream's own bytes. Raises ProviderError as `complete` does, save that an answer need not be
        text."""
        asked = self._body(request, stream=False)
        body, document, choice = await self._whole(asked, request.timeout)
        if not completions.says_something(choice):
            raise ProviderError(ErrorCode.UPSTREAM_EMPTY, "the upstream's answer is empty", retryable=True)
        model = completions.name(document.get("model")) or asked["model"]
        return Relayed(body, model, completions.usage(document.get("usage")))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """One call, its chunks as they come. Raises ProviderError, also for a stream that ends without its end."""
        body = _encode(self._body(request, stream=True))
        async with self._transport.stream(self._url, self._headers, body, request.timeout) as response:
            async for chunk in chunks(response, self._now):
                yield chunk

    async def models(self) -> Sequence[Model]:
        """What the upstream lists; odd entries are skipped. Raises ProviderError."""
        response = await self._transport.get(self._models_url, self._headers, MODELS_TIMEOUT)
        document = self._document(response)
        listed = document.get("data")
        if not isinstance(listed, list):
            raise completions.invalid("holds no list of models")
        return [model for entry in listed if (model := completions.model(entry)) is not None]

    async def close(self) -> None:
        await self._transport.close()

    def _body(self, request: ChatRequest, *, stream: bool) -> dict[str, Json]:
        body = dict(request.body)
        body.pop("stream", None)
        options = body.pop("stream_options", None)
        if stream:
            # Usage is always asked for: it is counted here, whether or not the client wants to see it.
            body["stream"] = True
            body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        if not body.get("model"):
            body["model"] = self._default_model
        return body

    async def _whole(self, asked: dict[str, Json], timeout: float) -> tuple[bytes, dict[str, Json], dict[str, Json]]:
        """The body, its document and its first choice."""
        response = await self._transport.post(self._url, self._headers, _encode(asked), timeout)
        document = self._document(response)
        choices = document.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise completions.invalid("holds no choices")
        choice = choices[0]
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise error_in_body(choice.get("error"), NO_HEADERS, self._now())
        # OpenAI's SDK for Node would stumble over a byte order mark.
        return response.body.removeprefix(BOM_UTF8), document, choice

    def _document(self, response: Response) -> dict[str, Json]:
        document = completions.decode(response.body)
        error = document.get("error") if isinstance(document, dict) else None
        if not 200 <= response.status < 300:
            raise failure(response.status, response.headers, error, self._now())
        if error:
            raise error_in_body(error, response.headers, self._now())
        if not isinstance(document, dict):
            raise completions.invalid("is not a JSON object")
        return document


def _encode(body: Mapping[str, Json]) -> bytes:
    try:
        # Half a surrogate pair cannot be sent as UTF-8; "replace" makes it a question mark.
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")
    except (TypeError, ValueError, RecursionError):
        words = "the request cannot be written as JSON"
        raise ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False) from None
