"""The tenants' weights, read by every process."""

from collections.abc import Mapping

from answerback.accounts.weight_reader import EVERY_SECONDS, SOON_SECONDS, WeightReader
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.shares import Weights


class Store:
    """Fails the first time."""

    def __init__(self) -> None:
        self.reads = 0

    async def weights(self) -> Mapping[str, int]:
        self.reads += 1
        if self.reads == 1:
            raise StorageUnavailable("the database is away")
        return {"heavy": 3}


async def test_weights_are_read_again_soon_after_an_outage() -> None:
    weights = Weights()
    reader = WeightReader(Store(), weights)  # type: ignore[arg-type]

    assert await reader.read() == SOON_SECONDS
    assert weights.of("heavy") == 1
    assert await reader.read() == EVERY_SECONDS
    assert [weights.of("heavy"), weights.of("light")] == [3, 1]
