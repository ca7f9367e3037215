"""The text of a message, in each form that OpenAI's protocol has for it."""

from answerback.kernel.json import Json

TEXT_PARTS = ("text", "output_text")


def text_of(content: Json) -> str:
    """The text of a message's `content`: a string, the text parts of a list, a part alone, or nothing.

    Raises ValueError for anything else. Parts that are not text (images, audio) are left out.
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list | dict):
        raise ValueError("content is neither text nor a list of parts")
    return "".join(_part(part) for part in _parts(content))


def is_blank(content: Json) -> bool:
    """Whether there is neither text nor any other part. Raises ValueError as `text_of` does."""
    if text_of(content).replace("\0", "").strip():
        return False
    return all(isinstance(part, str) or _is_text(part) for part in _parts(content))


def has_media(content: Json) -> bool:
    """Whether there is a part that is neither text nor thought."""
    return any(isinstance(part, dict) and not _is_text(part) and not _is_thought(part) for part in _parts(content))


def _parts(content: Json) -> list[Json]:
    if isinstance(content, dict):
        return [content]
    return content if isinstance(content, list) else []


def _is_thought(part: dict[str, Json]) -> bool:
    return any(word in str(part.get("type")) for word in ("thinking", "reasoning"))


def _is_text(part: dict[str, Json]) -> bool:
    return part.get("type", "text") in TEXT_PARTS


def _part(part: Json) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise ValueError("a part of the content is not an object")
    text = part.get("text")
    return text if isinstance(text, str) and _is_text(part) else ""
