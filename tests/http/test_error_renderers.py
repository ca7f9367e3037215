"""An error is rendered as its route renders errors, also before a route was found for it and where there is none."""

import json

import pytest
from fastapi import APIRouter
from starlette.responses import Response

from answerback.http.error_handlers import ErrorRenderers
from answerback.http.errors import ErrorRenderer, InvalidRequest, content_of, problem
from answerback.http.openai_errors import OpenAIRoute, openai_error
from answerback.kernel.errors import CallbackRefused, ConversationFull, InvalidField, Overloaded, Refusal, Unauthorized


async def endpoint() -> Response:
    return Response()


def router(*paths: str, openai: bool = False) -> APIRouter:
    made = APIRouter(route_class=OpenAIRoute) if openai else APIRouter()
    for path in paths:
        made.add_api_route(path, endpoint)
    return made


OURS = router("/webhook", "/v1/jobs", "/v1/jobs/{job_id}", "/v1/llm/callback/{job_id}")
OPENAI = router("/v1/chat/completions", "/v1/models", "/v1/models/{model_id:path}", openai=True)
RENDERERS = ErrorRenderers([*OURS.routes, *OPENAI.routes], {"/v1": openai_error})


@pytest.mark.parametrize("route", OPENAI.routes, ids=lambda route: route.path)
def test_a_route_that_was_found_decides(route: object) -> None:
    assert RENDERERS.of({"path": "/elsewhere", "route": route}) is openai_error


@pytest.mark.parametrize("path", ["/webhook", "/webhook/", "/v1/jobs", "/v1/jobs/job_1", "/v1/llm/callback/job_1"])
def test_a_path_of_ours_has_our_renderer_before_its_route_is_found(path: str) -> None:
    assert RENDERERS.of({"path": path}) is problem


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/models/vendor/model"])
def test_a_path_of_openais_has_its_renderer_before_its_route_is_found(path: str) -> None:
    assert RENDERERS.of({"path": path}) is openai_error


@pytest.mark.parametrize(
    ("path", "renderer"),
    [
        ("/", problem),
        ("/nothing", problem),
        ("/webhook/nothing", problem),
        ("/v1/jobs/job_1/nothing", problem),
        ("/v1/llm", problem),
        ("/v1/chat", openai_error),
        ("/v1/chat/nothing", openai_error),
        ("/v1/embeddings", openai_error),
        ("/v1", openai_error),
        ("-", problem),
        ("/v1/jobs" + "/" * 60_000, problem),
        ("/v1" + "/x" * 30_000, openai_error),
    ],
    ids=lambda given: getattr(given, "__name__", given)[:40],
)
def test_a_path_without_a_route_takes_the_renderer_of_those_beside_it(path: str, renderer: object) -> None:
    assert RENDERERS.at(path) is renderer


def body(response: Response) -> object:
    return json.loads(bytes(response.body))


def test_our_renderer_names_every_field() -> None:
    errors = [{"type": "missing", "loc": ["body", "message"], "msg": "Field required"}]

    response = problem(content_of(InvalidRequest(errors)))

    assert response.status_code == 422
    assert body(response) == {
        "detail": errors,
        "error": {"code": "validation_error", "message": "message: Field required"},
    }


def test_openais_renderer_names_the_first_field_as_param() -> None:
    response = openai_error(content_of(InvalidField("messages.0.content", "must be a text")))

    assert response.status_code == 400
    assert body(response) == {
        "error": {
            "message": "must be a text",
            "type": "invalid_request_error",
            "param": "messages.0.content",
            "code": "validation_error",
        }
    }


@pytest.mark.parametrize(
    ("entry", "param", "code", "message"),
    [
        (("missing", "body", "name"), "name", "missing_required_parameter", "missing required parameter: 'name'"),
        (("string_type", "body", "types", 0), "types[0]", "invalid_type", "invalid 'types[0]': words"),
        (("too_long", "body", "a", "body"), "a.body", "invalid_value", "invalid 'a.body': words"),
        (("too_long", "metadata", "k", "[key]"), "metadata", "invalid_value", "invalid 'metadata': the key 'k': words"),
        (("extra_forbidden", "body", "x"), "x", "unknown_parameter", "unknown parameter: 'x'; words"),
        (("callback_refused", "body", "url"), "url", "callback_refused", "words"),
        (("json_invalid", "body"), None, "invalid_value", "words"),
        (("int_parsing", "query", "limit"), "limit", "invalid_value", "invalid 'limit': words"),
    ],
)
def test_openais_renderer_names_what_is_wrong_as_openai_does(
    entry: tuple[object, ...], param: str | None, code: str, message: str
) -> None:
    kind, *where = entry

    response = openai_error(content_of(InvalidRequest([{"type": kind, "loc": where, "msg": "words"}])))

    assert body(response) == {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    }


@pytest.mark.parametrize(
    ("refusal", "status", "headers"),
    [
        (Unauthorized("no key"), 401, {"www-authenticate": "Bearer"}),
        (Overloaded("full"), 503, {"retry-after": "5"}),
        (
            ConversationFull("full", 100),
            429,
            {"retry-after": "1", "ratelimit-limit": "100", "ratelimit-remaining": "0"},
        ),
        (CallbackRefused("callback_url is refused"), 422, {}),
    ],
    ids=lambda given: type(given).__name__,
)
@pytest.mark.parametrize("renderer", [problem, openai_error])
def test_a_refusal_has_the_status_and_headers_of_its_kind(
    refusal: Refusal, status: int, headers: dict[str, str], renderer: ErrorRenderer
) -> None:
    response = renderer(content_of(refusal))

    assert response.status_code == (400 if (status, renderer) == (422, openai_error) else status)
    assert headers.items() <= dict(response.headers).items()


def test_a_refusal_of_an_unknown_kind_is_a_fault() -> None:
    with pytest.raises(Refusal):
        content_of(Refusal("why"))
