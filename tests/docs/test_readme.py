"""README.md, followed by a reader: every command runs, and what is shown is what the reader sees."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from answerback.kernel import signature
from answerback.settings import Settings
from answerback.settings.describing import describe
from doc_pages import Block, blocks
from npm import installed
from surroundings import SECRET
from terminals import Reader, reader

PAGE = Path(__file__).parents[2] / "README.md"
BLOCKS = blocks(PAGE)
ENV_FILES = [block for block in BLOCKS if block.title == ".env"]
RECEIVERS = {"receiver.py": "9001", "receiver.mjs": "9002"}


def is_express(block: Block) -> bool:
    return block.language == "js" or "npm install" in block.text


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """Those of the receiver for Express."""
    return installed(request.config, "express@5", "standardwebhooks@1") / "node_modules"


def test_it_has_200_lines_at_most() -> None:
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= 200


async def test_it_shows_what_happens(tmp_path: Path, ports: dict[str, str]) -> None:
    page = [block for block in BLOCKS if block.title != ".env" and not is_express(block)]

    async with reader(tmp_path, ports, APP_PORT=ports["8080"]) as follower:
        await follower.follow(page)


@pytest.mark.parametrize("block", ENV_FILES, ids=lambda block: block.text.partition("_")[0])
def test_two_lines_are_enough_for_a_provider(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, _, _ in describe():
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text(block.text)
    settings = Settings(_env_file=tmp_path / ".env")  # type: ignore[call-arg]

    assert len(block.text.splitlines()) == 2
    hosts = {"OPENROUTER": "https://openrouter.ai/api/v1", "OPENAI_API": "https://api.openai.com/v1"}
    expected = next((url for start, url in hosts.items() if block.text.startswith(start)), "http://localhost:11434/v1")
    assert (settings.provider_base_url, settings.mock) == (expected, False)
    assert settings.default_model == block.text.splitlines()[1].partition("=")[2]


@asynccontextmanager
async def running(name: str, folder: Path, ports: Mapping[str, str], **environment: str) -> AsyncIterator[Reader]:
    """The receiver of this file, started as the page says, with a secret that is known."""
    at = next(n for n, block in enumerate(BLOCKS) if block.title == name)
    file, start = BLOCKS[at : at + 2]
    known = replace(start, text=start.text.replace("$(answerback secret)", SECRET))
    async with reader(folder, ports, **environment) as follower:
        await follower.follow([file, known])
        yield follower


@pytest.mark.parametrize("name", RECEIVERS)
async def test_a_receiver_takes_a_callback_once_and_refuses_a_forged_one(
    name: str, tmp_path: Path, ports: dict[str, str], request: pytest.FixtureRequest
) -> None:
    modules = {"NODE_MODULES": str(request.getfixturevalue("node_modules"))} if name.endswith("mjs") else {}
    url = f"http://127.0.0.1:{ports[RECEIVERS[name]]}/callback"
    answer = {"session_id": "a", "status": "completed", "response": "ünï 🐕", "metadata": {"space": " "}}
    body = json.dumps(answer, indent=1).encode()

    async def post(webhook_id: str, sent: bytes = body, **changes: str) -> int:
        signed = signature.headers(webhook_id, int(time.time()), body, [SECRET])
        given = {"Content-Type": "application/json", **signed, **changes}
        async with aiohttp.ClientSession() as http, http.post(url, data=sent, headers=given) as response:
            return response.status

    # Given a receiver that took a callback, twice
    async with running(name, tmp_path, ports, **modules) as follower:
        assert [await post("msg_1"), await post("msg_1")] == [204, 204]
        # When another one has been changed on its way, or comes without a signature
        assert await post("msg_2", body.replace(b"completed", b"failed")) == 401
        assert await post("msg_2", **{"webhook-signature": "v1,AAAA"}) == 401
        assert await post("msg_3") == 204
        # Then it acted on each good one once
        assert follower.printed.count("a completed ünï 🐕") == 2
