"""Any LLM behind OpenAI's chat completions: OpenRouter, OpenAI itself, vLLM, Ollama and the like."""

import asyncio
from collections.abc import Callable, Mapping

from yarl import URL

from answerback.http.client.client import RequestHead
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HeavyWork
from answerback.kernel.json import Json, encoded, encoded_strictly
from answerback.kernel.provider_error import ProviderError
from answerback.llm.adaptation import STREAM_OPTIONS, Adaptations, Change, change_after, changed
from answerback.llm.answers import embeddings
from answerback.llm.answers.documents import read_completion
from answerback.llm.answers.odd_json import decode
from answerback.llm.answers.streams import chunks
from answerback.llm.answers.tool_calls import names_of_tools
from answerback.llm.errors.failures import read_document
from answerback.llm.errors.redaction import redact_error
from answerback.llm.model import Api, ChatRequest, Expected, ModelList
from answerback.llm.model_lists import models_of
from answerback.llm.reply import EmbeddingsReply, Reply, StreamedReply, WholeReply
from answerback.llm.transport import Transport, json_headers

TITLE = "Answerback"
LIST_TIMEOUT = 20.0
"""Seconds for a list of models, and no more than connecting may take: a provider that is dead holds up no list."""
MOST_CHANGES = 6
"""How many fields of one request may be refused, one after the other."""


class OpenAICompatible:
    """Implements `Provider` over `POST {base_url}/chat/completions`, `/completions` and `/embeddings`, plain. It never
    retries, but a request that is refused for a field of the service's own is asked again without it.

    `default_model` answers requests that name none. `connect_timeout` is in seconds. `now` is the wall clock in epoch
    milliseconds, for waits that upstreams give as a moment. `heavy` is shared by all of an event loop. `app_url` and
    the title "Answerback" show OpenRouter which app calls. `name` defaults to `openrouter` or the host.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        default_model: str,
        connect_timeout: float = 10.0,
        *,
        now: Callable[[], int],
        heavy: HeavyWork,
        app_url: str = "http://localhost:8080",
        name: str | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._secrets = (api_key,) if api_key else ()
        self._default_model = default_model
        self._now = now
        self._heavy = heavy
        self._list_timeout = min(LIST_TIMEOUT, connect_timeout)
        self._transport = Transport(connect_timeout, heavy.held)
        models_url = URL(self._base_url + "/models")
        self._adaptations = Adaptations(models_url.host)
        headers = json_headers(api_key) | {"HTTP-Referer": app_url, "X-OpenRouter-Title": TITLE}
        self._heads = {api: RequestHead("POST", URL(f"{self._base_url}/{api}"), headers) for api in Api}
        self._list_head = RequestHead("GET", models_url, headers)
        host = models_url.host or "openai-compatible"
        self.name = name or ("openrouter" if f".{host}".endswith(".openrouter.ai") else host)

    async def send(self, request: ChatRequest) -> Reply:
        """One call. Raises ProviderError for every failure of the upstream or the network; so does a streamed reply
        that breaks off."""
        try:
            reply = await self._send(request)
        except ProviderError as error:
            self._redact(error)
            raise
        if isinstance(reply, StreamedReply):
            reply.when_over(self._redact)
        return reply

    async def _send(self, request: ChatRequest) -> Reply:
        """One call; a second one, or a third, where the upstream refuses a field that the service itself added."""
        deadline = asyncio.get_running_loop().time() + request.timeout
        if request.api is Api.EMBEDDINGS:
            return await self._embed(request)
        asked, optional = self._body(request)
        model = asked["model"]
        asked = self._adaptations.known(model, asked, optional, chat=request.api is Api.CHAT)
        changes = list[Change]()
        while True:
            try:
                timeout = deadline - asyncio.get_running_loop().time() if changes else request.timeout
                reply = await self._ask(asked, request, deadline, max(0.001, timeout))
            except ProviderError as error:
                change = change_after(error, asked, optional)
                if change is None or len(changes) >= MOST_CHANGES:
                    raise
                asked = changed(asked, change.field)
                changes.append(change)
            else:
                for change in changes:
                    self._adaptations.learn(model, change)
                if request.optional:
                    reply.left_out = request.optional & (request.body.keys() - asked.keys())
                return reply

    async def _ask(self, body: dict[str, Json], request: ChatRequest, deadline: float, timeout: float) -> Reply:
        sent, head = _encode(body), self._heads[request.api]
        expected = Expected(body["model"], _choices(body), names_of_tools(body.get("tools")))
        response = await self._transport.open(head, sent, timeout, within=request.timeout)
        if request.stream:
            return await StreamedReply.open(chunks(response, self._now, expected), request.timeout, deadline)
        try:
            whole, document = await read_completion(response, self._now, expected, self._heavy)
        finally:
            response.close()
        return WholeReply(whole, document, expected.model)

    async def _embed(self, request: ChatRequest) -> Reply:
        asked = {"model": self._default_model, **request.body}
        head, body = self._heads[request.api], _encode(asked)
        response = await self._transport.open(head, body, request.timeout, embeddings.MAX_BYTES)
        try:
            inputs = embeddings.inputs_of(asked.get("input"))
            whole, document = await embeddings.read_embeddings(response, self._now, self._heavy, inputs)
        finally:
            response.close()
        return EmbeddingsReply(whole, document, asked["model"])

    async def models(self) -> ModelList:
        """The models that the upstream lists; malformed entries are skipped. Raises ProviderError."""
        try:
            return await self._models()
        except ProviderError as error:
            self._redact(error)
            raise

    async def _models(self) -> ModelList:
        response = await self._transport.open(self._list_head, None, self._list_timeout)
        try:
            body, broken = await response.read_what_came()
        finally:
            response.close()
        if broken is not None and 200 <= response.status < 300:
            raise broken
        listed = decode(body)
        if not 200 <= response.status < 300 or not isinstance(listed, list):
            listed = read_document(response, body, self._now(), broken, listing=True)
        complete = isinstance(listed, dict) and listed.get("has_more") is False
        return ModelList(tuple(models_of(listed)), complete)

    async def close(self) -> None:
        await self._transport.close()

    def _redact(self, error: BaseException | None) -> None:
        redact_error(error, self._base_url, self._secrets)

    def _body(self, request: ChatRequest) -> tuple[dict[str, Json], frozenset[str]]:
        """What is sent, and which of its fields the service added that the answer can do without."""
        body, optional = dict(request.body), request.optional
        body.pop("stream", None)
        options = body.pop(STREAM_OPTIONS, None)
        if request.stream:
            # Usage is always asked for: it is counted here, whether or not the client wants to see it.
            body["stream"] = True
            options = options if isinstance(options, dict) else {}
            body[STREAM_OPTIONS] = {**options, "include_usage": True}
            if not options.keys() - {"include_usage"}:
                optional |= {STREAM_OPTIONS}
        if not body.get("model"):
            body["model"] = self._default_model
        return body, optional


def _choices(asked: Mapping[str, Json]) -> int:
    """How many were asked for: `n`, for each prompt where there are several."""
    n, prompts = asked.get("n"), asked.get("prompt")
    each = n if isinstance(n, int) else 1
    if not isinstance(prompts, list) or not prompts or isinstance(prompts[0], int):
        return each
    return each * len(prompts)


def _encode(body: Mapping[str, Json]) -> bytes:
    try:
        return encoded_strictly(body)
    except UnicodeEncodeError:
        # Half a surrogate pair cannot be sent as UTF-8: it becomes a question mark.
        return encoded(body)
    except (TypeError, ValueError, RecursionError):
        words = "the request cannot be written as JSON"
        raise ProviderError(ErrorCode.UPSTREAM_REFUSED, words, retryable=False) from None
