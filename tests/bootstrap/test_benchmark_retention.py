"""A service deletes results of benchmarks that are older than `RETENTION_DAYS`."""

import os
import time
from pathlib import Path

from builders import DAY
from eventually import eventually
from whole_api import whole_api


async def test_results_older_than_the_retention_are_deleted_at_the_start(path: Path, tmp_path: Path) -> None:
    old, newer = (tmp_path / f"benchmark-20260101T000000Z-0{name}.csv" for name in "ab")
    for file, days in ((old, 2.5), (newer, 1.5)):
        file.write_text("x")
        os.utime(file, (time.time() - days * DAY,) * 2)

    async with whole_api(path, benchmarks_dir=tmp_path, retention_days=2) as api:
        for work in api.service.background:
            work.start()
        await eventually(lambda: not old.exists(), "the old one is deleted")

    assert newer.exists()
