"""What a model thinks aloud, and the fields in which upstreams say it: `reasoning_content` (DeepSeek, vLLM, SGLang,
llama.cpp, Qwen), `reasoning` (OpenRouter, Groq, Ollama), `reasoning_details` (OpenRouter, for models whose thoughts are
signed), `thinking` and parts of the content of this type (Mistral).

DeepSeek demands the thoughts of a turn with calls back, and Mistral and Groq refuse any: `adaptation.py` leaves them
out where an upstream does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from answerback.kernel.json import Json

DETAILS = "reasoning_details"
SENT_BACK = ("reasoning_content", "reasoning", DETAILS)
"""Fields of a message that may be sent back as they came."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece. `field` is where it came from, None where it cannot be sent back; `details` are those of
    `reasoning_details`."""

    text: str
    field: str | None
    details: Sequence[Json] = ()


def thought_in(said: Mapping[str, Json]) -> Thought | None:
    """What a message, or a piece of one, holds of thoughts. Where two fields repeat each other, one counts."""
    details = said.get(DETAILS)
    details = details if isinstance(details, list) and details else ()
    for field in SENT_BACK[:2]:
        if isinstance(text := said.get(field), str) and text:
            return Thought(text, DETAILS if details else field, details)
    if details:
        texts = (each.get("text") or each.get("summary") for each in details if isinstance(each, dict))
        return Thought("".join(text for text in texts if isinstance(text, str)), DETAILS, details)
    text = _text(said.get("thinking")) or "".join(_text(part.get("thinking")) for part in _parts(said.get("content")))
    return Thought(text, None) if text else None


class _Pieces(list[str]):
    """A text in pieces, joined at the end: longer and longer texts would cost the square of their length."""


def merged(details: Sequence[Json]) -> list[Json]:
    """Streamed `reasoning_details` as whole ones: pieces of the same index and type belong together."""
    whole: list[dict[str, Json]] = []
    for piece in details:
        if not isinstance(piece, dict):
            continue
        if not whole or any(whole[-1].get(key) != piece.get(key) for key in ("index", "type")):
            whole.append({})
        for key, value in piece.items():
            _add(whole[-1], key, value)
    return [
        {key: "".join(value) if isinstance(value, _Pieces) else value for key, value in each.items()} for each in whole
    ]


def _add(whole: dict[str, Json], key: str, value: Json) -> None:
    if key in ("text", "summary", "data") and isinstance(value, str):
        if not isinstance(whole.get(key), _Pieces):
            whole[key] = _Pieces()
        whole[key].append(value)
    elif value is not None or key not in whole:
        whole[key] = value


def _parts(content: Json) -> Sequence[Mapping[str, Json]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _text(thinking: Json) -> str:
    if isinstance(thinking, str):
        return thinking
    texts = (part.get("text") for part in _parts(thinking))
    return "".join(text for text in texts if isinstance(text, str))
