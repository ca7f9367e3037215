"""The request for a response: its parameters, each named if it is wrong."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from answerback.http.fields import at_most
from answerback.http.openai_errors import InvalidParameter, InvalidType, MissingParameter, UnsupportedValue
from answerback.kernel.errors import InvalidField
from answerback.kernel.json import Json
from answerback.llm.model import name
from answerback.responses import ids
from answerback.responses.items import items_of
from answerback.responses.model import Asked
from answerback.responses.tools import Toolbox

PASSED_ON = frozenset(
    {
        *("models", "provider", "route", "transforms", "plugins", "seed", "stop", "presence_penalty"),
        *("frequency_penalty", "repetition_penalty", "logit_bias", "top_k", "top_a", "min_p", "prediction"),
        *("chat_template_kwargs", "thinking", "enable_thinking", "thinking_budget", "web_search_options"),
    }
)
"""Parameters of chat completions, OpenAI's and other vendors', that responses do not have. Other unknown ones are
ignored, as Codex's `client_metadata`."""

NOT_OFFERED: Mapping[str, str] = {
    "prompt": "stored prompts are not offered here: send their text as 'instructions' and 'input'",
    "moderation": "moderation is not offered here",
}

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of a request that holds items: histories and images are long."""
MAX_VALUES = 100_000
"""Of JSON in such a request: a history of thousands of items has fewer."""

MAX_PAIRS = 16
"""Of metadata, as OpenAI's."""


def _is_model(value: str) -> str:
    if name(value) != value:
        # The name becomes a label of metrics and a field of the log.
        raise ValueError("must be the id of a model: text of at most 256 characters")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Reasoning(_Part):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class Format(_Part):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", populate_by_name=True)

    type: Literal["text", "json_object", "json_schema"]
    name: Annotated[str, StringConstraints(pattern="^[a-zA-Z0-9_-]{1,64}$")] | None = None
    json_schema: dict[str, Any] | None = Field(None, alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextOptions(_Part):
    format: Format | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


Text = Annotated[str, StringConstraints(max_length=10_485_760)]
ShortText = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], ShortText],
    Field(max_length=MAX_PAIRS),
    at_most(MAX_PAIRS),
]


class ConversationName(_Part):
    id: str


class RequestBody(_Part):
    """What a response is made of. Parameters that are unknown here are ignored, but for those of chat completions that
    the model's provider may know (`seed`, `stop`, `top_k`, `provider` and the like), which are passed on."""

    model: Annotated[str, StringConstraints(min_length=1), AfterValidator(_is_model)] | None = Field(
        None, description="Without it the service's default answers."
    )
    input: Any = Field(description="A text, or OpenAI's items: messages, calls and their outputs, thoughts.")
    instructions: Text | None = Field(None, description="The system prompt. A next response does not inherit it.")
    previous_response_id: ShortText | None = Field(
        None, description="The response whose input and output, and those before it, stand before this input."
    )
    conversation: ShortText | ConversationName | None = Field(
        None,
        description="The conversation, or its id, whose items stand before this input, and to which input and output "
        "are added in the end. Requests for the same one are answered one after the other.",
    )
    background: bool | None = Field(
        None, description="True: the response is queued, and fetched by its id once it is there."
    )
    store: bool | None = Field(None, description="False: it can neither be fetched nor be gone on from.")
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    include: Annotated[list[str], Field(fail_fast=True)] | None = None
    metadata: Metadata | None = None
    tools: Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    max_tool_calls: Annotated[int, Field(ge=1, le=2**31)] | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: ShortText | None = None
    safety_identifier: ShortText | None = None
    prompt_cache_key: ShortText | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None


def asked(body: Mapping[str, Json]) -> Asked:
    """Raises InvalidField, which names the parameter as OpenAI does: `input[0].content[1].image_url`."""
    for field, why in NOT_OFFERED.items():
        if body.get(field) not in (None, False):
            raise UnsupportedValue(field, why)
    if body.get("input") in (None, "") or (
        body["input"] == [] and not (body.get("previous_response_id") or body.get("conversation"))
    ):
        raise MissingParameter("input", "missing required parameter: 'input'")
    conversation = _conversation(body)
    try:
        checked = RequestBody.model_validate(body)
    except ValidationError as error:
        raise refusal(error.errors(include_url=False, include_input=False)[0]) from None
    _check_format(checked)
    _check_background(checked)
    parameters = checked.model_dump(exclude_none=True, exclude={"input", "tools", "conversation"}, by_alias=True)
    if conversation is not None:
        parameters["conversation"] = conversation
    parameters |= {name: value for name, value in body.items() if name in PASSED_ON and value is not None}
    items, added = items_of(checked.input)
    if tools := [*(checked.tools or ()), *added]:
        parameters["tools"] = tools
    Toolbox.of(parameters)
    return Asked(parameters, tuple(items))


def _conversation(body: Mapping[str, Json]) -> str | None:
    """The id of the request's conversation."""
    given, param = body.get("conversation"), "conversation"
    if isinstance(given, dict):
        given, param = given.get("id"), "conversation.id"
        if given is None:
            raise MissingParameter(param, f"missing required parameter: '{param}'")
    if given is None:
        return None
    if not isinstance(given, str):
        raise InvalidType(param, f"invalid '{param}': must be the id of a conversation")
    if not ids.is_conversation(given):
        raise InvalidParameter(param, f"invalid '{param}': the id of a conversation is 'conv_' and 32 hex digits")
    if body.get("previous_response_id") is not None:
        words = "a request goes on from 'previous_response_id' or from a 'conversation': send one of them"
        raise InvalidParameter("previous_response_id", words)
    return given


def _check_background(checked: RequestBody) -> None:
    if checked.background and checked.store is False:
        raise InvalidParameter("store", "a background response is stored: leave 'store' out, or send true")


def _check_format(checked: RequestBody) -> None:
    wanted = checked.text.format if checked.text else None
    if wanted is not None and wanted.type == "json_schema":
        for field, value in (("name", wanted.name), ("schema", wanted.json_schema)):
            if value is None:
                raise MissingParameter(f"text.format.{field}", f"missing required parameter: 'text.format.{field}'")


def refusal(error: Any) -> InvalidField:
    """That of the first error which pydantic found in a body."""
    param = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in error["loc"]).lstrip(".")
    words = f"invalid '{param}': {error['msg'].removeprefix('Value error, ')}"
    if error["type"] == "missing":
        return MissingParameter(param, f"missing required parameter: '{param}'")
    return InvalidType(param, words) if error["type"].endswith("_type") else InvalidParameter(param, words)
