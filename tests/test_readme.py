"""The README's claims, held against the code."""

import re
from pathlib import Path

from answerback.kernel.errors import ErrorCode

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_it_explains_every_code_that_a_job_may_end_with() -> None:
    table = README.partition("| `error.code` | meaning |")[2].partition("\n\n")[0]
    explained = [code for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.partition(" | ")[0])]

    assert sorted(explained) == sorted(ErrorCode)
