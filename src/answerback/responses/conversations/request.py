"""The bodies of requests for conversations; each wrong value is named by its place."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from answerback.http.openai_errors import InvalidParameter, InvalidType, MissingParameter, wrong_parameter
from answerback.http.plain_words import plain_errors
from answerback.kernel.json import Json
from answerback.responses.items.input import Given, items_of
from answerback.responses.model import REFERENCE
from answerback.responses.request import Metadata

MOST_ITEMS = 20
"""Of one request."""

_MEANING = "OpenAI's items, at most 20: messages, calls and their outputs, thoughts."


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class NewConversation(_Body):
    """A conversation, with what was said in it already."""

    items: list[dict[str, Any]] | None = Field(None, max_length=MOST_ITEMS, description=_MEANING)
    metadata: Metadata | None = None


class ConversationChanges(_Body):
    """`metadata` replaces what there was."""

    metadata: Metadata | None


class NewItems(_Body):
    """Items to add."""

    items: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_ITEMS, description=_MEANING)


def metadata_of(body: Mapping[str, Json], *, required: bool) -> dict[str, str]:
    """Raises InvalidField."""
    kind = ConversationChanges if required else NewConversation
    try:
        checked = kind.model_validate({"metadata": body["metadata"]} if "metadata" in body else {})
    except ValidationError as error:
        raise wrong_parameter(plain_errors(error.errors(include_url=False, include_input=False))[0]) from None
    return dict(checked.metadata or {})


def items_in(body: Mapping[str, Json], *, required: bool) -> Given:
    """Raises InvalidField."""
    given = body.get("items")
    if given is None and not required:
        return Given()
    if given is None:
        raise MissingParameter("items", "missing required parameter: 'items'")
    if not isinstance(given, list):
        raise InvalidType("items", "invalid 'items': must be a list of items")
    if len(given) > MOST_ITEMS:
        raise InvalidParameter("items", f"invalid 'items': a request adds at most {MOST_ITEMS}; send more requests")
    read = items_of(given, "items")
    for item, path in zip(read.items, read.paths, strict=True):
        if item["type"] == REFERENCE:
            raise InvalidParameter(path, f"invalid '{path}': send the item itself, not an item_reference")
    if required and not read.items:
        raise InvalidParameter("items", "invalid 'items': nothing in it is an item that a chat model could read")
    return read
