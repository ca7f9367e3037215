"""Reading embeddings: what an upstream's document holds, or why it cannot be used."""

import asyncio
import re
from collections.abc import Callable, Mapping

from answerback.kernel.heavy import HEAVY_BYTES, HeavyWork
from answerback.kernel.json import Json
from answerback.llm.answers import completions
from answerback.llm.answers.odd_json import Mended
from answerback.llm.errors.failures import read_document
from answerback.llm.transport import OpenResponse

MAX_BYTES = 32 * 1024 * 1024
"""Of a response: 500 vectors of 3,072 numbers, as text."""


_NUMBERS = re.compile(rb"\[[-+0-9.eE,\s]{256,}\]")
"""A vector, as text."""


async def read_embeddings(
    response: OpenResponse, now: Callable[[], int], heavy: HeavyWork
) -> tuple[bytes, dict[str, Json]]:
    """The bytes and the same decoded, but for the numbers of long vectors: they are passed on as they came, and a
    million of them would be decoded for seconds. Raises ProviderError."""
    body, broken = await response.read_what_came()
    if broken is not None and 200 <= response.status < 300:
        raise completions.broken_within(broken)
    shortened = await _without_numbers(body)
    async with heavy.on(len(shortened)):
        document = read_document(response, shortened, now(), broken)
    check(document)
    return body, document


async def _without_numbers(body: bytes) -> bytes:
    parts, at, turn = list[bytes](), 0, 0
    for vector in _NUMBERS.finditer(body):
        parts += [body[at : vector.start()], b"[0]"]
        at = vector.end()
        if at - turn > HEAVY_BYTES:
            turn = at
            await asyncio.sleep(0)
    return b"".join([*parts, body[at:]])


def check(document: Mapping[str, Json]) -> None:
    """Raises ProviderError for a document without vectors, or with a vector that is none."""
    data = document.get("data")
    if isinstance(document, Mended):
        raise completions.invalid("holds NaN or an infinite number, which JSON does not know")
    if not isinstance(data, list) or not data or not all(isinstance(each, dict) for each in data):
        raise completions.invalid("holds no embeddings")
    if not all(isinstance(each.get("embedding"), list | str) and each["embedding"] for each in data):
        raise completions.invalid("holds an embedding without numbers")
