"""Embeddings without a model: the same text has the same vector, and that is all that they mean."""

import base64
import hashlib
import json
import math
import struct
from collections.abc import Mapping, Sequence

from answerback.kernel.json import Json
from answerback.kernel.usage import estimate_tokens

DIMENSIONS = 256
MOST_DIMENSIONS = 4096


def mock_embeddings(body: Mapping[str, Json], model: str) -> dict[str, Json]:
    """The answer to a request for embeddings, as OpenAI's."""
    inputs = _inputs(body.get("input"))
    wanted = body.get("dimensions")
    size = min(wanted, MOST_DIMENSIONS) if isinstance(wanted, int) and wanted > 0 else DIMENSIONS
    packed = body.get("encoding_format") == "base64"
    vectors = [_vector(text, size) for text in inputs]
    data = [
        {"object": "embedding", "index": n, "embedding": _packed(vector) if packed else list(vector)}
        for n, vector in enumerate(vectors)
    ]
    tokens = sum(estimate_tokens(text) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _inputs(given: Json) -> list[str]:
    """A text, several, or the same as tokens: each as a text."""
    if isinstance(given, list) and given and not isinstance(given[0], int):
        return [each if isinstance(each, str) else json.dumps(each) for each in given]
    return [given if isinstance(given, str) else json.dumps(given)]


def _vector(text: str, size: int) -> Sequence[float]:
    """Of length 1."""
    raw = hashlib.shake_128(text.encode(errors="replace")).digest(size)
    numbers = [byte - 127.5 for byte in raw]
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]


def _packed(vector: Sequence[float]) -> str:
    """32-bit numbers, little-endian, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
