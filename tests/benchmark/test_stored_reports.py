"""Reports that are kept: each its tenant's, the newest first, none of another, none by a path."""

import os
import stat
from pathlib import Path

import pytest
from pydantic import BaseModel

from answerback.benchmark.reports import BenchmarkSummary, Reports
from answerback.kernel.errors import NotFound
from builders import TENANT, Journal


class Body(BaseModel):
    text: str


@pytest.fixture
def reports(tmp_path: Path, journal: Journal) -> Reports:
    return Reports(tmp_path, journal)


def name(number: int) -> str:
    return f"benchmark-20260101T12000{number}Z-0000000{number}"


def summary(number: int) -> BenchmarkSummary:
    return BenchmarkSummary(name=name(number), model="m", calls=number, failures=0, created_at=number)


async def keep(reports: Reports, tmp_path: Path, number: int, tenant: str = TENANT) -> None:
    await reports.keep(tenant, str(tmp_path / f"{name(number)}.csv"), summary(number), Body(text=f"größe {number}"))


async def test_a_tenant_finds_its_own_the_newest_first(reports: Reports, tmp_path: Path) -> None:
    for number, tenant in ((1, TENANT), (2, "tenant-b"), (3, TENANT)):
        await keep(reports, tmp_path, number, tenant)
    (tmp_path / "benchmark-20260101T120009Z-00000009.json").write_text("not ours")

    assert await reports.list(TENANT) == [summary(3), summary(1)]
    assert await reports.get(TENANT, name(3)) == '{"text":"größe 3"}'.encode()
    with pytest.raises(NotFound):
        await reports.get(TENANT, name(2))


@pytest.mark.parametrize("wrong", ["", "nothing", "../secret", name(1) + "/../" + name(1), name(4), "benchmark-*"])
async def test_nothing_else_is_found(reports: Reports, tmp_path: Path, wrong: str) -> None:
    await keep(reports, tmp_path, 1)

    with pytest.raises(NotFound):
        await reports.get(TENANT, wrong)


async def test_only_the_user_of_the_process_reads_them(reports: Reports, tmp_path: Path) -> None:
    await keep(reports, tmp_path, 1)

    (file,) = os.listdir(tmp_path)
    assert stat.S_IMODE(os.stat(tmp_path / file).st_mode) == 0o600


async def test_what_cannot_be_kept_is_logged(tmp_path: Path, journal: Journal) -> None:
    reports = Reports(tmp_path / "gone", journal)

    await reports.keep(TENANT, str(tmp_path / "gone" / f"{name(1)}.csv"), summary(1), Body(text="x"))

    assert journal.events == ["report_not_kept"]
    assert await reports.list(TENANT) == []
