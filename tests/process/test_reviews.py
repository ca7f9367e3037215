"""Reviews by an LLM that answers by webhook: asked for, handed over, answered, delivered."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from reviewing import FILE, VERDICT, Desk

from answerback.accounts.model import hash_key
from answerback.kernel.clock import SystemClock
from answerback.testing import behaviours
from answerback.testing.push import PushLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service
from api_document import errors, schema_of
from databases import SqliteDatabase

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="
OTHER = {"Authorization": "the-other-key"}
GOOD = {"ok": True, "result": VERDICT}
RECEIVED = {"received": True, "relayed": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def push() -> AsyncIterator[PushLLM]:
    async with PushLLM() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(secret=SECRET) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(push: PushLLM) -> AsyncIterator[Service]:
    """With two keys, each a tenant."""
    made = Service(
        {
            "LLM_API_URL": push.url,
            "LLM_API_KEY": "sk-push",
            "AUTH_TOKEN": "the-key",
            "CALLBACK_HMAC_SECRET": SECRET,
            "CALLBACK_BACKOFF_SECONDS": "0.1",
            "CALLBACK_MAX_RETRIES": "3",
            "ENABLE_SIMULATION": "true",
            "MAX_BODY_BYTES": "50000",
            "RATE_LIMIT": "0",
        }
    )
    stores = await SqliteDatabase(made.database).open(SystemClock())
    await stores.accounts.create_key("other", hash_key(OTHER["Authorization"]))
    await stores.close()
    async with made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(service: Service, receiver: Receiver) -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession(service.url, headers={"Authorization": "Bearer the-key"}) as session:
        yield Desk(session, receiver)


async def submission_of(push: PushLLM, job_id: str, times: int = 1) -> Any:
    """The job's last submission, once there are so many."""
    n = 0
    while len(found := [each for each in push.submissions if each.job_id == job_id]) < times:
        n = max(n, len(push.submissions)) + 1
        await push.wait_for(n)
    return found[-1]


async def awaited(desk: Desk, push: PushLLM, **changes: Any) -> tuple[str, Any]:
    """A review that the LLM has taken, and its submission."""
    job_id = await desk.hand_in(**changes)
    await desk.until_state(job_id, "awaiting")
    return job_id, await submission_of(push, job_id)


class TestTheWholeWay:
    async def test_from_the_request_to_the_webhook(self, desk: Desk, push: PushLLM, service: Service) -> None:
        metadata = {"assignment": "Der Wasserkreislauf", "weights": [1, 2]}
        body = desk.body(student_id="s-1", metadata=metadata)

        async with desk.http.post("/v1/reviews", json=body) as response:
            accepted = await response.json()
            assert (response.status, set(accepted)) == (202, {"job_id", "status"})
            assert response.headers["Location"] == f"/v1/jobs/{accepted['job_id']}"
        job_id = accepted["job_id"]
        submission = await submission_of(push, job_id)
        assert submission.headers["Authorization"] == "Bearer sk-push"
        assert submission.body == {
            "job_id": job_id,
            "callback_url": submission.callback_url,
            "payload": {
                "submission_id": body["submission_id"],
                "file_refs": [FILE],
                "student_id": "s-1",
                "metadata": metadata,
            },
        }
        url = re.escape(f"{service.url}/v1/llm/callback/{job_id}?token=") + r"[\w-]{43}"
        assert re.fullmatch(url, submission.callback_url)
        assert await push.call_back(submission, GOOD) == (200, RECEIVED)

        (callback,) = await desk.callbacks_of(job_id)
        assert callback.verified
        assert callback.json == {
            "job_id": job_id,
            "submission_id": body["submission_id"],
            "ok": True,
            "result": VERDICT,
        }
        job = await desk.until_delivered(job_id)
        assert (job["kind"], job["status"], job["submission_id"]) == ("review", "completed", body["submission_id"])
        assert (job["ok"], job["result"], job["metadata"], job["error"]) == (True, VERDICT, metadata, None)

        assert await push.call_back(submission, GOOD) == (200, {"received": True, "relayed": True})
        assert len(await desk.callbacks_of(job_id)) == 1

    async def test_a_review_that_failed(self, desk: Desk, push: PushLLM) -> None:
        job_id, submission = await awaited(desk, push)
        said = {"ok": False, "error": "unreadable\0 scan", "result": {"ignored": True}}

        assert await push.call_back(submission, said) == (200, RECEIVED)

        verdict = await desk.verdict(job_id)
        assert (verdict["ok"], verdict["result"]) == (False, {"error": "unreadable\ufffd scan"})
        job = await desk.until_delivered(job_id)
        assert (job["status"], job["error"]["code"], job["ok"]) == ("failed", "review_failed", False)
        assert await push.call_back(submission, said) == (200, {"received": True, "relayed": True})
        assert (await push.call_back(submission, {"ok": False, "error": "another"}))[0] == 409

    @pytest.mark.parametrize(
        ("said", "result"),
        [
            ({"ok": True}, {}),
            ({"ok": True, "result": {"a": {"ß": [None, 1e3]}}, "error": None, "took_ms": 3}, {"a": {"ß": [None, 1e3]}}),
            ({"ok": False}, {"error": "the LLM reported a failure and did not say why"}),
        ],
    )
    async def test_answers_of_every_form(self, desk: Desk, push: PushLLM, said: Any, result: Any) -> None:
        job_id, submission = await awaited(desk, push)

        assert (await push.call_back(submission, said))[0] == 200

        assert (await desk.verdict(job_id))["result"] == result

    async def test_what_is_seen_while_the_llm_thinks(self, desk: Desk, push: PushLLM) -> None:
        job_id, submission = await awaited(desk, push)

        job = await desk.job(job_id)
        assert (job["status"], job["ok"], job["result"], job["delivery"]) == ("awaiting", None, None, None)
        assert [each["status"] for each in job["attempts"]] == ["handed_over"]
        until = datetime.fromisoformat(job["run_at"]) - datetime.fromisoformat(job["created_at"])
        assert 3600 <= until.total_seconds() < 3700
        async with desk.http.get("/v1/jobs", params={"status": "awaiting"}) as response:
            assert job_id in [each["job_id"] for each in (await response.json())["items"]]
        await push.call_back(submission, GOOD)

    async def test_the_webhook_fails_at_first(self, desk: Desk, push: PushLLM, receiver: Receiver) -> None:
        receiver.on("/tired", behaviours.status(503), behaviours.status(200))
        job_id, submission = await awaited(desk, push, webhook_url=receiver.url("/tired"))

        await push.call_back(submission, GOOD)

        first, second = await desk.callbacks_of(job_id, times=2)
        assert (first.id, first.body) == (second.id, second.body)
        assert first.verified
        assert second.verified

    async def test_a_dead_webhook_was_never_relayed(self, desk: Desk, push: PushLLM, receiver: Receiver) -> None:
        receiver.on("/gone", behaviours.gone())
        job_id, submission = await awaited(desk, push, webhook_url=receiver.url("/gone"))
        await push.call_back(submission, GOOD)
        await desk.until(job_id, lambda job: job["delivery"]["status"] == "dead")

        assert await push.call_back(submission, GOOD) == (200, RECEIVED)

    async def test_retrying_a_failed_review_is_a_new_job(self, desk: Desk, push: PushLLM) -> None:
        job_id, submission = await awaited(desk, push)
        await push.call_back(submission, {"ok": False, "error": "busy"})

        status, retried = await desk.post(f"/v1/jobs/{job_id}/retry")

        assert status == 202
        again = await submission_of(push, retried["job_id"])
        assert again.payload == submission.payload
        await push.call_back(again, GOOD)
        assert (await desk.verdict(retried["job_id"]))["ok"]


class TestHandingOver:
    async def test_an_llm_that_is_down_is_asked_again(self, desk: Desk, push: PushLLM) -> None:
        troubles = (
            behaviours.status(503),
            behaviours.status(429),
            behaviours.babble(b"HTTP/1.1 202 Accepted\r\n"),
            behaviours.babble(),
        )
        jobs = []
        for trouble in troubles:
            push.then(trouble)
            job_id = await desk.hand_in()
            first = await submission_of(push, job_id)
            await desk.until(job_id, lambda job: job["attempts"] and job["status"] == "scheduled")
            jobs.append((job_id, first))
        for job_id, first in jobs:
            again = await submission_of(push, job_id, times=2)
            assert again.body == first.body
            assert (await desk.until_state(job_id, "awaiting"))["error"] is None
            assert await push.call_back(again, GOOD) == (200, RECEIVED)

    @pytest.mark.parametrize(
        ("status", "code"),
        [(400, "upstream_refused"), (401, "upstream_auth"), (402, "upstream_credit"), (404, "upstream_refused")],
    )
    async def test_an_llm_that_refuses_is_not(self, desk: Desk, push: PushLLM, status: int, code: str) -> None:
        push.then(behaviours.status(status, '{"error": {"message": "your key sk-push is bad"}}'))

        job_id = await desk.hand_in()

        verdict = await desk.verdict(job_id)
        assert not verdict["ok"]
        assert str(status) in verdict["result"]["error"]
        assert "sk-push" not in verdict["result"]["error"]
        job = await desk.job(job_id)
        assert job["error"]["code"] == code
        assert [each["http_status"] for each in job["attempts"]] == [status]
        assert ("LLM_API_KEY" in verdict["result"]["error"]) == (status in (401, 402))
        assert ("it said: your key [redacted] is bad" in verdict["result"]["error"]) == (status in (400, 404))

    @pytest.mark.parametrize("status", [302, 404, 405])
    async def test_a_wrong_address_of_an_llm_is_not_said_in_its_name(
        self, desk: Desk, push: PushLLM, status: int
    ) -> None:
        push.then(behaviours.status(status, "<html>nothing here</html>"))

        error = (await desk.verdict(await desk.hand_in()))["result"]["error"]

        assert f"refused the review with {status}; check LLM_API_URL" in error
        assert "it said" not in error
        assert "/v1" not in error  # which `LLM_API_URL` does not end in

    async def test_an_answer_that_overtakes_the_202(self, desk: Desk, push: PushLLM) -> None:
        received: list[Any] = []

        async def answer_first(_: web.Request) -> web.StreamResponse:
            submission = push.submissions[-1]
            received.append(await push.call_back(submission, GOOD))
            return web.Response(status=202)

        push.then(answer_first)
        job_id = await desk.hand_in()

        assert (await desk.verdict(job_id))["ok"]
        assert received == [(200, RECEIVED)]
        job = await desk.until_delivered(job_id)
        assert (job["status"], job["attempt"]) == ("completed", 1)

    async def test_an_answer_although_the_202_was_lost(self, desk: Desk, push: PushLLM) -> None:
        push.then(behaviours.babble(b"HTTP/1.1 202 Accepted\r\n"))
        job_id = await desk.hand_in()
        await desk.until(job_id, lambda job: job["status"] == "scheduled" and job["attempt"] == 1)
        submission = await submission_of(push, job_id)

        assert await push.call_back(submission, GOOD) == (200, RECEIVED)

        assert (await desk.verdict(job_id))["ok"]
        assert [each.job_id for each in push.submissions].count(job_id) == 1


class TestWhoMayAnswer:
    async def test_only_the_token_opens(self, desk: Desk, push: PushLLM, service: Service) -> None:
        job_id, submission = await awaited(desk, push)
        _, other = await awaited(desk, push)
        stranger = other.callback_url.partition("token=")[2]
        path = f"/v1/llm/callback/{job_id}"

        for query in ("", "?token=", "?token=wrong", f"?token={stranger}", "?token=%C3%A4%00", "?Token=x"):
            # The client's own key is no token.
            status, refused = await desk.post(path + query, GOOD)
            assert (status, refused["error"]["code"]) == (401, "unauthorized"), query
        assert (await desk.job(job_id))["status"] == "awaiting"

        assert (await push.call_back(submission, GOOD))[0] == 200
        await push.call_back(other, GOOD)

    async def test_an_unknown_job(self, desk: Desk) -> None:
        status, refused = await desk.post("/v1/llm/callback/job_unknown?token=x", GOOD)
        assert (status, refused["error"]["code"]) == (404, "not_found")

    async def test_a_message_is_no_review(self, desk: Desk, receiver: Receiver) -> None:
        _, accepted = await desk.post("/webhook", {"message": "hi", "callback_url": receiver.url("/message")})
        assert (await desk.post(f"/v1/llm/callback/{accepted['job_id']}?token=x", GOOD))[0] == 404
        assert (await desk.post(f"/simulate-llm/{accepted['job_id']}"))[0] == 404

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "ok"),
            ({"ok": "true"}, "ok"),
            ({"ok": None}, "ok"),
            ({"ok": True, "result": [1]}, "result"),
            ({"ok": True, "result": "good"}, "result"),
            ({"ok": False, "error": {"code": 1}}, "error"),
            ([], "body"),
        ],
    )
    async def test_what_is_no_answer(self, desk: Desk, push: PushLLM, body: Any, field: str) -> None:
        job_id, submission = await awaited(desk, push)

        status, refused = await push.call_back(submission, body)

        assert status == 422
        assert field in refused["error"]["message"]
        assert (await desk.job(job_id))["status"] == "awaiting"
        await push.call_back(submission, GOOD)

    async def test_what_is_no_json_or_too_much_of_it(self, desk: Desk, push: PushLLM) -> None:
        _, submission = await awaited(desk, push)

        nan = b'{"ok": true, "result": {"x": NaN}}'
        for data, wanted in ((b"{", 422), (b"", 422), (nan, 422), (b" " * 60_000, 413)):
            async with desk.http.post(submission.callback_url, data=data) as response:
                assert response.status == wanted

        assert (await push.call_back(submission, GOOD))[0] == 200


class TestOnceAndForAll:
    async def test_another_answer_after_the_end(self, desk: Desk, push: PushLLM) -> None:
        job_id, submission = await awaited(desk, push)
        await push.call_back(submission, {"ok": True, "result": {"a": 1, "b": 2}})

        for other in (GOOD, {"ok": True}, {"ok": False, "error": "a"}, {"ok": True, "result": {"a": True, "b": 2}}):
            status, refused = await push.call_back(submission, other)
            assert (status, refused["error"]["code"]) == (409, "conflict")
            assert "completed" in refused["error"]["message"]
        # The order of fields makes no other answer.
        assert (await push.call_back(submission, {"ok": True, "result": {"b": 2, "a": 1}}))[0] == 200
        assert (await desk.verdict(job_id))["result"] == {"a": 1, "b": 2}

    async def test_an_answer_after_the_cancellation(self, desk: Desk, push: PushLLM) -> None:
        job_id, submission = await awaited(desk, push)
        status, cancelled = await desk.post(f"/v1/jobs/{job_id}/cancel")
        assert (status, cancelled["status"]) == (200, "cancelled")

        status, refused = await push.call_back(submission, GOOD)

        assert status == 409
        assert "cancelled" in refused["error"]["message"]
        verdict = await desk.verdict(job_id)
        assert (verdict["ok"], set(verdict["result"])) == (False, {"error"})

    async def test_the_same_answer_many_times_at_once(self, desk: Desk, push: PushLLM) -> None:
        job_id, submission = await awaited(desk, push)

        replies = await asyncio.gather(*(push.call_back(submission, GOOD) for _ in range(30)))

        assert {status for status, _ in replies} == {200}
        await desk.until_delivered(job_id)
        assert len(await desk.callbacks_of(job_id)) == 1

    async def test_many_answers_at_once(self, desk: Desk, push: PushLLM) -> None:
        job_id, submission = await awaited(desk, push)
        answers = [{"ok": True, "result": {"n": n}} for n in range(30)]

        replies = await asyncio.gather(*(push.call_back(submission, each) for each in answers))

        statuses = [status for status, _ in replies]
        assert (statuses.count(200), statuses.count(409)) == (1, 29)
        await desk.until_delivered(job_id)
        (callback,) = await desk.callbacks_of(job_id)
        assert callback.json["result"] == {"n": statuses.index(200)}


class TestTheRoute:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"submission_id": ""}, "submission_id"),
            ({"submission_id": " "}, "submission_id"),
            ({"submission_id": 7}, "submission_id"),
            ({"submission_id": "a\0b"}, "submission_id"),
            ({"file_refs": None}, "file_refs"),
            ({"file_refs": [{}]}, "file_refs.0.url"),
            ({"file_refs": [{"url": ""}]}, "file_refs.0.url"),
            ({"file_refs": [{"url": "file:///etc/passwd"}]}, "file_refs.0.url"),
            ({"file_refs": [FILE] * 101}, "file_refs"),
            ({"file_refs": [FILE, {"url": "u", "pages": [0]}]}, "file_refs.1.pages.0"),
            ({"file_refs": [{"url": "u", "pages": []}]}, "file_refs.0.pages"),
            ({"file_refs": [{"url": "u", "pages": ["1"]}]}, "file_refs.0.pages.0"),
            ({"file_refs": [{"url": "u", "page": 1}]}, "file_refs.0.page"),
            ({"student_id": 7}, "student_id"),
            ({"metadata": []}, "metadata"),
            ({"metadata": {"x": "y" * 17_000}}, "metadata"),
            ({"webhook_url": ""}, "webhook_url"),
            ({"callback_url": "https://example.com/"}, "callback_url"),
        ],
    )
    async def test_a_wrong_field_is_named(self, desk: Desk, changes: Any, field: str) -> None:
        status, refused = await desk.post("/v1/reviews", desk.body(**changes))

        assert (status, refused["error"]["code"]) == (422, "validation_error")
        assert field in [".".join(map(str, each["loc"][1:])) for each in refused["detail"]]

    @pytest.mark.parametrize(
        "url",
        ["ftp://example.com/", "http://169.254.169.254/", "http://10.0.0.1/", "http://u:p@example.com/", "no url"],
    )
    async def test_a_forbidden_webhook(self, desk: Desk, url: str) -> None:
        status, refused = await desk.post("/v1/reviews", desk.body(webhook_url=url))

        assert (status, refused["error"]["code"]) == (422, "callback_refused")
        assert refused["detail"][0]["loc"] == ["body", "webhook_url"]
        assert refused["error"]["message"].startswith("webhook_url")
        assert "callback_url" not in refused["error"]["message"]

    async def test_no_file_is_the_llms_business(self, desk: Desk, push: PushLLM) -> None:
        _, submission = await awaited(desk, push, file_refs=[])
        assert submission.payload["file_refs"] == []
        await push.call_back(submission, GOOD)

    async def test_one_idempotency_key_one_review(self, desk: Desk, push: PushLLM) -> None:
        body, key = desk.body(), {"Idempotency-Key": "k"}
        async with desk.http.post("/v1/reviews", json=body, headers=key) as response:
            first = await response.json()
        async with desk.http.post("/v1/reviews", json=body, headers=key) as response:
            again = await response.json()
            assert (response.status, response.headers["Idempotent-Replayed"]) == (202, "true")
        assert again == first
        status, refused = await desk.post("/v1/reviews", body | {"student_id": "other"}, headers=key)
        assert (status, refused["error"]["code"]) == (409, "idempotency_conflict")
        await push.call_back(await submission_of(push, first["job_id"]), GOOD)

    async def test_a_key_is_wanted_and_is_a_tenant(self, desk: Desk, push: PushLLM, service: Service) -> None:
        job_id, submission = await awaited(desk, push)
        async with aiohttp.ClientSession(service.url) as nobody:
            for path in ("/v1/reviews", f"/simulate-llm/{job_id}"):
                async with nobody.post(path, json=desk.body()) as response:
                    assert response.status == 401
        async with desk.http.get(f"/v1/jobs/{job_id}", headers=OTHER) as response:
            assert response.status == 404
        assert (await desk.post(f"/simulate-llm/{job_id}", headers=OTHER))[0] == 404
        await push.call_back(submission, GOOD)

    async def test_too_large(self, desk: Desk) -> None:
        assert (await desk.post("/v1/reviews", desk.body(student_id="x" * 60_000)))[0] == 413

    async def test_the_document_is_enough_to_integrate(self, desk: Desk) -> None:
        async with desk.http.get("/openapi.json") as response:
            document = await response.json()
        paths = document["paths"]
        ask = paths["/v1/reviews"]["post"]
        assert {"401", "409", "413", "422", "429", "503"} <= errors(document, ask).keys()
        content = ask["requestBody"]["content"]["application/json"]
        assert set(content["example"]) == set(schema_of(document, content)["properties"])
        (callback,) = ask["callbacks"]["review_ended"].values()
        assert "webhook-id" in str(callback)
        answer = paths["/v1/llm/callback/{job_id}"]["post"]
        assert {"401", "404", "409", "413", "422", "503"} <= errors(document, answer).keys()
        assert {each["name"] for each in answer["parameters"]} == {"job_id", "token"}
        assert "/simulate-llm/{job_id}" in paths


class TestSimulation:
    async def test_it_answers_for_the_llm(self, desk: Desk, push: PushLLM) -> None:
        job_id, submission = await awaited(desk, push)

        assert await desk.post(f"/simulate-llm/{job_id}", GOOD) == (200, RECEIVED)

        assert (await desk.verdict(job_id))["result"] == VERDICT
        assert (await push.call_back(submission, {"ok": True, "result": {}}))[0] == 409

    async def test_it_needs_no_words(self, desk: Desk, push: PushLLM) -> None:
        job_id, _ = await awaited(desk, push)

        async with desk.http.post(f"/simulate-llm/{job_id}") as response:
            assert (response.status, await response.json()) == (200, RECEIVED)

        verdict = await desk.verdict(job_id)
        assert (verdict["ok"], verdict["result"]["score"]) == (True, 1.0)

    async def test_it_knows_no_other_reviews(self, desk: Desk) -> None:
        assert (await desk.post("/simulate-llm/job_unknown"))[0] == 404


async def test_the_log_holds_no_secret(desk: Desk, push: PushLLM, service: Service) -> None:
    _, submission = await awaited(desk, push, metadata={"essay": "a very private matter"})
    await push.call_back(submission, GOOD)

    token = submission.callback_url.partition("token=")[2]
    for secret in (token, "a very private matter", "sk-push", VERDICT["feedback"]):
        assert str(secret) not in service.logs
