"""Slashes at the end, and two for one, lead to the same route without a redirect."""

from pathlib import Path

import pytest

from answerback.http.paths import Paths
from whole_api import whole_api

MESSAGE = {"message": "hi", "callback_url": "https://203.0.114.1/hook"}


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/webhook", "/webhook"),
        ("/webhook/", "/webhook"),
        ("//webhook//", "/webhook"),
        ("/v1//chat///completions/", "/v1/chat/completions"),
        ("/v1/sessions/https://shop.example/hook/", "/v1/sessions/https://shop.example/hook/"),
        ("//v1//sessions//a/", "/v1/sessions//a/"),
        ("/v1/sessions/", "/v1/sessions/"),
    ],
)
def test_a_path_as_its_route_has_it(path: str, canonical: str) -> None:
    assert Paths(["/v1/sessions/"]).canonical(path) == canonical


async def test_a_route_answers_however_its_slashes_are_written(path: Path) -> None:
    async with whole_api(path) as api:
        for written in ("/webhook", "/webhook/", "//webhook", "/webhook//"):
            assert (await api("POST", written, body=MESSAGE)).status == 202
        for written in ("/v1/jobs/", "/models/", "/v1//models", "/docs/", "/healthz/", "/api/history/"):
            assert (await api("GET", written)).status == 200, written


async def test_a_conversation_is_named_by_a_url_with_all_its_slashes(path: Path) -> None:
    async with whole_api(path) as api:
        await api("POST", "/webhook", body={**MESSAGE, "session_id": "https://shop.example//a/"})
        assert (await api("GET", "/v1/sessions/https://shop.example//a/")).status == 200
        assert (await api("GET", "/v1/sessions/https://shop.example/a")).status == 404
