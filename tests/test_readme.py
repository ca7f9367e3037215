"""The README's claims, held against the code."""

import re
from pathlib import Path

import pytest

from answerback.kernel.errors import ErrorCode
from whole_api import whole_api

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_it_explains_every_code_that_a_job_may_end_with() -> None:
    table = README.partition("| `error.code` | meaning |")[2].partition("\n\n")[0]
    explained = [code for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.partition(" | ")[0])]

    assert sorted(explained) == sorted(ErrorCode)


@pytest.mark.parametrize("name", ["responses", "embeddings", "completions", "files", "batches"])
async def test_it_names_what_of_openais_sdks_does_not_work_yet(name: str, path: Path) -> None:
    missing = re.findall(r"\(([^()]+) are not here yet\.\)", README)
    assert len(missing) == 1
    async with whole_api(path) as api:
        offered = (await api("POST", f"/v1/{name}", body={})).status != 404

    assert (re.search(rf"\b{name}\b", missing[0]) is not None) is not offered
