"""What the relayed requests have in common."""

from answerback.http.openai_bodies import check_type
from answerback.http.openai_errors import InvalidParameter
from answerback.kernel.json import Json
from answerback.llm.model import name


def check_model(body: dict[str, Json]) -> None:
    """Raises InvalidParameter: the name becomes a label of metrics and a field of the log."""
    check_type(body, "model", str, "a string")
    if (model := body.get("model")) and name(model) != model:
        raise InvalidParameter("model", "'model' must be the id of a model: text of at most 256 characters")
