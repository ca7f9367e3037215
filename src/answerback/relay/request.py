"""The body of `POST /webhook`, every field checked."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from answerback.http.bodies import StrictBody
from answerback.http.fields import CallbackUrl, Metadata, ModelName, bounded, no_nul, not_blank
from answerback.http.plain_words import plain_words
from answerback.kernel.json import Json
from answerback.relay.model import Content, Message, ToolOutput

MAX_TEXT = 32_000
MAX_CONTENT_BYTES = 512 * 1024
MAX_PARAMS_BYTES = 64 * 1024
OWN_PARAMS = ("messages", "model", "stream", "n")
"""Parameters of chat completions that the relay sets itself."""


class _Part(BaseModel):
    # Fields that only a provider knows are passed on.
    model_config = ConfigDict(extra="allow", strict=True)


class TextPart(_Part):
    type: Literal["text"]
    text: str


class ImageUrl(_Part):
    url: Annotated[str, StringConstraints(min_length=1)]


class ImagePart(_Part):
    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
PARTS = TypeAdapter(Annotated[list[Part], Field(fail_fast=True)])


def _content(value: Any, info: ValidationInfo) -> Content | None:
    """A text or parts; None where tool outputs stand in its place."""
    outputs = info.data.get("tool_outputs")
    # `tool_outputs` is missing from the data if it was itself refused.
    if value in (None, "") and (outputs or "tool_outputs" not in info.data):
        return None
    if outputs:
        raise ValueError("must be left out where tool_outputs stand in its place")
    if value is None:
        raise PydanticKnownError("missing")
    return _parts(value) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    if not value:
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    if len(value) > MAX_TEXT:
        raise PydanticKnownError("string_too_long", {"max_length": MAX_TEXT})
    return not_blank(value)


def _parts(value: list[Any]) -> list[dict[str, Json]]:
    try:
        parts = PARTS.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        number, *within = first["loc"]
        # After the number comes the part's type.
        place = ".".join(map(str, (number, *within[1:])))
        raise PydanticCustomError(
            "content_part", "{place}: {reason}", {"place": place, "reason": plain_words(first)}
        ) from None
    if not any(isinstance(part, TextPart) and part.text.strip() for part in parts):
        raise ValueError("must have at least one part of text that is not blank")
    bounded(value, MAX_CONTENT_BYTES)
    return value


def _text_or_decimal(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("must be a string or an integer")
    return str(value)


def _upstreams(value: dict[str, Any]) -> dict[str, Any]:
    bounded(value, MAX_PARAMS_BYTES)
    if own := [name for name in OWN_PARAMS if name in value]:
        raise ValueError(f"must not have {', '.join(own)}: the relay sets {'it' if len(own) == 1 else 'them'} itself")
    return value


class ToolOutputBody(StrictBody):
    """The output of a tool. `tool_call_id` is the `id` of one of the `tool_calls` of a callback."""

    tool_call_id: Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(no_nul)]
    output: Annotated[str, AfterValidator(no_nul)]


def _outputs(value: list[ToolOutputBody]) -> list[ToolOutputBody]:
    if len({each.tool_call_id for each in value}) < len(value):
        raise ValueError("must answer each call once")
    size = sum(len(each.output.encode()) for each in value)
    if size > MAX_CONTENT_BYTES:
        raise ValueError(f"must be at most {MAX_CONTENT_BYTES} bytes; they have {size}")
    return value


class WebhookMessage(StrictBody):
    """A message to be answered later."""

    checks_empty = frozenset({"message"})

    tool_outputs: (
        Annotated[list[ToolOutputBody], Field(min_length=1, fail_fast=True), AfterValidator(_outputs)] | None
    ) = Field(None, description="In place of `message`: the outputs of the tools that the last answer called.")
    message: Annotated[Any, PlainValidator(_content, json_schema_input_type=Text | list[Part] | None)] = Field(
        None,
        validate_default=True,
        description="What to ask the LLM: a text, or OpenAI's content parts (text, image_url), at most 512 KiB.",
    )
    callback_url: CallbackUrl = Field(
        description="Where the answer goes: http or https, no credentials in it, an address the service may call."
    )
    session_id: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=128),
            AfterValidator(not_blank),
            BeforeValidator(_text_or_decimal, json_schema_input_type=str | int),
        ]
        | None
    ) = Field(
        None,
        description="Names the conversation; without it the callback URL does, **and all users behind one callback URL "
        "share one memory**. An integer counts as its decimal text.",
    )
    stateless: bool | None = Field(
        None, description="True: no memory is read or kept, and no order. Excludes session_id."
    )
    model: ModelName | None = Field(None, description="Which model answers; without it the service's default.")
    system: Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(no_nul)] | None = Field(
        None, description="The system prompt for this answer."
    )
    temperature: (
        Annotated[float, Field(ge=0, le=2, allow_inf_nan=False, description="From 0 to 2, as OpenAI's.")] | None
    ) = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000, description="The longest answer, in tokens.")] | None = None
    params: Annotated[dict[str, Any], AfterValidator(_upstreams)] | None = Field(
        None,
        description="Any other parameter of the upstream's chat completions, such as `response_format`, `tools` or "
        "`seed`; at most 64 KiB of JSON, never `messages`, `model`, `stream` or `n`.",
    )
    metadata: Metadata | None = Field(None, description="Echoed in the callback; at most 16 KiB of JSON.")

    model_config = ConfigDict(
        json_schema_extra={
            # Of an `anyOf` generators of clients make a type without fields.
            "if": {"not": {"required": ["message"]}},
            "then": {"required": ["tool_outputs"]},
            "not": {
                "properties": {
                    "stateless": {"const": True},
                    "session_id": {"type": ["string", "integer"], "minLength": 1},
                },
                "required": ["stateless", "session_id"],
            },
        }
    )

    @model_validator(mode="after")
    def _one_memory(self) -> "WebhookMessage":
        if self.stateless and self.session_id is not None:
            raise ValueError("stateless excludes session_id: send one or the other")
        return self

    def args(self) -> Message:
        return Message(
            message=self.message,
            tool_outputs=tuple(ToolOutput(each.tool_call_id, each.output) for each in self.tool_outputs or ()),
            session_id=self.session_id,
            stateless=bool(self.stateless),
            model=self.model,
            system=self.system,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            params=self.params,
            metadata=self.metadata,
        )


EXAMPLE = {
    "message": "Where is my parcel?",
    "callback_url": "https://example.com/callback",
    "session_id": "customer-42",
}
