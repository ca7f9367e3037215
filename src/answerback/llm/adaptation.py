"""Requests as an upstream takes them: what it refused once of the service's own additions is left out from then on."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers.thoughts import SENT_BACK
from answerback.llm.instructions import IN_PLACE, folded

MOST_MODELS = 1_000
"""For how many models what was learned is kept: callers choose the names."""

MAX_TOKENS, MAX_COMPLETION_TOKENS = "max_tokens", "max_completion_tokens"
STREAM, STREAM_OPTIONS = "stream", "stream_options"
OPENAI_HOST = "api.openai.com"
"""And, below it, those of regions, such as `eu.api.openai.com`."""
RENAMING_HOSTS = frozenset({OPENAI_HOST})
"""Upstreams whose models all take `max_completion_tokens`, and some nothing else (OpenAI's API reference)."""

OF_OPENAI = frozenset({"prompt_cache_key", "safety_identifier", "service_tier"})
"""Fields that Groq, Mistral and others refuse, and that change no answer."""
TAKING_HOSTS = RENAMING_HOSTS | {"openrouter.ai"}
"""Upstreams that take them."""

SETTINGS = frozenset({"reasoning_effort", "verbosity", "parallel_tool_calls", "user"})
"""Fields that some models and servers do not know, and that clients send with every request, as Codex does."""

INSTRUCTED_HOSTS = RENAMING_HOSTS
"""Upstreams that read instructions wherever they stand."""

_IN_MESSAGES = frozenset(SENT_BACK)
"""Optional fields that stand in the assistant's messages."""
_OF_MESSAGES = _IN_MESSAGES | {IN_PLACE}

_NEVER_GUESSED = OF_OPENAI | SETTINGS | {STREAM, STREAM_OPTIONS}
"""Optional fields that are left out only where a refusal names them."""

_ALIASES: Mapping[str, tuple[str, ...]] = {STREAM_OPTIONS: (STREAM_OPTIONS, "include_usage")}
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|unknown|unrecognized|unexpected|extra|not permitted|not allowed|does not support"
    r"|invalid parameter|max_?completion_?tokens",
    re.IGNORECASE,
)

_VALUE = re.compile(
    r"unsupported.value|invalid.value|(supported|valid|allowed|accepted) values|one of|must be|should be", re.IGNORECASE
)
"""What a refusal of a value says, not of the field."""

_NO_REASONS = frozenset(
    {"", "error", "http error", "bad request", "badrequest", "error bad request", "invalid request", "validation error"}
    | {"unprocessable entity", "unprocessable content", "invalid input", "invalid_request_error", "bad_request_error"}
)
"""Messages that say nothing but that the request is refused."""

_NO_ARGUMENT = re.compile(r"unexpected keyword argument|extra inputs are not permitted", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is left out, or `max_tokens` that is renamed. `certain`: the refusal named the field."""

    field: str
    certain: bool


class Adaptations:
    """What the models of one upstream refuse. `host` is the upstream's."""

    def __init__(self, host: str | None) -> None:
        if f".{host}".endswith(f".{OPENAI_HOST}"):
            host = OPENAI_HOST
        self._renames = host in RENAMING_HOSTS
        self._never = frozenset() if host in TAKING_HOSTS else OF_OPENAI
        if host not in INSTRUCTED_HOSTS:
            self._never |= {IN_PLACE}
        self._refused: OrderedDict[str, frozenset[str]] = OrderedDict()

    def known(
        self, model: str, body: dict[str, Json], optional: frozenset[str], *, chat: bool = True
    ) -> dict[str, Json]:
        """The body without what this model is known to refuse. Only fields in `optional` are left out. Only requests of
        a `chat` know the newer name of `max_tokens`."""
        refused = self._refused.get(model, frozenset()) | self._never
        if self._renames and chat:
            refused |= {MAX_TOKENS}
        for field in refused:
            if (field in body or field in _OF_MESSAGES) and (field == MAX_TOKENS or field in optional):
                body = changed(body, field)
        return body

    def learn(self, model: str, change: Change) -> None:
        """The model has answered after this change. A guess is not kept: something else may have been wrong."""
        if not change.certain:
            return
        self._refused[model] = self._refused.get(model, frozenset()) | {change.field}
        self._refused.move_to_end(model)
        if len(self._refused) > MOST_MODELS:
            self._refused.popitem(last=False)


def change_after(error: ProviderError, body: Mapping[str, Json], optional: frozenset[str]) -> Change | None:
    """What to change after a refusal, so that the request may be asked again at once; None where nothing of ours is
    refused. `optional` are fields of ours that the answer can do without."""
    failure = error.failure
    said = " ".join(filter(None, (failure.param, failure.upstream_code, failure.message, error.reason)))
    if not _refuses(error) or (error.elsewhere and not _is_of_a_field(error, said)):
        return None
    for field in (*sorted(optional), MAX_TOKENS):
        named = _has(body, field) and any(_names(said, name) for name in _ALIASES.get(field, (field,)))
        if named and _is_ours(field, body, said):
            return Change(field, certain=True)
    if failure.code is not ErrorCode.UPSTREAM_REFUSED or error.http_status is None or error.elsewhere:
        return None
    if STREAM_OPTIONS in optional & body.keys() and _says_nothing(error):
        # Servers that say no reason refuse what they do not know; usage is asked for by the service alone.
        return Change(STREAM_OPTIONS, certain=True)
    guesses = sorted(field for field in optional - _NEVER_GUESSED if field in body)
    # Some servers refuse a field without saying which.
    return Change(guesses[0], certain=False) if guesses else None


def _says_nothing(error: ProviderError) -> bool:
    """Whether a request is refused without any reason."""
    said = re.sub(r"[\W\d]+", " ", (error.reason or "")[:200].lower()).strip()
    unnamed = error.failure.param is None and error.failure.upstream_code is None
    return error.http_status in (400, 422) and unnamed and said in _NO_REASONS


def _is_of_a_field(error: ProviderError, said: str) -> bool:
    """Whether a 404 found no fault but with a field: some gateways say so."""
    return error.http_status == 404 and error.shown_status == 400 and _UNSUPPORTED.search(said) is not None


def _is_ours(field: str, body: Mapping[str, Json], said: str) -> bool:
    """Whether a field that is refused can be changed; a value is the caller's to mend."""
    if field == MAX_TOKENS:
        return MAX_COMPLETION_TOKENS not in body and _UNSUPPORTED.search(said) is not None
    return field not in SETTINGS or (_UNSUPPORTED.search(said) is not None and _VALUE.search(said) is None)


def _refuses(error: ProviderError) -> bool:
    """Whether the request is refused; servers in Python that pass fields on as arguments fail with a 500, others say
    with a 501 what they do not implement."""
    if error.failure.code is ErrorCode.UPSTREAM_ERROR:
        return error.http_status == 501 or _NO_ARGUMENT.search(error.reason or "") is not None
    return error.failure.code is ErrorCode.UPSTREAM_REFUSED


def wants_stream(error: ProviderError) -> bool:
    """Whether a whole answer may have been refused because the model only streams, as some of Qwen's do."""
    failure = error.failure
    said = " ".join(filter(None, (failure.param, failure.message)))
    return failure.code is ErrorCode.UPSTREAM_REFUSED and _names(said, STREAM)


def changed(body: dict[str, Json], field: str) -> dict[str, Json]:
    """The body without a field, or with `max_tokens` under its newer name. Without `stream` there are no options of
    it."""
    if field == IN_PLACE:
        messages = folded(body["messages"])
        return body if messages is body["messages"] else {**body, "messages": messages}
    if field in _IN_MESSAGES:
        return {**body, "messages": [_without(said, field) for said in body["messages"]]}
    if field not in body or (field == MAX_TOKENS and MAX_COMPLETION_TOKENS in body):
        return body
    renamed = {MAX_COMPLETION_TOKENS: body[MAX_TOKENS]} if field == MAX_TOKENS else {}
    left_out = {STREAM, STREAM_OPTIONS} if field == STREAM else {field}
    return {name: value for name, value in body.items() if name not in left_out} | renamed


def _has(body: Mapping[str, Json], field: str) -> bool:
    return any(field in said for said in body["messages"]) if field in _IN_MESSAGES else field in body


def _without(said: Mapping[str, Json], field: str) -> dict[str, Json]:
    return {name: value for name, value in said.items() if name != field}


def _names(said: str, field: str) -> bool:
    """Whether the field is named, as it is sent or as servers in Go, Java and C# call it: `streamOptions`,
    `MaxTokens`."""
    return re.search(rf"(?<!\w){field.replace('_', '_?')}(?!\w)", said, re.IGNORECASE) is not None
