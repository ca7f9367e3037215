"""Errors that say that there is none: some gateways put one beside every answer."""

from answerback.kernel.json import Json
from answerback.llm.answers.odd_json import Mended

_WORDS = frozenset({"", "0", "200", "ok", "success", "succeeded", "none", "null"})


def is_error(error: Json) -> bool:
    """Whether the `error` of a document, or of a choice, says that anything is wrong."""
    match error:
        case dict():
            return any(map(is_error, error.values()))
        case list():
            return any(map(is_error, error))
        case str():
            return error.strip().lower() not in _WORDS
        case bool():
            return error
        case int() | float():
            return error not in (0, 200)
        case _:
            return False


def without_blank_error(document: dict[str, Json]) -> dict[str, Json]:
    """The document, without an `error` beside its choices that says that there is none: OpenAI's clients raise it."""
    if not document.get("error") or "choices" not in document or is_error(document["error"]):
        return document
    return Mended({name: value for name, value in document.items() if name != "error"})
