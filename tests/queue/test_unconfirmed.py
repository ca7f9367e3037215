"""A claim whose commit was not answered is named to the next claim, until one has been answered."""

from collections.abc import Sequence

import pytest

from answerback.kernel.errors import OutcomeUnknown
from answerback.queue.unconfirmed import UnconfirmedClaims


async def test_the_next_claims_learn_the_name_of_an_unconfirmed_one_until_they_are_confirmed() -> None:
    claims = UnconfirmedClaims()
    seen: list[tuple[str, Sequence[str]]] = []

    async def lost(name: str, unconfirmed: Sequence[str]) -> None:
        seen.append((name, unconfirmed))
        raise OutcomeUnknown("the connection broke")

    async def confirmed(name: str, unconfirmed: Sequence[str]) -> None:
        seen.append((name, unconfirmed))

    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await claims.claim("worker", lost)
    await claims.claim("worker", confirmed)
    await claims.claim("worker", confirmed)

    assert seen == [
        ("worker/1", ()),
        ("worker/2", ("worker/1",)),
        ("worker/3", ("worker/1", "worker/2")),
        ("worker/4", ()),
    ]
