"""The thoughts of a model as items, and back to the upstream that wants them."""

import base64
import json
from collections.abc import Iterable, Mapping

from answerback.kernel.json import Json, in_text
from answerback.llm.answers.thoughts import DETAILS, SENT_BACK
from answerback.responses.model import Item

_ASSUMED = SENT_BACK[0]
"""The field of thoughts of which only the text is known, as Codex sends them back."""


def sealed(field: str, value: Json) -> str:
    """The `encrypted_content` of a reasoning item. It holds no secret: the item shows the same, but for what a vendor
    has sealed itself."""
    return base64.urlsafe_b64encode(json.dumps({field: value}).encode()).decode()


def sent_back(items: Iterable[Item]) -> Mapping[str, Json]:
    """The fields of the assistant's message that hold these thoughts."""
    fields: dict[str, Json] = {}
    for item in items:
        for field, value in _fields(item).items():
            fields[field] = fields[field] + value if field in fields else value
    return fields


def _fields(item: Item) -> Mapping[str, Json]:
    known = _unsealed(item.get("encrypted_content"))
    if known is not None:
        return known
    text = "".join(part["text"] for part in item.get("content") or item["summary"])
    return {_ASSUMED: text} if text else {}


def _unsealed(blob: Json) -> Mapping[str, Json] | None:
    """None for what this service has not sealed, such as a blob of OpenAI's."""
    if not isinstance(blob, str):
        return None
    try:
        fields = in_text(base64.urlsafe_b64decode(blob))
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    ours = all(
        field in SENT_BACK and isinstance(value, list if field == DETAILS else str) for field, value in fields.items()
    )
    return fields if ours else None
