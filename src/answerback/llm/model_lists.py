"""Lists of models, as upstreams send them: OpenAI's, Ollama's and Gemini's envelopes, or none."""

from answerback.kernel.json import Json
from answerback.llm.answers.completions import invalid
from answerback.llm.answers.usage_fields import count
from answerback.llm.model import LONGEST_NAME, Model, name, storable

_LISTS = ("data", "models", "result", "items", "endpoints", "model_list", "resources", "modelSummaries", "list")
"""Where a list stands: at OpenAI, Ollama and Gemini, Cloudflare, gateways, Databricks, LiteLLM, watsonx.ai, Bedrock."""
_NAMES = ("id", "model", "model_id", "modelId", "name", "model_name", "slug")


def models_of(document: Json) -> list[Model]:
    """The models of a list; entries that name none are skipped. Raises ProviderError for a document without a list,
    and for a list of other things."""
    listed = _listed(document) if isinstance(document, dict) else document
    if listed is None and isinstance(document, dict) and document.get("object") == "list":
        # A list without entries, as Go writes one.
        listed = []
    if isinstance(listed, dict) and listed and all(isinstance(entry, dict) for entry in listed.values()):
        listed = [{"id": model_id, **entry} for model_id, entry in listed.items()]
    if not isinstance(listed, list):
        raise invalid("holds no list of models")
    if all(isinstance(entry, str) for entry in listed):
        listed = [{"id": entry} for entry in listed]
    models = [model for entry in listed if (model := _model(entry)) is not None]
    if listed and not models:
        # Such as Gemini's errors, which come in a list.
        raise invalid("holds a list of what are no models")
    return models


def _listed(document: dict[str, Json]) -> Json:
    """What stands in place of a list, also where it is one level further down: `{"data": {"models": […]}}`."""
    found = next((document[field] for field in _LISTS if document.get(field) is not None), None)
    if isinstance(found, dict):
        inner = next((found[field] for field in _LISTS if isinstance(found.get(field), list)), None)
        return found if inner is None else inner
    return found


def _model(entry: Json) -> Model | None:
    if not isinstance(entry, dict):
        return None
    given = next((entry[field] for field in _NAMES if entry.get(field) is not None), None)
    if not isinstance(given, str) or not (model_id := name(given)) or len(given) > LONGEST_NAME:
        # Cut, it would be the name of no model.
        return None
    return Model(
        id=model_id,
        name=name(entry.get("name")) or model_id,
        description=storable(entry["description"]) if isinstance(entry.get("description"), str) else "",
        created=count(entry.get("created")) or 0,
        owned_by=name(entry.get("owned_by")) or model_id.partition("/")[0],
    )
