"""The parts of messages and of outputs: in one shape, and as chat completions take them."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from itertools import groupby

from answerback.http.openai_errors import InvalidParameter, InvalidType, MissingParameter, UnsupportedValue
from answerback.kernel.json import Json
from answerback.responses.fields import required_text
from answerback.responses.model import Item

TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
DETAILS = ("low", "high", "auto", "original")
FILES = "files are not stored here: send what the file holds, as a data URL"


def user_parts(content: Json, path: str) -> list[Item]:
    """The parts of a message that the model is to read. Raises InvalidField."""
    return [_read(part, where) for part, where in _parts(content, path)]


def instruction_parts(content: Json, path: str) -> list[Item]:
    """The parts of a message that instructs the model: it is text, files of text included. Raises InvalidField."""
    parts = user_parts(content, path)
    for index, part in enumerate(parts):
        if is_media(part):
            where = f"{path}[{index}]"
            words = "a system or developer message holds texts and files of text only: send this in a user message"
            raise UnsupportedValue(where, f"unsupported '{where}': {words}")
    return parts


def output_parts(output: Json, path: str) -> list[Item]:
    """The parts of a tool's output. Raises InvalidField."""
    if not isinstance(output, list):
        raise InvalidType(path, f"invalid '{path}': must be a string or a list of parts")
    return user_parts(output, path)


def assistant_parts(content: Json, path: str) -> list[Item]:
    """The parts of a message that a model has said. Raises InvalidField."""
    said: list[Item] = []
    for part, where in _parts(content, path):
        match part.get("type"):
            case "refusal":
                said.append({"type": "refusal", "refusal": required_text(part, "refusal", where)})
            case str(kind) if kind in TEXTS:
                text = required_text(part, "text", where)
                said.append({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
            case _:
                raise _unknown(part, where, "output_text, refusal")
    return said


def text_of(parts: Sequence[Item]) -> str:
    """Their texts; a refusal stands on a line of its own."""
    texts = ("".join(part.get("text") or part.get("refusal") or "" for part in alike) for _, alike in _by_type(parts))
    return "\n".join(filter(None, texts))


def _by_type(parts: Sequence[Item]) -> Iterator[tuple[str, Iterator[Item]]]:
    return groupby(parts, lambda part: part["type"])


def chat_content(parts: Sequence[Item]) -> Json:
    """The `content` of a message of chat completions: one text where there is nothing else."""
    if len(parts) == 1 and "text" in parts[0]:
        return parts[0]["text"]
    said = [_chat_part(part) for part in parts]
    texts = [part["text"] for part in said if part["type"] == "text"]
    return "".join(texts) if len(texts) == len(said) else said


def is_media(part: Item) -> bool:
    """Whether a chat message shows it otherwise than as text."""
    return bool(_chat_part(part)["type"] != "text")


def _chat_part(part: Item) -> Item:
    match part["type"]:
        case "input_image":
            return {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part["detail"]}}
        case "input_file":
            named, data = part.get("filename") or "file", part["file_data"]
            if (text := _text_within(data)) is not None:
                return {"type": "text", "text": f"{named}:\n{text}\n"}
            return {"type": "file", "file": {"filename": named, "file_data": data}}
        case "refusal":
            return {"type": "text", "text": part["refusal"]}
        case _:
            return {"type": "text", "text": part["text"]}


def _text_within(data: str) -> str | None:
    """The text of a data URL that says that it is one; None for any other."""
    kind, comma, encoded = data.partition(",")
    if not comma or not kind.startswith(("data:text/", "data:application/json")) or not kind.endswith(";base64"):
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _parts(content: Json, path: str) -> Iterator[tuple[Item, str]]:
    if isinstance(content, str):
        yield {"type": "input_text", "text": content}, path
        return
    if content is None:
        raise MissingParameter(path, f"missing required parameter: '{path}'")
    if not isinstance(content, list):
        raise InvalidType(path, f"invalid '{path}': must be a string or a list of parts")
    for index, part in enumerate(content):
        where = f"{path}[{index}]"
        if not isinstance(part, dict):
            raise InvalidType(where, f"invalid '{where}': must be an object")
        yield part, where


def _read(part: Item, path: str) -> Item:
    match part.get("type"):
        case str(kind) if kind in TEXTS:
            return {"type": "input_text", "text": required_text(part, "text", path)}
        case "input_image":
            return _image(part, path)
        case "input_file":
            return _file(part, path)
        case "refusal":
            return {"type": "input_text", "text": required_text(part, "refusal", path)}
        case _:
            raise _unknown(part, path, "input_text, input_image, input_file")


def _image(part: Item, path: str) -> Item:
    _refuse(part, path, "file_id", FILES)
    url = required_text(part, "image_url", path)
    if not url.startswith(("https://", "http://")):
        _check_data(url, f"{path}.image_url", "an http or https URL, or a data URL as 'data:image/png;base64,…'")
    detail = part.get("detail")
    return {"type": "input_image", "image_url": url, "detail": detail if detail in DETAILS else "auto"}


def _file(part: Item, path: str) -> Item:
    _refuse(part, path, "file_id", FILES)
    _refuse(part, path, "file_url", "files are not fetched here: send 'file_data'")
    named = {} if part.get("filename") is None else {"filename": required_text(part, "filename", path)}
    data = required_text(part, "file_data", path)
    _check_data(data, f"{path}.file_data", "a data URL, as 'data:application/pdf;base64,…'")
    return {"type": "input_file", **named, "file_data": data}


def _check_data(url: str, param: str, wanted: str) -> None:
    kind, _, encoded = url.partition(",")
    if not (kind.startswith("data:") and kind.endswith(";base64")):
        raise InvalidParameter(param, f"invalid '{param}': must be {wanted}")
    try:
        whole = bool(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        whole = False
    if not whole:
        raise InvalidParameter(param, f"invalid '{param}': what follows ';base64,' is empty or no base64")


def _refuse(part: Item, path: str, field: str, why: str) -> None:
    if part.get(field) is not None:
        raise UnsupportedValue(f"{path}.{field}", why)


def _unknown(part: Item, path: str, known: str) -> InvalidParameter:
    param = f"{path}.type"
    return InvalidParameter(param, f"invalid '{param}': {str(part.get('type'))[:64]!r} is none of {known}")
