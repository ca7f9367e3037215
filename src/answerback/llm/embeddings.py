"""Reading embeddings: what an upstream's document holds, or why it cannot be used."""

from collections.abc import Callable, Mapping

from answerback.kernel.json import Json
from answerback.llm import completions
from answerback.llm.failures import read_document
from answerback.llm.transport import OpenResponse

MAX_BYTES = 32 * 1024 * 1024
"""Of a response: 500 vectors of 3,072 numbers, as text."""


async def read_embeddings(response: OpenResponse, now: Callable[[], int]) -> tuple[bytes, dict[str, Json]]:
    """The bytes and the same decoded. Raises ProviderError."""
    body = await response.read()
    document = read_document(response.status, response.headers, body, now())
    check(document)
    return body, document


def check(document: Mapping[str, Json]) -> None:
    """Raises ProviderError for a document without vectors, or with a vector that is none."""
    data = document.get("data")
    if isinstance(document, completions.Mended):
        raise completions.invalid("holds NaN or an infinite number, which JSON does not know")
    if not isinstance(data, list) or not data or not all(isinstance(each, dict) for each in data):
        raise completions.invalid("holds no embeddings")
    if not all(isinstance(each.get("embedding"), list | str) and each["embedding"] for each in data):
        raise completions.invalid("holds an embedding without numbers")
