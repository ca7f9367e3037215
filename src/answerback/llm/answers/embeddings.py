"""Reading embeddings: what an upstream's document holds, or why it cannot be used."""

import asyncio
import json
import re
import uuid
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping

from answerback.kernel.heavy import HEAVY_BYTES, HeavyWork
from answerback.kernel.json import Json
from answerback.llm.answers import completions
from answerback.llm.answers.odd_json import Mended
from answerback.llm.answers.sse import first_data
from answerback.llm.errors.failures import read_document
from answerback.llm.transport import OpenResponse

MAX_BYTES = 32 * 1024 * 1024
"""Of a response: 500 vectors of 3,072 numbers, as text."""


_NUMBERS = re.compile(rb"\[[-+0-9.eE,\s]{256,}\]")
"""A vector, as text."""


async def read_embeddings(
    response: OpenResponse, now: Callable[[], int], heavy: HeavyWork, inputs: int | None = None
) -> tuple[bytes, dict[str, Json]]:
    """The bytes and the same decoded, but for the numbers of long vectors: they are passed on as they came, and a
    million of them would be decoded for seconds. `inputs`: how many vectors were asked for, if that is known. Raises
    ProviderError."""
    body, broken = await response.read_what_came()
    if broken is not None and 200 <= response.status < 300:
        raise completions.broken_within(broken)
    body = first_data(body.removeprefix(BOM_UTF8))
    shortened = await _without_numbers(body)
    async with heavy.on(len(shortened)):
        document = read_document(response, shortened, now(), broken)
    check(document)
    if inputs is not None and len(document["data"]) != inputs:
        raise completions.invalid("does not hold one embedding for each input")
    if _lacks_numbers(document["data"]):
        async with heavy.on(len(body)):
            body = _numbered(body)
        document["data"] = [{**each, "index": position} for position, each in enumerate(document["data"])]
    return body, document


def _lacks_numbers(data: list[dict[str, Json]]) -> bool:
    """Whether several vectors have no number of their own, or count from 1: they are in the order of their inputs."""
    if len(data) == 1:
        return False
    numbers = [each.get("index") for each in data]
    if not all(type(number) is int for number in numbers):
        return True
    return len(set(numbers)) < len(numbers) or numbers == list(range(1, len(numbers) + 1))


def _numbered(body: bytes) -> bytes:
    """The document with an `index` for each vector. The numbers of long ones stay as they came."""
    mark, vectors = uuid.uuid4().hex, list[bytes]()

    def kept(vector: re.Match[bytes]) -> bytes:
        vectors.append(vector[0])
        return b'"%b %d"' % (mark.encode(), len(vectors) - 1)

    document = json.loads(_NUMBERS.sub(kept, body))
    for position, each in enumerate(document["data"]):
        each["index"] = position
    return re.sub(rb'"%b (\d+)"' % mark.encode(), lambda found: vectors[int(found[1])], json.dumps(document).encode())


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
    if not all(isinstance(each["embedding"], str) or all(map(_is_number, each["embedding"])) for each in data):
        raise completions.invalid("holds an embedding of what are no numbers")


def inputs_of(asked: Json) -> int | None:
    """How many vectors belong to an `input`: a text, tokens, or a list of either; None for any other."""
    if isinstance(asked, str):
        return 1
    if not isinstance(asked, list) or not asked:
        return None
    if all(isinstance(each, int) for each in asked):
        return 1
    return len(asked) if all(isinstance(each, str | list) for each in asked) else None


def _is_number(value: Json) -> bool:
    """Also a list: vectors of the tokens of a text."""
    return isinstance(value, int | float | list) and not isinstance(value, bool)
