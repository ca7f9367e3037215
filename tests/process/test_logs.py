"""The log: one JSON line a stage, each with the job's id, and nothing that anybody said or keeps secret."""

import secrets
from typing import Any

from relay import AUTH_TOKEN, PROVIDER_KEY, SECRET, Client

from answerback.settings import OPENROUTER_MODEL
from answerback.testing import behaviours, replies
from answerback.testing.receiver import Receiver
from eventually import PATIENCE


def marker(name: str) -> str:
    """A text that is nowhere else."""
    return f"marker-{name}-{secrets.token_hex(8)}"


def lines_of(client: Client, job_id: str) -> list[dict[str, Any]]:
    return [line for line in client.relay.log_lines() if line.get("job") == job_id]


async def logged(client: Client, event: str, **fields: object) -> dict[str, Any]:
    """Waits for a line with these fields."""

    service, mark = client.relay.service, f'"event":"{event}"'
    while True:
        looked_at = service.logs.count(mark)
        for line in client.relay.log_lines():
            if line.items() >= {"event": event, **fields}.items():
                return line
        await service.until_logged(mark, looked_at + 1, PATIENCE)


async def silent_about(client: Client, *markers: str) -> None:
    """Asserts that the log holds none of these, once everything said so far must have been written."""
    request_id = secrets.token_hex(8)
    await client.request("GET", "/healthz", headers={"X-Request-Id": request_id})
    await logged(client, "request", request_id=request_id)
    for each in markers:
        assert each not in client.relay.service.logs


async def test_every_line_is_json_with_time_level_and_event(client: Client) -> None:
    await client.say()
    await client.callbacks()

    lines = client.relay.log_lines()

    assert lines
    assert all(line.keys() >= {"time", "level", "event"} for line in lines)


async def test_the_start_names_what_one_looks_for_first(client: Client) -> None:
    line = await logged(client, "listening")

    service = client.relay.service
    assert (line["url"], line["docs"]) == (service.url, f"{service.url}/docs")
    assert line["database"] == str(service.database)
    assert line["provider"] == (await client.request("GET", "/healthz")).json["provider"]
    assert (line["model"], line["mock"]) == (OPENROUTER_MODEL, False)


async def test_a_message_leaves_one_line_a_stage(client: Client) -> None:
    job_id = (await client.say(session_id="s"))["job_id"]
    await logged(client, "delivered", job=job_id)

    accepted, answered, delivered = lines_of(client, job_id)

    assert [line["event"] for line in (accepted, answered, delivered)] == ["accepted", "answered", "delivered"]
    assert {line["level"] for line in (accepted, answered, delivered)} == {"info"}
    assert (accepted["kind"], accepted["seq"]) == ("message", 1)
    assert (answered["attempt"], answered["model"]) == (1, "openai/gpt-oss-20b:free")
    assert answered["tokens"] > 0
    assert (delivered["attempt"], delivered["status"]) == (1, 200)
    assert delivered["delivery"].startswith("msg_")


async def test_a_request_leaves_one_line_with_its_id_and_status(client: Client) -> None:
    request_id = secrets.token_hex(8)
    await client.request("GET", "/v1/jobs/job_nothing", headers={"X-Request-Id": request_id})

    line = await logged(client, "request", request_id=request_id)

    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/jobs/job_nothing", 404)
    assert line["level"] == "warning"
    assert line["ms"] >= 0


async def test_a_request_and_what_it_left_in_the_log_have_its_id(client: Client) -> None:
    request_id, planted = secrets.token_hex(8), marker("unanswered")
    accepted = await client.post(planted, headers={"X-Request-Id": request_id})
    job_id = accepted.json["job_id"]

    assert (await logged(client, "request", request_id=request_id))["path"] == "/webhook"
    assert (await logged(client, "accepted", job=job_id))["request_id"] == request_id
    # The job's own lines, also where it began at once, are found by its id.
    assert "request_id" not in await logged(client, "delivered", job=job_id)
    assert "request_id" not in await logged(client, "answered", job=job_id)


async def test_a_refused_request_is_logged_with_the_code_of_its_error(client: Client) -> None:
    for path, body, code in (
        ("/webhook", {"message": "hi"}, "validation_error"),
        ("/v1/chat/completions", {}, "missing_required_parameter"),
        ("/nowhere", {}, "not_found"),
    ):
        request_id = secrets.token_hex(8)
        await client.request("POST", path, json=body, headers={"X-Request-Id": request_id})

        assert (await logged(client, "request", request_id=request_id))["code"] == code


async def test_a_call_of_the_llm_that_fails_is_logged_under_the_request_that_waits_for_it(client: Client) -> None:
    request_id, question = secrets.token_hex(8), marker("question")
    client.relay.llm.on(question, replies.status(401, {"error": {"message": "no"}}))
    await client.request("POST", "/api/ask", json={"question": question}, headers={"X-Request-Id": request_id})

    assert (await logged(client, "llm_call_failed", request_id=request_id))["code"] == "upstream_auth"


async def test_nothing_that_was_said_is_logged(client: Client) -> None:
    said = {name: marker(name) for name in ("message", "system", "metadata", "answer", "receiver", "query")}
    async with Receiver(SECRET) as receiver:
        receiver.on(client.path, behaviours.status(500, said["receiver"]), behaviours.status(200, said["receiver"]))
        client.relay.llm.on(said["message"], replies.say(said["answer"]))
        accepted = await client.say(
            message=said["message"],
            system=said["system"],
            metadata={"key": said["metadata"], said["metadata"]: 1},
            callback_url=receiver.url(f"{client.path}?token={said['query']}"),
        )
        await client.settled(accepted["job_id"])
        await client.get(client.conversation_path(receiver.url(f"{client.path}?token={said['query']}")))

    await silent_about(client, *said.values())


async def test_why_a_request_is_refused_is_logged_without_secrets_and_with_the_providers_address(
    client: Client,
) -> None:
    key, why = marker("sk-key"), "temperature must be below 2"
    error = {"error": {"message": f"{why} (Bearer {key})", "code": "invalid_value", "param": "temperature"}}
    said, model = marker("message"), marker("model")
    client.relay.llm.on(said, replies.status(400, error))
    job_id = (await client.say(message=said, model=model))["job_id"]

    line = await logged(client, "failed", job=job_id)

    assert line["code"] == "upstream_refused"
    assert line["reason"] == f"{client.relay.llm.base_url}: {why} (Bearer [redacted])"
    call = await logged(client, "llm_call_failed", model=model)
    assert (call["param"], call["status"], call["reason"]) == ("temperature", 400, line["reason"])
    await silent_about(client, said, key)


async def test_what_an_upstream_says_of_its_own_trouble_is_logged_for_the_operator_only(client: Client) -> None:
    said, trouble, model = marker("message"), marker("trouble"), marker("model")
    client.relay.llm.on(said, replies.status(401, {"error": {"message": f"no such account: {trouble}"}}))
    job_id = (await client.say(message=said, model=model))["job_id"]
    await logged(client, "failed", job=job_id)

    line = await logged(client, "llm_call_failed", code="upstream_auth", model=model)

    assert trouble in line["upstream"]
    assert client.relay.llm.base_url in line["reason"]
    job = await client.settled(job_id)
    assert trouble not in str(job)
    assert client.relay.llm.base_url not in str(job), "its sender is no operator"


async def test_nothing_of_a_refused_body_is_logged(client: Client) -> None:
    planted = marker("refused")
    for body in (
        {"message": [planted]},
        {"message": "hi", planted: 1},
        client.body(message=planted, session_id=planted * 9),
        client.body(message=planted, callback_url=f"http://{planted}@127.0.0.1/{planted}"),
        client.body(message=planted, callback_url=f"http://10.0.0.1/{planted}"),
    ):
        assert (await client.request("POST", "/webhook", json=body)).status == 422
    data = f'{{"message": "{planted}'.encode()
    assert (await client.request("POST", "/webhook", data=data)).status == 422

    await silent_about(client, planted)


async def test_no_key_and_no_secret_is_logged(client: Client) -> None:
    wrong, idempotency = marker("wrong"), marker("idempotency")
    await Client(client.relay, wrong).post()
    await Client(client.relay, AUTH_TOKEN).post()
    await client.post(headers={"Idempotency-Key": idempotency})
    await client.post("other", headers={"Idempotency-Key": idempotency})
    await client.callbacks()

    assert client.calls[0].headers["Authorization"] == f"Bearer {PROVIDER_KEY}"
    secret = SECRET.removeprefix("whsec_")
    await silent_about(client, str(client.key), wrong, AUTH_TOKEN, PROVIDER_KEY, secret, idempotency)
