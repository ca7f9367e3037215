"""Reviews without an LLM that calls back: the chat provider reads the files itself."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from reviewing import VERDICT, Desk, file

from answerback.testing import behaviours, replies
from answerback.testing.behaviours import Behaviour
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service
from answerback.testing.signatures import verify
from api_document import schema_of
from papers import pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = replies.say(json.dumps(VERDICT))


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"CALLBACK_HMAC_SECRET": "a-secret"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    """Takes callbacks, and serves files."""
    async with Receiver(secret="a-secret") as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(service: Service, receiver: Receiver) -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession(service.url) as session:
        yield Desk(session, receiver)


@pytest.fixture
def serve(receiver: Receiver, request: pytest.FixtureRequest) -> Any:
    """Serves files under paths of the test's own; returns their URL."""

    def serve_(*answers: Behaviour, name: str = "file") -> str:
        path = f"/{abs(hash(request.node.name))}/{name}"
        receiver.on(path, *answers)
        return receiver.url(path)

    return serve_


async def result_of(desk: Desk, job_id: str) -> Any:
    """The result, once it has been delivered."""
    await desk.until_delivered(job_id)
    return (await desk.job(job_id))["result"]


async def reviewed(desk: Desk, *urls: str, **changes: Any) -> Any:
    """What the callback says of these files."""
    job_id = await desk.hand_in(**{"file_refs": [{"url": url} for url in urls]} | changes)
    await desk.until_delivered(job_id)
    found = [each.json for each in desk.receiver.callbacks if each.path == "/hook" and each.json["job_id"] == job_id]
    assert len(found) == 1
    return found[0]


async def test_an_endpoint_hears_of_a_review_as_its_webhook_does(
    desk: Desk, llm: FakeLLM, receiver: Receiver, serve: Any
) -> None:
    llm.on(lambda asked: "heard of" in asked, GOOD)
    endpoint = {"name": "reviews", "url": receiver.url("/endpoint"), "event_types": ["review.completed"]}
    status, made = await desk.post("/v1/webhook_endpoints", endpoint)
    assert status == 200, made

    callback = await reviewed(desk, serve(file("It is heard of."), name="c.txt"))

    came = await receiver.wait_for(lambda came: any(each.path == "/endpoint" for each in came))
    (event,) = (each for each in came if each.path == "/endpoint")
    assert (event.json["type"], event.json["data"]) == ("review.completed", callback)
    assert verify(event.headers, event.body, made["signing_secret"]) == event.id
    async with desk.http.delete(f"/v1/webhook_endpoints/{made['id']}") as gone:
        assert gone.status == 200


class TestReading:
    async def test_texts_and_pdfs_are_read_and_judged(self, desk: Desk, llm: FakeLLM, serve: Any) -> None:
        text = serve(file("Wasser verdunstet überall."), name="a.txt")
        paper = serve(file(pdf("First page.", "Second page.", "Third page."), "application/pdf"), name="b.pdf")
        llm.on(lambda asked: "verdunstet" in asked, GOOD)

        callback = await reviewed(
            desk,
            file_refs=[{"url": text}, {"url": paper, "pages": [3, 1]}],
            student_id="Erika Mustermann",
            metadata={"assignment": "the water cycle"},
        )

        about = {name: callback[name] for name in ("job_id", "submission_id")}
        assert callback == about | {"ok": True, "result": VERDICT}
        call = next(each for each in llm.calls if "verdunstet" in each.user)
        assert "Wasser verdunstet überall." in call.user
        assert call.user.index("Third page.") < call.user.index("First page.")
        assert "Second page." not in call.user
        assert "the water cycle" in call.user
        assert "Erika" not in json.dumps(call.body)
        assert call.body["response_format"] == {"type": "json_object"}
        assert call.messages[0]["role"] == "system"
        job = await desk.job(callback["job_id"])
        assert (job["model"], job["result"]) == ("fake", VERDICT)
        assert job["usage"]["total_tokens"] > 0

    @pytest.mark.parametrize(
        "said",
        [
            f"```json\n{json.dumps(VERDICT)}\n```",
            f"Here is my review:\n\n```\n{json.dumps(VERDICT, indent=2)}\n```\nGood luck!",
            f"Sure! {json.dumps(VERDICT | {'more': {'x': 1}})} That is all.",
        ],
    )
    async def test_words_and_fences_around_it_are_tolerated(
        self, desk: Desk, llm: FakeLLM, serve: Any, said: str
    ) -> None:
        url = serve(file("Tolerate me."))
        llm.then(replies.say(said))

        assert (await reviewed(desk, url))["result"] == VERDICT

    async def test_an_answer_that_is_no_review_is_asked_for_again(self, desk: Desk, llm: FakeLLM, serve: Any) -> None:
        url = serve(file("An essay about nonsense."))
        llm.on(lambda asked: "about nonsense" in asked, replies.say("A fine essay, 9 of 10."), GOOD)

        job_id = await desk.hand_in(file_refs=[{"url": url}])

        job = await desk.until(job_id, lambda job: job["attempts"] and job["attempts"][0]["status"] == "retry")
        assert job["error"]["code"] == "upstream_invalid"
        assert "fine essay" not in job["error"]["message"]
        assert await result_of(desk, job_id) == VERDICT

    async def test_a_server_without_response_format(self, desk: Desk, llm: FakeLLM, serve: Any) -> None:
        url = serve(file("An essay for an old server."))
        llm.on(lambda asked: "old server" in asked, replies.status(400, {"error": {"message": "no"}}), GOOD)

        assert (await reviewed(desk, url))["ok"]

        first, second = [each for each in llm.calls if "old server" in each.user]
        assert "response_format" in first.body
        assert "response_format" not in second.body


class TestFilesThatCannotBeReviewed:
    @pytest.mark.parametrize(
        ("served", "reason"),
        [
            (behaviours.status(404), "file 1 cannot be fetched: its server answers 404"),
            (file("x", "image/png"), "file 1 is of type 'image/png'; only text and PDF can be read"),
            (file(b"PK\x03\x04\xff\0", "text/plain"), "file 1 is called 'text/plain' by its server but is not text"),
            (file(b"PK\x03\x04\xff\0", "application/octet-stream"), "neither text in UTF-8 nor PDF"),
            (file("  \n "), "file 1 holds no text"),
            (file(pdf(b""), "application/pdf"), "file 1 holds no text"),
            (file("%PDF-1.7 and then nothing", "application/pdf"), "file 1 is not a PDF that can be read"),
            (file("x" * 500_000), "file 1 holds more than 400000 characters"),
            (file("x", **{"Content-Length": "99999999"}), "file 1 is larger than 10485760 bytes"),
            (behaviours.endless(), "file 1 is larger than 10485760 bytes"),
            (file("packed", **{"Content-Encoding": "gzip"}), "file 1 comes compressed"),
            (behaviours.redirect("http://10.1.2.3/secret"), "'10.1.2.3' may not be called"),
            (behaviours.redirect("http://169.254.169.254/latest/meta-data"), "may not be called"),
            (behaviours.redirect("file:///etc/passwd"), "its URL must start with http"),
        ],
    )
    async def test_a_file_that_never_will_be(self, desk: Desk, serve: Any, served: Behaviour, reason: str) -> None:
        callback = await reviewed(desk, serve(served))

        assert not callback["ok"]
        assert reason in callback["result"]["error"]
        job = await desk.job(callback["job_id"])
        assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "file_refused", 1)

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("http://10.0.0.1/essay", "url's address '10.0.0.1' may not be called"),
            ("http://169.254.169.254/", "may not be called"),
            ("http://metadata.google.internal/", "may not be called"),
            ("http://[::ffff:10.0.0.1]/", "may not be called"),
            ("http://u:p@example.com/", "url must not contain credentials"),
            ("s3://bucket/essay", "url must start with http"),
            ("file:///etc/passwd", "url must start with http"),
            ("data:text/plain,hello", "url must start with http"),
        ],
    )
    async def test_an_address_that_may_not_be_called_is_refused_at_once(
        self, desk: Desk, serve: Any, url: str, reason: str
    ) -> None:
        files = [{"url": serve(file("Good."))}, {"url": url}]

        status, refused = await desk.post("/v1/reviews", desk.body(file_refs=files))

        assert (status, refused["error"]["code"]) == (422, "validation_error")
        (found,) = refused["detail"]
        assert found["loc"] == ["body", "file_refs", 1, "url"]
        assert reason in found["msg"]
        assert "callback_url" not in refused["error"]["message"]

    @pytest.mark.parametrize("count", [0, 51])
    async def test_nothing_or_too_much_to_review_is_refused_at_once(self, desk: Desk, serve: Any, count: int) -> None:
        files = [{"url": serve(file("Good."))}] * count

        status, refused = await desk.post("/v1/reviews", desk.body(file_refs=files))

        assert (status, [each["loc"] for each in refused["detail"]]) == (422, [["body", "file_refs"]])

    async def test_every_wrong_field_is_named_also_addresses(self, desk: Desk) -> None:
        body = desk.body(submission_id="", file_refs=[{"url": "ftp://h/"}], webhook_url="http://10.0.0.1/")

        status, refused = await desk.post("/v1/reviews", body)

        assert (status, refused["error"]["code"]) == (422, "validation_error")
        assert [each["loc"][1] for each in refused["detail"]] == ["submission_id", "file_refs", "webhook_url"]
        assert "at least 1 character" in refused["detail"][0]["msg"]

    async def test_the_document_states_the_limits(self, desk: Desk) -> None:
        async with desk.http.get("/openapi.json") as response:
            document = await response.json()
        asked = document["paths"]["/v1/reviews"]["post"]["requestBody"]
        files = schema_of(document, asked["content"]["application/json"])["properties"]["file_refs"]

        assert (files["minItems"], files["maxItems"]) == (1, 50)
        for limit in ("10 MiB", "200 pages", "400,000 characters"):
            assert limit in files["description"]

    async def test_a_page_that_is_not_there(self, desk: Desk, serve: Any) -> None:
        url = serve(file(pdf("Only one."), "application/pdf"))

        callback = await reviewed(desk, file_refs=[{"url": url, "pages": [1, 2]}])

        assert callback["result"] == {"error": "file 1 has no page 2: it has 1"}

    async def test_the_second_file_is_named(self, desk: Desk, serve: Any) -> None:
        callback = await reviewed(desk, serve(file("Good."), name="a"), serve(behaviours.status(403), name="b"))
        assert callback["result"] == {"error": "file 2 cannot be fetched: its server answers 403"}


async def test_a_file_server_in_trouble_is_asked_again(desk: Desk, llm: FakeLLM, serve: Any) -> None:
    troubles = (behaviours.status(503), behaviours.status(429), behaviours.babble(), behaviours.break_off())
    llm.on(lambda asked: "late but fine" in asked, GOOD)
    jobs = []
    for n, trouble in enumerate(troubles):
        url = serve(trouble, file("It is late but fine."), name=str(n))
        jobs.append(await desk.hand_in(file_refs=[{"url": url}]))
    for job_id in jobs:
        job = await desk.until(job_id, lambda job: job["attempts"] and job["attempts"][0]["status"] == "retry")
        assert job["error"]["code"] == "file_unreachable"
    for job_id in jobs:
        assert await result_of(desk, job_id) == VERDICT


async def test_a_redirect_is_followed(desk: Desk, llm: FakeLLM, serve: Any) -> None:
    there = serve(file("I have moved house."), name="there")
    here = serve(behaviours.redirect(there, 302), name="here")
    llm.on(lambda asked: "moved house" in asked, GOOD)

    assert (await reviewed(desk, here))["ok"]


async def test_simulation_is_off_unless_set(desk: Desk, serve: Any) -> None:
    job_id = await desk.hand_in(file_refs=[{"url": serve(file("Not for you."))}])

    assert (await desk.post(f"/simulate-llm/{job_id}"))[0] == 404
    async with desk.http.get("/openapi.json") as response:
        assert not any("simulate" in path for path in (await response.json())["paths"])


async def test_the_mock_reviews_too(receiver: Receiver) -> None:
    async def essay(_: web.Request) -> web.StreamResponse:
        return web.Response(text="An essay for the mock.")

    receiver.on("/mock-essay", essay)
    async with (
        Service({"MOCK_MODE": "true", "MOCK_DELAY_SECONDS": "0", "RATE_LIMIT": "0"}) as service,
        aiohttp.ClientSession(service.url) as session,
    ):
        desk = Desk(session, receiver)
        job_id = await desk.hand_in(file_refs=[{"url": receiver.url("/mock-essay")}])

        result = await result_of(desk, job_id)

    assert 0 <= result["score"] <= 1
    assert "An essay for the mock." in result["feedback"]
