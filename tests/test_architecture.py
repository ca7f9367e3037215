"""ARCHITECTURE.md and the decisions name files, rooms and states that exist; no two files of tests share a name."""

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path

import pytest

from answerback.jobs.kind import JobState
from answerback.webhooks.model import DeliveryState

ROOT = Path(__file__).parents[1]
ROOMS = ROOT / "src" / "answerback"
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
END_IN_PROSE = {JobState.CANCELLED, JobState.EXPIRED}
"""Any open job may end like this, which would be an arrow from each state."""


def test_every_named_file_exists() -> None:
    pages = [PAGE, (ROOT / "CONTRIBUTING.md").read_text(), *(page.read_text() for page in DECISIONS)]
    named = {name for page in pages for name in re.findall(r"\b(?:[a-z_]+/)+[a-z_]+\.py\b", page)}

    assert [name for name in sorted(named) if not (ROOMS / name).exists() and not (ROOT / name).exists()] == []


def test_the_tree_shows_every_room() -> None:
    tree = PAGE.partition("```\ncli")[2].partition("```")[0]
    shown = {
        room for line in ("cli" + tree).splitlines() for room in re.split(r"\s+\|\s+", re.split(r"\s{2,}", line)[0])
    }

    assert shown == {path.parent.name for path in ROOMS.glob("*/__init__.py")} | {"cli"}


@pytest.mark.parametrize(("number", "states"), [(0, set(JobState) - END_IN_PROSE), (1, set(DeliveryState))])
def test_the_diagrams_show_every_state(number: int, states: set[StrEnum]) -> None:
    diagram = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)[number]

    assert set(re.findall(r"\b[a-z]+(?= -->)|(?<=--> )[a-z]+", diagram)) == states


def test_the_index_lists_every_decision_with_its_three_parts() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")

    assert re.findall(r"\((\d{4}-[a-z-]+\.md)\)", index) == [page.name for page in DECISIONS]
    for page in DECISIONS:
        assert re.findall(r"^## (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE) == [
            "Context",
            "Decision",
            "Cost",
        ]


def test_no_two_files_of_tests_share_a_name() -> None:
    shared = ("__init__.py", "conftest.py")
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py") if path.name not in shared)

    assert [name for name, count in names.items() if count > 1] == [], "pytest takes one for the other"
