"""Where benchmarks leave their results."""

from typing import Protocol


class ResultsFile(Protocol):
    """A benchmark's file. `path` is where an operator finds it."""

    path: str

    async def write(self, text: str) -> None:
        """Raises ResultsUnwritable."""

    async def close(self) -> None: ...


class Results(Protocol):
    """Where benchmarks leave their results."""

    async def create(self) -> ResultsFile:
        """A new file under a name of its own. Raises ResultsUnwritable."""
