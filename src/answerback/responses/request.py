"""The request for a response: its parameters, each named if it is wrong."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Required

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from answerback.http.fields import at_most
from answerback.http.openai_errors import (
    InvalidParameter,
    InvalidType,
    MissingParameter,
    UnsupportedValue,
    wrong_parameter,
)
from answerback.http.plain_words import plain_errors
from answerback.kernel.json import Json
from answerback.llm.model import name
from answerback.responses import ids
from answerback.responses.items.input import items_of
from answerback.responses.model import REFERENCE, Asked, Includable, Item
from answerback.responses.tools.shapes import check_type
from answerback.responses.tools.toolbox import Toolbox

PASSED_ON = frozenset(
    {
        *("models", "provider", "route", "transforms", "plugins", "seed", "stop", "repetition_penalty"),
        *("logit_bias", "top_k", "top_a", "min_p", "prediction"),
        *("chat_template_kwargs", "thinking", "enable_thinking", "thinking_budget", "web_search_options"),
    }
)
"""Parameters of chat completions, OpenAI's and other vendors', that responses do not have. Other unknown ones are
ignored, as Codex's `client_metadata`."""

NOT_OFFERED: Mapping[str, str] = {
    "prompt": "stored prompts are not offered here: send their text as 'instructions' and 'input'",
    "moderation": "moderation is not offered here",
}

MAX_PAIRS = 16
"""Of metadata, as OpenAI's."""


def _model(value: str) -> str | None:
    """None for an empty one, which counts as absent."""
    if value and name(value) != value:
        # The name becomes a label of metrics and a field of the log.
        raise ValueError("must be the id of a model: text of at most 256 characters")
    return value or None


_LENIENT_ABOUT_OTHERS = ConfigDict(strict=True, extra="ignore")


def _without_nulls(given: dict[str, Json]) -> dict[str, Json]:
    """A null says as much as an absent field."""
    return {name: value for name, value in given.items() if value is not None}


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Summary = Literal["auto", "concise", "detailed"]


class Reasoning(TypedDict, total=False):
    __pydantic_config__ = _LENIENT_ABOUT_OTHERS  # type: ignore[misc]

    effort: Effort | None
    summary: Summary | None
    generate_summary: Summary | None


class Format(TypedDict, total=False):
    __pydantic_config__ = _LENIENT_ABOUT_OTHERS  # type: ignore[misc]

    type: Required[Literal["text", "json_object", "json_schema"]]
    name: Annotated[str, StringConstraints(pattern="^[a-zA-Z0-9_-]{1,64}$")] | None
    schema: dict[str, Any] | None
    description: str | None
    strict: bool | None


class TextOptions(TypedDict, total=False):
    __pydantic_config__ = _LENIENT_ABOUT_OTHERS  # type: ignore[misc]

    format: Annotated[Format, AfterValidator(_without_nulls)] | None
    verbosity: Literal["low", "medium", "high"] | None


Text = Annotated[str, StringConstraints(max_length=10_485_760)]
ShortText = Annotated[str, StringConstraints(max_length=512)]
Penalty = Annotated[float, Field(ge=-2, le=2)] | None
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], ShortText],
    Field(max_length=MAX_PAIRS),
    at_most(MAX_PAIRS),
]


class ConversationName(TypedDict):
    __pydantic_config__ = _LENIENT_ABOUT_OTHERS  # type: ignore[misc]

    id: str


class RequestBody(TypedDict, total=False):
    """What a response is made of. Parameters that are unknown here are ignored, but for those of chat completions that
    the model's provider may know (`seed`, `stop`, `top_k`, `provider` and the like), which are passed on."""

    __pydantic_config__ = _LENIENT_ABOUT_OTHERS  # type: ignore[misc]

    model: Annotated[
        Annotated[str, AfterValidator(_model)] | None,
        Field(description="Without it the service's default answers."),
    ]
    input: Required[
        Annotated[Any, Field(description="A text, or OpenAI's items: messages, calls and their outputs, thoughts.")]
    ]
    instructions: Annotated[Text | None, Field(description="The system prompt. A next response does not inherit it.")]
    previous_response_id: Annotated[
        ShortText | None,
        Field(description="The response whose input and output, and those before it, stand before this input."),
    ]
    conversation: Annotated[
        ShortText | ConversationName | None,
        Field(
            description="The conversation, or its id, whose items stand before this input, and to which input and "
            "output are added in the end. Requests for the same one are answered one after the other.",
        ),
    ]
    background: Annotated[
        bool | None, Field(description="True: the response is queued, and fetched by its id once it is there.")
    ]
    store: Annotated[bool | None, Field(description="False: it can neither be fetched nor be gone on from.")]
    stream: bool | None
    stream_options: dict[str, Any] | None
    include: Annotated[list[Includable], Field(fail_fast=True)] | None
    metadata: Metadata | None
    tools: Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None
    tool_choice: Any
    parallel_tool_calls: bool | None
    temperature: Annotated[float, Field(ge=0, le=2)] | None
    top_p: Annotated[float, Field(ge=0, le=1)] | None
    presence_penalty: Penalty
    frequency_penalty: Penalty
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None
    max_output_tokens: Annotated[int, Field(ge=1, le=2**31)] | None
    max_tool_calls: Annotated[int, Field(ge=1, le=2**31)] | None
    reasoning: Annotated[Reasoning, AfterValidator(_without_nulls)] | None
    text: Annotated[TextOptions, AfterValidator(_without_nulls)] | None
    truncation: Literal["auto", "disabled"] | None
    user: ShortText | None
    safety_identifier: ShortText | None
    prompt_cache_key: ShortText | None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None


REQUEST_BODY: TypeAdapter[RequestBody] = TypeAdapter(RequestBody)
"""Dictionaries cost a third of models, and parameters are stored as such."""

_READ_ELSEWHERE = frozenset({"input", "tools", "conversation"})


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
        checked = REQUEST_BODY.validator.validate_python(body)
    except ValidationError as error:
        raise wrong_parameter(plain_errors(error.errors(include_url=False, include_input=False))[0]) from None
    _check_format(checked)
    _check_background(checked)
    parameters = {name: value for name, value in checked.items() if value is not None and name not in _READ_ELSEWHERE}
    if conversation is not None:
        parameters["conversation"] = conversation
    if not PASSED_ON.isdisjoint(body):
        parameters |= {name: value for name, value in body.items() if name in PASSED_ON and value is not None}
    given = items_of(checked["input"])
    if tools := checked.get("tools"):
        for index, tool in enumerate(tools):
            check_type(tool, f"tools[{index}]")
        parameters["tools"] = tools
    _check_tools(parameters, given.items)
    return Asked(parameters, given.items)


def _check_tools(parameters: Mapping[str, Json], items: Sequence[Item]) -> None:
    """Their choice as well, unless tools may stand in what is still to be read."""
    goes_on = "previous_response_id" in parameters or "conversation" in parameters
    if goes_on or any(item["type"] == REFERENCE for item in items):
        Toolbox.to_show(parameters, items)
    else:
        Toolbox.of(parameters, items)


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
    if checked.get("background") and checked.get("store") is False:
        raise InvalidParameter("store", "a background response is stored: leave 'store' out, or send true")


def _check_format(checked: RequestBody) -> None:
    wanted = (checked.get("text") or {}).get("format")
    if wanted and wanted["type"] == "json_schema":
        for field in ("name", "schema"):
            if field not in wanted:
                raise MissingParameter(f"text.format.{field}", f"missing required parameter: 'text.format.{field}'")
