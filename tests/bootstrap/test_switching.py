"""An event loop that is busy does not hold up the thread of the database."""

import sys
from pathlib import Path

from answerback.bootstrap.runtime import SWITCH_SECONDS
from whole_api import whole_api


async def test_a_process_lets_its_threads_go_on_soon(tmp_path: Path) -> None:
    async with whole_api(tmp_path / "a.db"):
        assert sys.getswitchinterval() <= SWITCH_SECONDS
