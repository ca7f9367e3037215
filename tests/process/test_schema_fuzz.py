"""Every operation of the OpenAPI document, called with what fits it and what does not: no 5xx, nothing undocumented."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import hypothesis
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from answerback.testing.receiver import Receiver
from answerback.testing.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPERATIONS = 20
"""At least so many there are; a document that lost some would be fuzzed in no time."""

TERMS = re.compile(r"(Input|String|List|Dictionary|Keys) should|Field required|Value error|Input tag|after validation")

ENDLESS = {"GET /v1/feed"}
"""Its response has no end that a call could wait for."""


def status_is_documented(_: Any, response: Any, case: Any) -> None:
    """One response stands for all errors; its examples are of those that the operation answers."""
    responses = case.operation.definition.raw["responses"]
    errors = responses.get("default", {}).get("content", {}).get("application/json", {}).get("examples", {})
    assert str(response.status_code) in {*responses, *errors}, f"{response.status_code} is not documented"


def what_is_wrong_is_said_plainly(_: Any, response: Any, __: Any) -> None:
    """Not as the library says it that checks requests."""
    if 400 <= response.status_code < 500:
        found = TERMS.search(response.text)
        assert found is None, f"{found and found.group()!r} is not for users: {response.text[:500]}"


CHECKS = [
    what_is_wrong_is_said_plainly,
    not_a_server_error,
    status_is_documented,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CAREFUL = hypothesis.settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
ADDRESSES = ("callback_url", "webhook_url", "url")
SIZES = ("runs", "concurrency")
TOKEN = "operator-token-1b7e"
"""Of a service without keys the first key that is made would close it to all further calls."""
AUTH = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Known:
    """What is there to be found: values for path parameters by name, and the tokens of reviews that await an LLM."""

    ids: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as started:
        yield started


@pytest.fixture(scope="module")
def closed() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/closed"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    settings = {
        "MOCK_MODE": "true",
        "OPERATOR_TOKEN": TOKEN,
        "MOCK_DELAY_SECONDS": "0",
        "RATE_LIMIT": "0",
        "ENABLE_SIMULATION": "true",
        "LLM_API_URL": receiver.url("/llm"),
        "CONVERSATION_MAX_PENDING": "5",
        "BENCHMARKS_DIR": str(tmp_path_factory.mktemp("benchmarks")),
    }
    async with Service(settings) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(service: Service, receiver: Receiver, closed: str) -> Known:
    """Messages that were answered, reviews that their LLM was asked for, and keys."""
    taken = receiver.url("/taken")
    async with aiohttp.ClientSession(service.url, headers=AUTH) as http:

        async def call(method: str, path: str, body: Any = None) -> Any:
            async with http.request(method, path, json=body) as response:
                assert response.ok, await response.text()
                return await response.json()

        for number in range(3):
            await call("POST", "/webhook", {"message": "hi", "callback_url": taken, "session_id": f"known-{number}"})
        for number in range(6):
            await call("POST", "/v1/reviews", {"submission_id": str(number), "file_refs": [], "webhook_url": closed})
        came = await receiver.wait_for(9)
        jobs = [each.json["job_id"] for each in came if each.path == "/taken"]
        deliveries = [(await call("GET", f"/v1/jobs/{job}"))["delivery"]["id"] for job in jobs]
        models = [model["id"] for model in await call("GET", "/models")]
        said = [(await call("POST", "/v1/responses", {"input": f"known {number}"}))["id"] for number in range(3)]
        talk = {"items": [{"role": "user", "content": "known"}]}
        talks = [(await call("POST", "/v1/conversations", talk))["id"] for _ in range(3)]
        spoken = [(await call("GET", f"/v1/conversations/{each}/items"))["first_id"] for each in talks]
        keys = [(await call("POST", "/v1/keys", {"name": f"known-{number}"}))["id"] for number in range(3)]
        inbox = (await call("POST", "/v1/inbox"))["url"]
        endpoint = {"name": "known", "url": closed, "event_types": ["message.failed"]}
        endpoints = [(await call("POST", "/v1/webhook_endpoints", endpoint))["id"] for _ in range(3)]
    asked = {each.json["job_id"]: each.json["callback_url"] for each in came if each.path == "/llm"}
    tokens = {job: parse_qs(urlsplit(address).query)["token"][0] for job, address in asked.items()}
    ids = {
        "job_id": jobs + list(tokens),
        "delivery_id": deliveries,
        "model_id": models,
        "key_id": keys,
        "response_id": said,
        "conversation_id": talks,
        "item_id": spoken,
    }
    ids["webhook_endpoint_id"] = endpoints
    ids["token"], ids["name"] = [inbox.rpartition("/")[2]], ["benchmark-20260101T120000Z-00000000"]
    return Known({**ids, "key": [f"known-{number}" for number in range(3)]}, tokens)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operations(service: Service) -> Sequence[schemathesis.APIOperation[Any, Any, Any, Any]]:
    async with aiohttp.ClientSession(service.url) as http, http.get("/openapi.json") as response:
        document = await response.json()
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config())
    found = [each.ok() for each in schema.get_all_operations()]
    return [each for each in found if each.label not in ENDLESS]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mode", GenerationMode)
async def test_every_operation_answers_as_documented(
    operations: Sequence[Any], service: Service, known: Known, closed: str, mode: GenerationMode
) -> None:
    assert len(operations) >= OPERATIONS
    wrong: list[BaseException] = []
    for operation in operations:
        try:
            await asyncio.to_thread(fuzz, operation, mode, service.url, known, closed)
        except hypothesis.errors.Unsatisfiable:
            # An operation that takes nothing cannot be called wrongly.
            assert mode is GenerationMode.NEGATIVE, operation.label
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - one failure must not hide another
            error.add_note(f"{operation.label}, {mode.value}")
            wrong.append(error)

    if wrong:
        raise BaseExceptionGroup("undocumented", wrong)
    assert service.running
    assert '"level":"error"' not in service.logs


def fuzz(operation: Any, mode: GenerationMode, url: str, known: Known, closed: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(AUTH)

        @CAREFUL
        @hypothesis.given(cases(operation, mode), st.none() | st.integers(0, 100))
        def answers_as_documented(case: Any, place: int | None) -> None:
            case.body = at_home(case.body, closed)
            if place is not None:
                make_sense_of(case, known, place)
            response = case.call(base_url=url, session=session)
            case.validate_response(response, checks=checks_of(response))

        answers_as_documented()


def checks_of(response: Any) -> list[Any]:
    """Of an event stream the document says that it is a text; schemathesis would take that for a word on each event."""
    streamed = response.headers.get("content-type", [""])[0].startswith("text/event-stream")
    return [check for check in CHECKS if not (streamed and check is response_schema_conformance)]


def cases(operation: Any, mode: GenerationMode) -> st.SearchStrategy[Any]:
    return operation.as_strategy(generation_mode=mode)


def make_sense_of(case: Any, known: Known, place: int) -> None:
    """Makes a case about something that is there; what is made up seldom is."""
    if isinstance(case.body, dict) and "prompt_file" in case.body:
        case.body["prompt_file"] = b"one\ntwo\n"
    for name in case.path_parameters:
        found = known.ids[name]
        case.path_parameters[name] = value = found[place % len(found)]
        if case.path.startswith("/v1/llm/callback") and value in known.tokens:
            case.query["token"] = known.tokens[value]


def at_home(value: Any, closed: str) -> Any:
    """The body, but no address in it leads out of this machine, and no benchmark takes long."""
    if isinstance(value, list):
        return [at_home(each, closed) for each in value]
    if not isinstance(value, Mapping):
        return value
    body = {name: at_home(each, closed) for name, each in value.items()}
    for name in ADDRESSES:
        if isinstance(body.get(name), str):
            body[name] = closed
    for name in SIZES:
        if isinstance(body.get(name), int) and body[name] > 3:
            body[name] = 3
    return body
