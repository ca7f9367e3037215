"""`/openapi.json`, `/docs`, `/healthz` and `/readyz`: the service's description of itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from relay import Client, Relay, problem

from answerback import __version__
from answerback.testing import replies
from api_document import errors, schema_of

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}


@pytest_asyncio.fixture(loop_scope="session")
async def document(relay: Relay) -> Any:
    return await relay.client().get("/openapi.json")


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def nodes(value: Any, path: str = "#") -> Iterator[tuple[str, Any]]:
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from nodes(child, f"{path}/{key}")


def schemas(document: Any) -> Iterator[tuple[str, Any]]:
    """Every schema of the document."""
    for path, node in nodes(document):
        inside = re.search(r"/(schema|items|additionalProperties|properties/[^/]+|(anyOf|allOf|oneOf)/\d+)$", path)
        if (inside or re.fullmatch(r"#/components/schemas/[^/]+", path)) and isinstance(node, dict):
            yield path, node


def resolve(document: Any, schema: Any) -> Any:
    """The schema that a reference leads to."""
    found = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def body_schema(document: Any, response: Any) -> Any:
    return resolve(document, response["content"]["application/json"]["schema"])


async def test_the_document_is_openapi_3_1_with_all_that_that_requires(document: Any) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"] == "Answerback"
    assert document["info"]["version"] == __version__
    assert all(path.startswith("/") for path in document["paths"])
    for path, method, operation in operations(document):
        assert operation["responses"], (path, method)
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|default", status)
            assert response["description"]


OPENAIS = ("chat/", "completions", "conversations", "embeddings", "models", "responses", "webhook_")
OPENAI_PATHS = tuple(f"/v1/{each}" for each in OPENAIS)


async def test_every_reference_leads_somewhere(document: Any) -> None:
    references = [node for _, node in nodes(document) if isinstance(node, dict) and "$ref" in node]

    assert references
    for reference in references:
        assert isinstance(resolve(document, reference), dict)


async def test_every_schema_is_json_schema(document: Any) -> None:
    for path, schema in schemas(document):
        types = schema.get("type", "object")
        assert set(types if isinstance(types, list) else [types]) <= set(TYPES), path
        assert "nullable" not in schema, path
        assert isinstance(schema.get("required", []), list), path
        assert "properties" not in schema or set(schema.get("required", [])) <= schema["properties"].keys(), path
        assert "example" not in schema, path


async def test_every_operation_has_an_id_of_its_own_a_summary_and_its_path_parameters(document: Any) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        given = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert given == set(re.findall(r"{(\w+)}", path)), (path, method)


async def test_every_operation_documents_its_errors_in_our_shape(document: Any) -> None:
    for path, method, operation in operations(document):
        if path == "/healthz":
            continue
        assert errors(document, operation), (path, method)
        wanted = "OpenAIProblem" if path.startswith(OPENAI_PATHS) else "Problem"
        assert body_schema(document, operation["responses"]["default"])["title"] == wanted, (path, method)


async def test_every_v1_operation_documents_401_and_every_one_with_an_id_404(document: Any) -> None:
    for path, method, operation in operations(document):
        if path.startswith("/v1/"):
            documented = errors(document, operation)
            assert "401" in documented, (path, method)
            assert "404" in documented or "{" not in path, (path, method)


async def test_the_webhook_operation_documents_every_response(document: Any) -> None:
    operation = document["paths"]["/webhook"]["post"]

    assert operation["responses"].keys() == {"202", "default"}
    assert errors(document, operation).keys() == {"401", "409", "413", "415", "421", "422", "429", "503"}
    assert [each["name"] for each in operation["parameters"]] == ["Idempotency-Key"]


async def test_the_example_of_the_webhook_operation_fits_its_schema(document: Any) -> None:
    content = document["paths"]["/webhook"]["post"]["requestBody"]["content"]["application/json"]

    schema = schema_of(document, content)
    assert content["example"].keys() <= schema["properties"].keys()
    assert set(schema["required"]) == {"callback_url"}
    assert schema["if"] == {"not": {"required": ["message"]}}
    assert schema["then"] == {"required": ["tool_outputs"]}
    assert schema["additionalProperties"] is False


async def test_the_schema_refuses_what_the_webhook_route_refuses(document: Any) -> None:
    content = document["paths"]["/webhook"]["post"]["requestBody"]["content"]["application/json"]
    schema = schema_of(document, content)

    assert re.match(schema["properties"]["callback_url"]["pattern"], "HTTPS://example.com/callback")
    assert not re.match(schema["properties"]["callback_url"]["pattern"], "ftp://example.com/callback")
    assert schema["not"]["required"] == ["stateless", "session_id"]


async def test_the_callback_is_documented_with_its_headers(document: Any) -> None:
    (callback,) = document["paths"]["/webhook"]["post"]["callbacks"].values()
    operation = callback["{$request.body#/callback_url}"]["post"]

    names = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
    assert names == {"webhook-id", "webhook-timestamp", "webhook-signature", "X-Signature"}
    assert operation["responses"].keys() == {"200", "default"}


async def test_responses_have_the_documented_fields(client: Client, document: Any) -> None:
    accepted = await client.say()
    job = await client.settled(accepted["job_id"])
    (callback,) = await client.callbacks()
    page = await client.get("/v1/jobs")
    conversation = await client.get(client.conversation_path(client.callback_url))

    for name, came in {
        "AcceptedMessage": accepted,
        "JobDetails": job,
        "JobAttempt": job["attempts"][0],
        "DeliveryBody": job["delivery"],
        "JobPage": page,
        "JobBody": page["items"][0],
        "Session": conversation,
        "SessionMessage": conversation["messages"][0],
        "Callback": callback.json,
    }.items():
        schema = document["components"]["schemas"][name]
        assert came.keys() <= schema["properties"].keys() or schema.get("additionalProperties"), name
        assert came.keys() >= set(schema["required"]), name


async def test_a_failure_has_the_documented_fields(client: Client, document: Any) -> None:
    client.relay.llm.on(client.text("bad"), replies.status(400))
    await client.say("bad")

    (callback,) = await client.callbacks()
    schema = document["components"]["schemas"]["Callback"]
    assert callback.json.keys() == {*schema["required"], "error"}


async def test_the_docs_are_a_page(client: Client) -> None:
    reply = await client.request("GET", "/docs")

    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/html")
    assert b"/openapi.json" in reply.raw


async def test_healthz_names_the_provider(client: Client) -> None:
    body = await client.get("/healthz")

    assert body == {"status": "ok", "version": __version__, "provider": body["provider"], "mock": False}


async def test_readyz_says_that_it_is_ready(client: Client) -> None:
    assert await client.get("/readyz") == {"status": "ready"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_may_ask_for_the_head_alone(client: Client, path: str) -> None:
    reply = await client.request("HEAD", path)

    assert (reply.status, reply.raw) == (200, b"")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
async def test_health_and_documents_ask_for_no_key(relay: Relay, path: str) -> None:
    stranger = Client(relay, None)

    assert (await stranger.request("GET", path)).status == 200
    problem(await stranger.request("GET", "/v1/jobs"), 401, "unauthorized")
