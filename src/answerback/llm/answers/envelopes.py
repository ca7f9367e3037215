"""Completions, and chunks, that a gateway puts into an object of its own: `{"code": 0, "data": {"choices": …}}`."""

from answerback.kernel.json import Json
from answerback.llm.answers.blank_errors import is_error
from answerback.llm.answers.odd_json import Mended

_NAMES = ("data", "result", "response")
_TROUBLE = ("code", "error", "errors", "error_code", "status_code")


def unwrapped(document: dict[str, Json]) -> dict[str, Json]:
    """What the envelope holds, unless it says that something went wrong; any other document as it is."""
    if "choices" in document or document.get("success") is False:
        return document
    for name in _NAMES:
        held = document.get(name)
        if isinstance(held, dict) and isinstance(held.get("choices"), list):
            return document if any(is_error(document.get(field)) for field in _TROUBLE) else Mended(held)
    return document
