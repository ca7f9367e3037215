"""What a completion and each of its chunks say of themselves: whatever OpenAI's clients need and an upstream leaves
out, or says otherwise, is put in its place."""

import uuid
from collections.abc import Callable, Mapping

from answerback.kernel.json import Json
from answerback.llm.answers.odd_json import Mended
from answerback.llm.answers.usage_fields import conforming_usage

COMPLETION = "chat.completion"
"""The `object` of a completion."""

CHUNK = "chat.completion.chunk"
"""The `object` of a chunk."""

TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
"""OpenAI's values of `service_tier`; its clients validate no other, such as Groq's `on_demand`."""


class Head:
    """Of one answer: `kind` is its `object`, `model` the name that was asked for. What a chunk leaves out is as in
    those before it. `now` is the wall clock in epoch milliseconds."""

    def __init__(self, kind: str, model: str, now: Callable[[], int]) -> None:
        self._kind = kind
        self._asked_model = model
        self._now = now
        self._id: str | None = None
        self._model: str | None = None
        self._created: int | None = None

    def conforming(self, document: dict[str, Json]) -> dict[str, Json]:
        """The document itself where its head is as OpenAI's, else a `Mended` one."""
        changes = self._changes(document)
        return Mended({**document, **changes}) if changes else document

    def _changes(self, document: Mapping[str, Json]) -> dict[str, Json]:
        changes = dict[str, Json]()
        if document.get("object") != self._kind:
            changes["object"] = self._kind
        if type(given := document.get("id")) is str:
            self._id = self._id or given
        else:
            changes["id"] = self._id = self._id or f"chatcmpl-{uuid.uuid4().hex}"
        if type(model := document.get("model")) is str:
            self._model = self._model or model
        else:
            changes["model"] = self._model or self._asked_model
        if type(created := document.get("created")) is int:
            self._created = self._created or created
        else:
            changes["created"] = self._created = self._created or _whole(created) or self._now() // 1000
        if (tier := document.get("service_tier")) is not None and not (isinstance(tier, str) and tier in TIERS):
            changes["service_tier"] = None
        if not isinstance(fingerprint := document.get("system_fingerprint"), str | None):
            changes["system_fingerprint"] = str(fingerprint) if isinstance(fingerprint, int) else None
        if (usage := conforming_usage(document)) is not document.get("usage"):
            changes["usage"] = usage
        return changes


def _whole(created: Json) -> int | None:
    return int(created) if isinstance(created, float) else None
