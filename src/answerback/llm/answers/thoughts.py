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


def merged(details: Sequence[Json]) -> list[Json]:
    """Streamed `reasoning_details` as whole ones: pieces of the same index and type belong together."""
    whole: list[Json] = []
    for piece in details:
        last = whole[-1] if whole else None
        if not isinstance(piece, dict):
            continue
        if isinstance(last, dict) and all(last.get(key) == piece.get(key) for key in ("index", "type")):
            for key, value in piece.items():
                grows = key in ("text", "summary", "data") and isinstance(value, str) and isinstance(last.get(key), str)
                if grows:
                    last[key] += value
                elif value is not None:
                    last[key] = value
        else:
            whole.append(dict(piece))
    return whole


def _parts(content: Json) -> Sequence[Mapping[str, Json]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _text(thinking: Json) -> str:
    if isinstance(thinking, str):
        return thinking
    texts = (part.get("text") for part in _parts(thinking))
    return "".join(text for text in texts if isinstance(text, str))
