"""Reading the service's OpenAPI document."""

from typing import Any


def errors(document: Any, operation: Any) -> dict[str, Any]:
    """The example of each error that an operation documents, by its status: one response stands for all."""
    folded = operation["responses"].get("default")
    if folded is None:
        return {}
    shown = folded["content"]["application/json"]["examples"]
    shared = document["components"]["examples"]
    return {
        status: shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for status, each in shown.items()
    }


def schema_of(document: Any, content: Any) -> Any:
    """The schema of a body's content, resolved."""
    schema = content["schema"]
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
