"""What the relayed requests have in common."""

from answerback.http.openai_bodies import check_type
from answerback.http.openai_errors import InvalidParameter, InvalidType, MissingParameter
from answerback.kernel.json import Json
from answerback.llm.model import name

MOST_TEXTS = 2048
"""How many texts one request may embed or go on with (OpenAI API reference, "Embeddings")."""

MAX_VALUES = 2**19
"""Of JSON in such a request: 300,000 tokens are the most that OpenAI embeds at once."""


def check_model(body: dict[str, Json]) -> None:
    """Raises InvalidType, and InvalidParameter: the name becomes a label of metrics and a field of the log."""
    check_type(body, "model", str, "a string")
    if (model := body.get("model")) and name(model) != model:
        raise InvalidParameter("model", "'model' must be the id of a model: text of at most 256 characters")


def check_streaming(body: dict[str, Json]) -> None:
    """Raises InvalidType."""
    check_type(body, "stream", bool, "true or false")
    check_type(body, "stream_options", dict, "an object")


def check_texts(body: dict[str, Json], field: str) -> None:
    """A text, or a list of texts or of tokens. Raises InvalidType, InvalidParameter, MissingParameter."""
    given = body.get(field)
    if given is None:
        raise MissingParameter(field, f"missing required parameter: '{field}'")
    if not isinstance(given, str | list):
        raise InvalidType(field, f"'{field}' must be a text or a list")
    if not given:
        raise InvalidParameter(field, f"'{field}' must be a text or a list, and not empty")
    if isinstance(given, list) and len(given) > MOST_TEXTS and not isinstance(given[0], int):
        raise InvalidParameter(field, f"'{field}' may hold {MOST_TEXTS} texts, not {len(given)}; send several requests")
