"""The log as a file: it is moved on, and trouble with it loses lines only."""

import socket
from pathlib import Path
from typing import Any

import pytest

from answerback.observability import configure, logfile
from answerback.observability.logfile import KEPT, LogFile


class TestTheFile:
    def test_it_is_moved_on_when_it_has_grown_and_the_oldest_goes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logfile, "MAX_BYTES", 100)
        file = LogFile(tmp_path)

        for number in range(100):
            file.write(f"{number:03d} " + "x" * 45)
        file.close()

        names = sorted(each.name for each in tmp_path.iterdir())
        assert names == ["answerback.log", *(f"answerback.log.{n}" for n in range(1, KEPT + 1))]
        kept = "".join((tmp_path / name).read_text() for name in (*reversed(names[1:]), names[0])).splitlines()
        assert [line[:3] for line in kept] == [f"{n:03d}" for n in range(100 - len(kept), 100)]
        assert all((tmp_path / name).stat().st_size <= 150 for name in names)

    def test_of_two_processes_that_write_to_it_one_moves_it_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logfile, "MAX_BYTES", 100)
        one, two = LogFile(tmp_path), LogFile(tmp_path)

        for number in range(3):
            one.write(f"{number} one " + "x" * 45)
            two.write(f"{number} two " + "x" * 45)
        one.close()
        two.close()

        assert sorted(each.name for each in tmp_path.iterdir()) == ["answerback.log", "answerback.log.1"]
        lines = [line[:5] for name in tmp_path.iterdir() for line in name.read_text().splitlines()]
        assert sorted(lines) == sorted(f"{number} {who}" for number in range(3) for who in ("one", "two"))

    def test_it_goes_on_where_it_stopped(self, tmp_path: Path) -> None:
        for line in ("before", "after"):
            file = LogFile(tmp_path / "new" / "folder")
            file.write(line)
            file.close()

        assert (tmp_path / "new" / "folder" / "answerback.log").read_text() == "before\nafter\n"

    def test_characters_that_cannot_be_encoded_lose_no_line(self, tmp_path: Path) -> None:
        file = LogFile(tmp_path)

        file.write("half \ud800 a character")
        file.close()

        assert "half \\ud800 a character" in (tmp_path / "answerback.log").read_text()

    def test_a_full_disk_loses_lines_only(self, capsys: pytest.CaptureFixture[str]) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full here")
        file = LogFile(Path("/dev"))
        file._path = Path("/dev/full")

        for _ in range(3):
            file.write("lost")


def test_what_the_console_shows_is_also_written(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    stream = ours.makefile("w")
    log: Any = configure("INFO", "text", stream, tmp_path)

    log.info("both", n=1)

    stream.close()
    ours.close()
    shown = theirs.makefile().read()
    theirs.close()
    assert shown.endswith(" - INFO - both n=1\n")
    assert (tmp_path / "answerback.log").read_text() == shown
