"""What a message says, whichever way OpenAI's protocol wrapped it."""

from answerback.llm.model import Json


def text_of(content: Json) -> str:
    """The text of a message's `content`: a string, the text parts of a list, or nothing.

    Raises ValueError for anything else. Parts that are not text (images, audio) are left out.
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise ValueError("content is neither text nor a list of parts")
    return "".join(_part(part) for part in content)


def _part(part: Json) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise ValueError("a part of the content is not an object")
    text = part.get("text")
    return text if isinstance(text, str) and part.get("type", "text") in ("text", "output_text") else ""
