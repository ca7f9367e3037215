"""Fields of items and tools, each named by its place if it is wrong."""

from collections.abc import Mapping

from answerback.http.openai_errors import InvalidType, MissingParameter
from answerback.kernel.json import Json


def required_text(given: Mapping[str, Json], field: str, path: str) -> str:
    """The text in a `field` of what stands at `path`. Raises InvalidField."""
    value, param = given.get(field), f"{path}.{field}"
    if value is None:
        raise MissingParameter(param, f"missing required parameter: '{param}'")
    if not isinstance(value, str):
        raise InvalidType(param, f"invalid '{param}': must be a string")
    return value
