"""The sides of a database."""

from typing import Any

from answerback.database.operation import Database


class Closing:
    """Implements `Runner`; counts how often it is closed."""

    closed = 0

    async def run(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is run")

    async def close(self) -> None:
        self.closed += 1


async def test_a_runner_that_serves_all_sides_is_closed_once() -> None:
    runner = Closing()

    await Database(runner, runner, runner).close()

    assert runner.closed == 1
