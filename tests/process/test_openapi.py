"""`/docs` alone is enough to integrate: keys, headers, and an example of everything that is sent and received."""

import json
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest_asyncio
from relay import Client, Relay, Surroundings

from answerback.http.openapi_folding import UNKNOWN
from api_document import errors, schema_of

OPEN = {"GET /healthz", "GET /readyz", "POST /v1/llm/callback/{job_id}", "DELETE /v1/session", "POST /inbox/{token}"}
LIMITS = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}


@pytest_asyncio.fixture(loop_scope="session")
async def document(relay: Relay) -> Any:
    return await relay.client().get("/openapi.json")


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def responses(document: Any) -> Iterator[tuple[str, str, Any]]:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            yield name, status, response


def exemplified(document: Any, schema: Any) -> bool:
    """Whether a reader sees at once what goes there."""
    if "$ref" in schema and "examples" not in schema:
        return exemplified(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if schema.keys() & {"example", "examples", "const", "enum", "default"}:
        return True
    if schema.get("type") == "array":
        return exemplified(document, schema["items"])
    if "anyOf" in schema:
        return any(exemplified(document, each) for each in schema["anyOf"])
    parts = schema.get("properties", {}).values()
    return bool(parts) and all(exemplified(document, part) for part in parts)


async def test_every_operation_says_whether_it_asks_for_a_key(document: Any) -> None:
    (name,) = document["components"]["securitySchemes"]
    scheme = document["components"]["securitySchemes"][name]

    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    asked = {each: operation["security"] for each, operation in operations(document)}
    assert {each for each, wanted in asked.items() if wanted == []} == OPEN
    assert {each for each, wanted in asked.items() if wanted == [{}, {name: []}]} == {"GET /metrics"}
    assert all(wanted == [{name: []}] for each, wanted in asked.items() if each not in {*OPEN, "GET /metrics"})


async def test_what_says_that_it_asks_for_a_key_does(document: Any, relay: Relay) -> None:
    stranger = Client(relay, None)
    for name, operation in operations(document):
        method, path = name.split()
        reply = await stranger.request(method, re.sub(r"{\w+}", "x", path))
        asks = operation["security"] not in ([], [{}, *operation["security"][1:]])
        assert (reply.status == 401) == asks or name in OPEN, name


async def test_where_a_service_without_keys_refuses_other_names_the_document_says_so(
    document: Any, surroundings: Surroundings
) -> None:
    async with surroundings.running() as open_to_this_machine:
        page_elsewhere = Client(open_to_this_machine, None)
        for name, operation in operations(document):
            method, path = name.split()
            host = {"Host": "evil.example"}
            reply = await page_elsewhere.request(method, re.sub(r"{\w+}", "x", path), headers=host)

            named = errors(document, operation).get("421")
            assert (named is not None) == (reply.status == 421), name
            if named is not None:
                example = named["value"]
                assert example.keys() == reply.json.keys(), name
                assert example["error"]["code"] == reply.json["error"]["code"], name


async def test_responses_name_their_headers(document: Any) -> None:
    for name, status, response in responses(document):
        named = set(response["headers"])
        assert "x-request-id" in named
        assert "Location" in named or status != "202" or "/resend" in name, (name, status)


async def test_errors_name_their_headers(document: Any) -> None:
    for name, operation in operations(document):
        statuses = errors(document, operation).keys()
        named = set(operation["responses"].get("default", {}).get("headers", ()))
        assert "Retry-After" in named or statuses.isdisjoint({"429", "503"}), name
        assert named >= LIMITS or "429" not in statuses, name
        assert "WWW-Authenticate" in named or "401" not in statuses, name


async def test_the_errors_of_an_operation_are_one_response_that_lists_them(document: Any) -> None:
    for name, operation in operations(document):
        assert all(status < "400" or status == "default" for status in operation["responses"]), name
        shown = errors(document, operation)
        if shown:
            described = operation["responses"]["default"]["description"]
            assert re.findall(r"^\| (\d+) \|", described, re.MULTILINE) == list(shown), name
            assert f": {UNKNOWN}" not in str(shown.values()), name
            for status, example in shown.items():
                assert example["summary"] == f"{status} {example['value']['error']['code']}"


async def test_an_example_of_a_wrong_request_is_what_the_route_answers(document: Any, client: Client) -> None:
    answered = []
    for name, operation in operations(document):
        method, path = name.split()
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        shown = errors(document, operation).get("422")
        if shown is None or not content or "required" not in schema_of(document, content) or "{" in path:
            continue
        reply = await client.request(method, path, json={})

        answered.append(name)
        if reply.status != 403:
            assert reply.status == 422, name
            assert shown["value"]["detail"][0] in reply.json["detail"], name
    assert len(answered) >= 5


async def test_operations_are_named_as_methods_of_a_client_would_be(document: Any) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]

    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []
    assert len(set(names)) == len(names)
    assert {"create_message", "list_jobs", "get_job", "create_chat_completion", "get_models"} <= set(names)


async def test_a_shape_has_one_schema_with_a_plain_name(document: Any) -> None:
    schemas = document["components"]["schemas"]

    assert [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z]*", name)] == []
    shapes = [str(sorted(schema["properties"].items())) for schema in schemas.values() if "properties" in schema]
    assert len(set(shapes)) == len(shapes)
    assert set(re.findall(r"'#/components/schemas/(\w+)'", str(document))) == set(schemas)


async def test_the_form_of_the_benchmark_works_as_it_is_filled_in(document: Any, client: Client) -> None:
    content = document["paths"]["/benchmark"]["post"]["requestBody"]["content"]["multipart/form-data"]
    fields = schema_of(document, content)["properties"]
    form = aiohttp.FormData()
    form.add_field("prompt_file", content["example"]["prompt_file"], filename="prompts.txt")
    for name, schema in fields.items():
        if name != "prompt_file":
            form.add_field(name, json.dumps(schema["default"]).strip('"'))

    reply = await client.request("POST", "/benchmark", data=form)

    assert (reply.status, reply.json["overall"]["calls"]) == (200, 10)


async def test_the_headers_that_are_named_are_there(document: Any, client: Client) -> None:
    reply = await client.post("hello")

    named = document["paths"]["/webhook"]["post"]["responses"]["202"]["headers"]
    assert named.keys() == {"x-request-id", "Location", "Idempotent-Replayed", *LIMITS}
    assert {"x-request-id", "location"} <= {name.lower() for name in reply.headers}


async def test_everything_that_is_sent_and_received_has_an_example(document: Any) -> None:
    missing = []
    for name, operation in operations(document):
        received = {status: each.get("content", {}) for status, each in operation["responses"].items()}
        sent = operation.get("requestBody", {}).get("content", {})
        for place, contents in {**received, "body": sent}.items():
            for kind, content in contents.items():
                shown = content.keys() & {"example", "examples"} or exemplified(document, content["schema"])
                if not shown:
                    missing.append((name, place, kind))
    assert missing == []


async def test_every_parameter_is_described(document: Any) -> None:
    for name, operation in operations(document):
        assert operation["description"], name
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])


async def test_callbacks_have_an_example(document: Any) -> None:
    for path in ("/webhook", "/v1/reviews"):
        (callback,) = document["paths"][path]["post"]["callbacks"].values()
        (operation,) = callback.values()
        content = operation["post"]["requestBody"]["content"]["application/json"]
        assert exemplified(document, content["schema"]), path


async def test_the_docs_need_nobody_else(client: Client) -> None:
    page = (await client.request("GET", "/docs")).raw.decode()

    files = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(files) == 3
    for file in files:
        assert file.startswith("/"), file
        assert (await client.request("GET", file)).status == 200, file
    assert "://" not in re.sub(r"http://www\.w3\.org/\S+", "", page)
