"""Files of results: private, and deleted with age."""

import os
import stat
import time
from pathlib import Path

from answerback.benchmark.results import ResultsFolder, private
from answerback.benchmark.retention import Retention
from answerback.kernel.errors import ResultsUnwritable
from builders import DAY, Journal


def mode_of(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


async def test_only_the_user_of_the_process_reads_results(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        file = await ResultsFolder(tmp_path / "benchmarks").create()
        with private(tmp_path / "plot.svg"):
            pass
    finally:
        os.umask(umask)
    await file.close()

    assert (mode_of(file.path), mode_of(tmp_path / "plot.svg")) == (0o600, 0o600)


def aged(folder: Path, name: str, days: float) -> None:
    path = folder / name
    path.write_text("x")
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))


async def test_results_are_deleted_once_they_are_old_and_nothing_else_is(tmp_path: Path, journal: Journal) -> None:
    for name, days in (
        ("benchmark-20260101T000000Z-0a.csv", 31),
        ("benchmark-20260101T000000Z-0a.svg", 31),
        ("benchmark-20260102T000000Z-0b.csv", 29),
        ("notes.csv", 1000),
    ):
        aged(tmp_path, name, days)

    await Retention(ResultsFolder(tmp_path), 30 * DAY, journal).prune()

    assert sorted(os.listdir(tmp_path)) == ["benchmark-20260102T000000Z-0b.csv", "notes.csv"]
    assert journal.lines == [("benchmarks_pruned", {"files": 2})]


async def test_a_folder_that_is_missing_or_takes_no_change_breaks_nothing(tmp_path: Path, journal: Journal) -> None:
    await Retention(ResultsFolder(tmp_path / "missing"), DAY, journal).prune()
    assert journal.lines == []

    class Broken(ResultsFolder):
        async def prune(self, retention_seconds: float) -> int:
            raise ResultsUnwritable("the results cannot be written")

    await Retention(Broken(tmp_path), DAY, journal).prune()
    assert journal.events == ["benchmarks_not_pruned"]
