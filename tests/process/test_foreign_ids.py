"""Every route of the OpenAPI document with an id in its path, asked by another tenant: nothing is there."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import product
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from answerback.testing.receiver import Receiver
from answerback.testing.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_EVERYBODY = {"/v1/models/{model_id}", "/v1/benchmarks/{name}", "/inbox/{token}"}
"""Models and benchmarks are the service's; every sender that knows the address of an inbox may use it."""

SAID = "known to one tenant alone"

BODIES: Sequence[Any] = (
    {},
    {"metadata": {"a": "b"}},
    {"items": [{"role": "user", "content": "foreign"}]},
    {"event_type": "response.completed"},
    {"name": "foreign"},
)


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"AUTH_TOKEN": "the-key", "OPERATOR_TOKEN": "the-operator"}


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


async def called(http: aiohttp.ClientSession, method: str, path: str, body: Any = None, **headers: str) -> Any:
    async with http.request(method, path, json=body, headers=headers) as response:
        text = await response.text()
        assert response.ok, text
        return json.loads(text)


async def test_no_id_of_another_tenant_is_known_to_any_route(
    service: Service, http: aiohttp.ClientSession, receiver: Receiver
) -> None:
    # Given one tenant's responses, conversations, endpoints and messages, and another tenant
    body = {"model": "fake", "input": SAID, "background": True, "stream": True}
    async with http.post("/v1/responses", json=body) as response:
        streamed = str(response_id(await response.text()))
    whole = await called(http, "POST", "/v1/responses", {"model": "fake", "input": SAID})
    talk = await called(http, "POST", "/v1/conversations", {"items": [{"role": "user", "content": SAID}]})
    items = await called(http, "GET", f"/v1/conversations/{talk['id']}/items")
    url = receiver.url("/mine")
    endpoint = {"name": "mine", "url": url, "event_types": ["response.completed"]}
    endpoint = await called(http, "POST", "/v1/webhook_endpoints", endpoint)
    message = {"message": SAID, "callback_url": url, "session_id": "mine"}
    job = (await called(http, "POST", "/webhook", message))["job_id"]
    await receiver.wait_for(1)
    delivery = (await called(http, "GET", f"/v1/jobs/{job}"))["delivery"]["id"]
    operator = {"Authorization": "Bearer the-operator"}
    key = await called(http, "POST", "/v1/keys", {"name": "stranger"}, **operator)
    ids = {
        "response_id": [whole["id"], streamed],
        "conversation_id": [talk["id"]],
        "item_id": [items["first_id"], whole["output"][0]["id"]],
        "webhook_endpoint_id": [endpoint["id"]],
        "job_id": [job, whole["id"].replace("resp_", "job_")],
        "delivery_id": [delivery],
        "key": ["mine"],
        "key_id": [key["id"]],
    }

    # When that one asks for them on each route
    document = await called(http, "GET", "/openapi.json")
    tried = 0
    async with aiohttp.ClientSession(service.url, headers={"Authorization": f"Bearer {key['key']}"}) as stranger:
        for method, template in operations(document):
            for body in BODIES if method == "post" else (None,):
                for path in paths(template, ids):
                    async with stranger.request(method, path, json=body) as response:
                        # Then nothing is there: a body may be refused before, and keys are for operators
                        assert response.status in (400, 403, 404, 422), (method, path, body, response.status)
                        assert SAID not in await response.text()
                        tried += 1

    assert tried > 60
    assert await called(http, "GET", f"/v1/responses/{whole['id']}") == whole
    assert await called(http, "GET", f"/v1/conversations/{talk['id']}/items") == items
    assert (await called(http, "GET", f"/v1/webhook_endpoints/{endpoint['id']}"))["name"] == "mine"


def response_id(events: str) -> Any:
    """That of the first event of a stream."""
    return json.loads(events.split("data: ", 1)[1].split("\n", 1)[0])["response"]["id"]


def operations(document: Any) -> list[tuple[str, str]]:
    """Methods and templates of all routes with something in their path."""
    return [
        (method, template)
        for template, methods in document["paths"].items()
        if "{" in template and template not in OF_EVERYBODY
        for method in methods
    ]


def paths(template: str, ids: Mapping[str, Sequence[str]]) -> list[str]:
    """The template with every combination of ids; a parameter that is new here fails."""
    names = re.findall(r"{(\w+)", template)
    found = []
    for chosen in product(*(ids[name] for name in names)):
        path = template
        for name, value in zip(names, chosen, strict=True):
            path = re.sub(rf"{{{name}[^}}]*}}", value, path)
        found.append(path)
    return found
