"""`POST /webhook`: what is submitted, and what the caller hears."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient

from answerback.jobs.model import Accepted, Submission
from answerback.kernel.errors import ConversationFull, ToolCallUnknown
from answerback.relay.kind import MessageKind
from answerback.relay.model import Message, ToolOutput
from answerback.relay.routes import router
from builders import TENANT, URL
from in_process import AnyKey, calling

KIND: Any = object.__new__(MessageKind)


class Submitter:
    """Accepts whatever comes, or refuses with `refusal`."""

    def __init__(self) -> None:
        self.submitted: list[Submission] = []
        self.created = True
        self.refusal: Exception | None = None

    async def submit(self, wanted: Submission) -> Accepted:
        if self.refusal is not None:
            raise self.refusal
        self.submitted.append(wanted)
        return Accepted("job_1", 2 if wanted.conversation_key else None, 0, self.created)


@pytest.fixture
def submitter() -> Submitter:
    return Submitter()


@pytest.fixture
async def client(submitter: Submitter) -> AsyncIterator[AsyncClient]:
    async with calling(router(KIND, submitter, AnyKey(), lambda _: None)) as client:  # type: ignore[arg-type]
        yield client


async def test_a_message_is_submitted_and_answered_with_202(client: AsyncClient, submitter: Submitter) -> None:
    body = {"message": "hi", "callback_url": URL, "session_id": 42, "params": {"seed": 7}}

    reply = await client.post("/webhook", json=body, headers={"Idempotency-Key": "k-1"})

    assert reply.status_code == 202
    assert reply.json() == {"job_id": "job_1", "status": "queued", "session_id": "42", "seq": 2}
    assert reply.headers["Location"] == "/v1/jobs/job_1"
    assert "Idempotent-Replayed" not in reply.headers
    assert submitter.submitted == [
        Submission(
            kind=KIND,
            args=Message("hi", session_id="42", params={"seed": 7}),
            tenant_id=TENANT,
            callback_url=URL,
            conversation_key="42",
            idempotency_key="k-1",
        )
    ]


async def test_outputs_of_tools_are_submitted_to_the_conversation_of_the_callback_url(
    client: AsyncClient, submitter: Submitter
) -> None:
    outputs = [{"tool_call_id": "call_1", "output": "sunny"}]

    reply = await client.post("/webhook", json={"tool_outputs": outputs, "callback_url": URL})

    assert (reply.status_code, reply.json()["session_id"]) == (202, None)
    (wanted,) = submitter.submitted
    assert wanted.args == Message(tool_outputs=(ToolOutput("call_1", "sunny"),))
    assert wanted.conversation_key == URL


async def test_a_stateless_message_has_no_place(client: AsyncClient, submitter: Submitter) -> None:
    reply = await client.post("/webhook", json={"message": "hi", "callback_url": URL, "stateless": True})

    assert (reply.json()["session_id"], reply.json()["seq"]) == (None, None)
    assert submitter.submitted[0].conversation_key is None


async def test_what_was_accepted_before_says_so(client: AsyncClient, submitter: Submitter) -> None:
    submitter.created = False

    reply = await client.post("/webhook", json={"message": "hi", "callback_url": URL})

    assert (reply.status_code, reply.headers["Idempotent-Replayed"]) == (202, "true")


async def test_an_output_for_an_unknown_call_is_refused_by_its_place(client: AsyncClient, submitter: Submitter) -> None:
    submitter.refusal = ToolCallUnknown("tool_outputs.0.tool_call_id", "no such call")

    reply = await client.post(
        "/webhook", json={"tool_outputs": [{"tool_call_id": "c", "output": ""}], "callback_url": URL}
    )

    assert reply.status_code == 422
    assert reply.json()["error"]["code"] == "tool_call_unknown"
    assert [each["loc"] for each in reply.json()["detail"]] == [["body", "tool_outputs", 0, "tool_call_id"]]


async def test_a_full_conversation_is_429(client: AsyncClient, submitter: Submitter) -> None:
    submitter.refusal = ConversationFull("too many", 100)

    reply = await client.post("/webhook", json={"message": "hi", "callback_url": URL})

    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "conversation_full")


async def test_the_document_describes_the_body_the_202_and_the_callback(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    operation = document["paths"]["/webhook"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert {"message", "tool_outputs", "callback_url", "params"} <= schema["properties"].keys()
    (callback,) = operation["callbacks"]["message_answered"].values()
    assert callback["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Callback")
    assert {"finish_reason", "tool_calls"} <= document["components"]["schemas"]["Callback"]["properties"].keys()
