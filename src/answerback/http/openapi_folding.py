"""Error responses of the OpenAPI document, folded: an operation has one, which lists its statuses and has an example of
each. A response of its own for every status would bury what a route is for, in `/docs` and in generated clients."""

from collections.abc import Iterator, Mapping
from typing import Any

from answerback.http.plain_words import plain_words

FOLDED = "default"
LARGEST_SUCCESS = 399
ABOUT_THE_ROUTE = frozenset({"404", "409"})
VALIDATION_ERROR = "validation_error"
UNKNOWN = "is not valid"
"""Where the document does not say what could be wrong."""


def fold(operation: dict[str, Any], examples: dict[str, Any]) -> None:
    """Folds an operation's errors. Examples that are not about the route go into `examples`, by their codes."""
    errors = {
        status: response
        for status, response in operation["responses"].items()
        if status.isdigit() and int(status) > LARGEST_SUCCESS
    }
    if not errors:
        return
    rest = {status: response for status, response in operation["responses"].items() if status not in errors}
    shown: dict[str, Any] = {}
    headers: dict[str, Any] = {}
    schema: Any = None
    for status, response in errors.items():
        content = response["content"]["application/json"]
        schema = content["schema"]
        headers |= response["headers"]
        shown[status] = _example(status, _filled(operation, content["example"]), examples)
    folded = {
        "description": _listed(errors),
        "headers": headers,
        "content": {"application/json": {"schema": schema, "examples": shown}},
    }
    operation["responses"] = {**rest, FOLDED: folded}


def _listed(errors: Mapping[str, Any]) -> str:
    rows = "".join(f"\n| {status} | {response['description']} |" for status, response in errors.items())
    return f"An error; `error.code` says which.\n\n| status | when |\n| --- | --- |{rows}"


def _example(status: str, body: Mapping[str, Any], examples: dict[str, Any]) -> Mapping[str, Any]:
    code = body["error"]["code"]
    example = {"summary": f"{status} {code}", "value": body}
    if status in ABOUT_THE_ROUTE or code == VALIDATION_ERROR:
        return example
    name = code if "detail" in body else f"openai.{code}"
    if examples.setdefault(name, example) != example:
        return example
    return {"$ref": f"#/components/examples/{name}"}


def _filled(operation: Mapping[str, Any], body: Mapping[str, Any]) -> Mapping[str, Any]:
    """An example without a message becomes one about a field that the operation has."""
    if body["error"]["message"]:
        return body
    entry = next(_wrong(operation))
    message = f"{'.'.join(step for step in entry['loc'] if step != 'body')}: {entry['msg']}"
    if "detail" not in body:
        return {"error": {**body["error"], "message": message, "param": entry["loc"][-1]}}
    return {"detail": [entry], "error": {**body["error"], "message": message}}


def _wrong(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a request may be refused for, the plainest first, as the entries of a `detail`."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for field in content["schema"].get("required", ()):
            yield _entry("missing", ["body", field])
    for parameter in operation.get("parameters", ()):
        yield from _wrong_in(parameter)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for field, schema in content["schema"].get("properties", {}).items():
            yield from _wrong_in({"in": "body", "name": field, "schema": schema})
    yield {"type": "value_error", "loc": ["query", "parameter"], "msg": UNKNOWN}


def _wrong_in(parameter: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    where = [parameter["in"], parameter["name"]]
    for schema in (parameter["schema"], *parameter["schema"].get("anyOf", ())):
        if (most := schema.get("maximum")) is not None:
            yield _entry("less_than_equal", where, le=most)
        if (least := schema.get("minimum")) is not None:
            yield _entry("greater_than_equal", where, ge=least)
        if (longest := schema.get("maxLength")) is not None:
            yield _entry("string_too_long", where, max_length=longest)
        if schema.get("type") == "boolean":
            yield _entry("bool_parsing", where)
    if "enum" in parameter["schema"]:
        words = f"must be one of {', '.join(parameter['schema']['enum'])}"
        yield {"type": "enum", "loc": where, "msg": words}
    if parameter["name"] == "Idempotency-Key":
        words = "must be 1 to 255 printable ASCII characters"
        yield {"type": "idempotency_key", "loc": where, "msg": words}


def _entry(kind: str, loc: list[str], **facts: int) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": plain_words({"type": kind, "ctx": facts})}
