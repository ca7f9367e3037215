"""A path that is not there is answered with what could have been meant."""

from itertools import product
from pathlib import Path

from starlette.responses import Response
from starlette.routing import Route

from answerback.http.unknown_paths import Signposts
from whole_api import Api, whole_api

MISSING_V1 = "POST /v1/chat/completions"


async def said(api: Api, method: str, path: str, status: int = 404) -> str:
    reply = await api(method, path)
    assert reply.status == status, path
    return str(reply.json["error"]["message"])


async def test_a_404_names_what_was_meant(path: Path) -> None:
    meant = {
        "/chat/completions": MISSING_V1,
        "/v1/v1/chat/completions": MISSING_V1,
        "/api/v1/chat/completions": MISSING_V1,
        "/openai/deployments/gpt/v1/chat/completions": MISSING_V1,
        "/v1/chat/completion": MISSING_V1,
        "/V1/Chat/Completions": MISSING_V1,
        "/webhooks": "POST /webhook",
        "/api/chat": MISSING_V1,
        "/api/generate": "POST /v1/completions",
        "/api/tags": "GET /v1/models",
        "/api/embed": "POST /v1/embeddings",
        "/v1/webhook": "POST /webhook",
        "/jobs/job_1": "GET /v1/jobs/{job_id}",
        "/api/asks": "POST /api/ask",
        "/generat": "POST /generate",
        "/v1/assistants": "assistants are not offered here",
        "/v1/images/generations": "images are not offered here",
        "/v1/conversations/conv_1/members": "there is no such path; '/docs' lists what there is",
        "/v1/threads": "POST /v1/responses",
        "/wp-login.php": "'/docs' lists what there is",
        "/" + "a" * 5_000: "'/docs' lists what there is",
    }
    async with whole_api(path) as api:
        for asked, words in meant.items():
            assert words in await said(api, "POST", asked), asked


def test_a_path_that_is_not_there_is_compared_with_each_route_few_times() -> None:
    # Given a service of a hundred routes
    class Watched(Route):
        def __init__(self, path: str) -> None:
            super().__init__(path, lambda _: Response(), methods=["GET", "POST", "DELETE"])
            self.template, self.path_regex = self.path_regex, self  # type: ignore[assignment]

        def match(self, path: str) -> object:
            compared.append(path)
            return self.template.match(path)

    compared: list[str] = []
    signposts = Signposts([Watched(f"/route{number}/{{name}}") for number in range(100)])

    # When somebody asks for what is not there, as anybody may 300 times a second
    signposts.unknown_path("/nothing/is/here")

    # Then no method of HTTP costs a comparison
    assert 100 <= len(compared) <= 300


async def test_below_v1_it_is_an_error_as_openais(path: Path) -> None:
    async with whole_api(path) as api:
        error = (await api("POST", "/v1/assistants")).json["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert (error["type"], error["code"]) == ("invalid_request_error", "not_found")


async def test_what_openai_has_below_responses_is_no_response_by_any_method(path: Path) -> None:
    async with whole_api(path) as api:
        for asked, method in product(("compact", "input_tokens"), ("GET", "POST", "DELETE")):
            assert f"{asked} is not offered here" in await said(api, method, f"/v1/responses/{asked}")


async def test_a_wrong_method_is_answered_with_the_right_one(path: Path) -> None:
    async with whole_api(path) as api:
        reply = await api("GET", "/webhook")
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
        assert reply.json["error"]["message"] == "this path does not take GET; send POST"
        assert (await api("DELETE", "/healthz")).headers["allow"] == "GET, HEAD"
        assert (await api("HEAD", "/webhook")).headers["allow"] == "POST"


async def test_the_root_leads_a_browser_to_the_console(path: Path) -> None:
    async with whole_api(path) as api:
        reply = await api("GET", "/", accept="text/html,*/*;q=0.8")
        assert (reply.status, reply.headers["location"]) == (307, "console")
        assert "/docs" in await said(api, "GET", "/")
