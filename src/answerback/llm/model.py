"""Requests to an LLM, and its answers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from answerback.kernel.json import Json as Json
from answerback.kernel.usage import Usage as Usage
from answerback.kernel.values import quickly_made

LONGEST_NAME = 256
"""How many characters of a model's name, or of another short text of the upstream, are kept."""

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]
"""Why an answer ends, in OpenAI's words. `length`: it was cut."""


class Api(StrEnum):
    """What an upstream is asked for, by its path below the base URL. Replies to `COMPLETIONS` have the shape of chat
    completions, too."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


@quickly_made
@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call. `body` has the shape of OpenAI's requests to this `api`; without `model` the provider's default
    answers. `timeout` is in seconds and covers the whole call; the wait for a place at the upstream before it may take
    as long again. `tenant_id` is whose turn it takes, empty for the service's own. `queued` marks the call of a job,
    which can also wait in the queue. `patient` is False for a call that is refused at once where there is no place.
    `stream` alone decides whether the answer is streamed, not the body. `optional` names fields that the service
    added, and without which an upstream that refuses them is asked again; `stream` among them: its answer then comes as
    a stream of one piece."""

    body: Mapping[str, Json]
    timeout: float
    tenant_id: str = ""
    queued: bool = False
    stream: bool = False
    patient: bool = True
    optional: frozenset[str] = frozenset()
    api: Api = Api.CHAT


@quickly_made
@dataclass(frozen=True, slots=True)
class Expected:
    """Of an answer: the `model` that was asked for, how many `choices`, and the names of `tools` that it may call."""

    model: str
    choices: int = 1
    tools: frozenset[str] = frozenset()


@quickly_made
@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `text` is `storable` and never blank, None where the answer only calls tools; `tool_calls` have
    OpenAI's shape. `model` is the one that answered; `usage` is None where the upstream counted nothing."""

    text: str | None
    model: str
    usage: Usage | None
    finish_reason: FinishReason
    tool_calls: tuple[dict[str, Json], ...] = ()


def storable(text: str) -> str:
    """Text that databases and callbacks can hold: with U+FFFD for a NUL, which PostgreSQL has in no text, and for half
    a surrogate pair, which JSON can spell but UTF-8 cannot."""
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def name(value: Json) -> str | None:
    """A `storable` text of 256 characters at most; None for anything else."""
    return storable(value)[:LONGEST_NAME] or None if isinstance(value, str) else None


def storable_json(value: Json) -> Json:
    """The value with every text in it `storable`."""
    match value:
        case str():
            return storable(value)
        case list():
            return [storable_json(item) for item in value]
        case dict():
            return {storable(key): storable_json(item) for key, item in value.items()}
        case _:
            return value


class Chunk(NamedTuple):
    """One event of a stream. `data` is its JSON as the upstream sent it, `document` the same decoded; the other fields
    were read from it. `finish_reason` is the upstream's word, None while nothing ends. Upstreams send `usage` in a
    chunk of its own, or with any other."""

    data: bytes
    document: Mapping[str, Json]
    text: str
    finish_reason: str | None
    usage: Usage | None

    @property
    def has_choices(self) -> bool:
        return bool(self.document.get("choices"))

    @property
    def calls_tools(self) -> bool:
        for each in self.document.get("choices") or ():
            delta = each.get("delta")
            if isinstance(delta, dict) and (delta.get("tool_calls") or delta.get("function_call")):
                return True
        return False

    @property
    def model(self) -> str | None:
        """The model that answers."""
        return name(self.document.get("model"))


@dataclass(frozen=True, slots=True)
class Model:
    """A model of an upstream's list. `created` is in epoch seconds."""

    id: str
    name: str
    description: str
    created: int
    owned_by: str


@dataclass(frozen=True, slots=True)
class ModelList:
    """What a provider lists. `complete`: it claims that it has no other models; most lists do not, and their providers
    take deployments, aliases and whole families of names besides."""

    models: tuple[Model, ...]
    complete: bool = False
