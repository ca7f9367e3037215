"""README.md and the guides: every command runs, every file works, and what is shown is what a reader sees."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from answerback.kernel import signature
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from doc_pages import Block, blocks
from npm import OPENAI, installed
from surroundings import SECRET
from terminals import reader
from whole_api import whole_api

ROOT = Path(__file__).parents[2]
GUIDES = [*sorted((ROOT / "docs" / "guides").glob("*.md")), ROOT / "docs" / "operations.md"]
STARTS_IT = "answerback serve"


def serves_itself(page: Sequence[Block]) -> bool:
    return any(block.language == "sh" and STARTS_IT in block.text for block in page)


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
async def test_a_guide_shows_what_happens(
    path: Path, tmp_path: Path, ports: dict[str, str], llm: FakeLLM, pytestconfig: pytest.Config
) -> None:
    page = blocks(path)
    for_node = any("npm install openai" in block.text for block in page)
    modules = {"NODE_MODULES": str(installed(pytestconfig, OPENAI) / "node_modules")} if for_node else {}
    places = ports | {"11434": str(llm.port)}
    if serves_itself(page):
        async with reader(tmp_path, places, APP_PORT=ports["8080"]) as follower:
            await follower.follow(page)
        return
    settings = {"MOCK_MODE": "true", "MOCK_DELAY_SECONDS": "0"}
    async with (
        Service(settings, folder=tmp_path) as service,
        reader(tmp_path, places | {"8080": str(service.port)}, **modules) as follower,
    ):
        await follower.follow(page)


@pytest.mark.parametrize("name", ["responses", "embeddings", "completions", "files", "batches"])
async def test_the_guides_name_what_of_openais_sdks_does_not_work_yet(name: str, path: Path) -> None:
    missing = re.findall(
        r"\(([^()]+) are\s+not\s+here\s+yet\.\)",
        (ROOT / "docs" / "guides" / "synchronous.md").read_text(encoding="utf-8"),
    )
    assert len(missing) == 1
    async with whole_api(path) as api:
        offered = (await api("POST", f"/v1/{name}", body={})).status != 404

    assert (re.search(rf"\b{name}\b", missing[0]) is not None) is not offered


@pytest.mark.parametrize("name", ["verify.py", "by_hand.py"])
def test_the_checks_of_a_signature_take_what_is_signed_and_nothing_else(name: str) -> None:
    code = next(block.text for block in blocks(ROOT / "docs" / "guides" / "receiving.md") if block.title == name)
    defined: dict[str, Any] = {}
    exec(code, defined)  # the page is ours
    body = b'{"response": "Paris."}'
    signed = signature.headers("msg_1", int(time.time()), body, [SECRET])
    headers = {key.lower(): value for key, value in signed.items()}

    if name == "verify.py":
        assert defined["verify"](SECRET, body, headers) == {"response": "Paris."}
        with pytest.raises(WebhookVerificationError):
            defined["verify"](SECRET, body + b" ", headers)
    else:
        assert defined["is_ours"](SECRET, body, headers)
        assert not defined["is_ours"](SECRET, body + b" ", headers)
