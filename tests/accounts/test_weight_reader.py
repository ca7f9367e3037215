"""The tenants' weights, read by every process."""

import asyncio
from collections.abc import Mapping

import pytest

from answerback.accounts import weight_reader
from answerback.accounts.weight_reader import WeightReader
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.shares import Weights


class Store:
    """Fails the first time."""

    def __init__(self) -> None:
        self.reads = 0
        self.read_again = asyncio.Event()

    async def weights(self) -> Mapping[str, int]:
        self.reads += 1
        if self.reads == 1:
            raise StorageUnavailable("the database is away")
        self.read_again.set()
        return {"heavy": 3}


async def test_weights_are_read_again_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_reader, "SOON_SECONDS", 0.0)
    store, weights = Store(), Weights()
    reader = WeightReader(store, weights)  # type: ignore[arg-type]

    reader.start()
    await store.read_again.wait()
    await reader.close()

    assert [weights.of("heavy"), weights.of("light")] == [3, 1]
