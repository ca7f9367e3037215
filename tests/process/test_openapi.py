"""`/docs` alone is enough to integrate: keys, headers, and an example of everything that is sent and received."""

import re
from collections.abc import Iterator
from typing import Any

import pytest_asyncio
from relay import Client, Relay, Surroundings

OPEN = {"/healthz", "/readyz", "/v1/llm/callback/{job_id}"}
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
    assert {each.split()[1] for each, wanted in asked.items() if wanted == []} == OPEN
    assert {each for each, wanted in asked.items() if wanted == [{}, {name: []}]} == {"GET /metrics"}
    assert all(wanted == [{name: []}] for each, wanted in asked.items() if each.split()[1] not in {*OPEN, "/metrics"})


async def test_what_says_that_it_asks_for_a_key_does(document: Any, relay: Relay) -> None:
    stranger = Client(relay, None)
    for name, operation in operations(document):
        method, path = name.split()
        reply = await stranger.request(method, re.sub(r"{\w+}", "x", path))
        asks = operation["security"] not in ([], [{}, *operation["security"][1:]])
        assert (reply.status == 401) == asks or path in OPEN, name


async def test_where_a_service_without_keys_refuses_other_names_the_document_says_so(
    document: Any, surroundings: Surroundings
) -> None:
    async with surroundings.running() as open_to_this_machine:
        page_elsewhere = Client(open_to_this_machine, None)
        for name, operation in operations(document):
            method, path = name.split()
            host = {"Host": "evil.example"}
            reply = await page_elsewhere.request(method, re.sub(r"{\w+}", "x", path), headers=host)

            named = operation["responses"].get("421")
            assert (named is not None) == (reply.status == 421), name
            if named is not None:
                example = named["content"]["application/json"]["example"]
                assert example.keys() == reply.json.keys(), name
                assert example["error"]["code"] == reply.json["error"]["code"], name


async def test_responses_name_their_headers(document: Any) -> None:
    for name, status, response in responses(document):
        named = set(response["headers"])
        assert "x-request-id" in named
        assert "Retry-After" in named or status not in ("429", "503"), (name, status)
        assert named >= LIMITS or status != "429", (name, status)
        assert "WWW-Authenticate" in named or status != "401", (name, status)
        assert "Location" in named or status != "202" or "/resend" in name, (name, status)


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
                shown = "example" in content or exemplified(document, content["schema"])
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
