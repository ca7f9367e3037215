"""A resend that meets a claim: on PostgreSQL only the row's lock keeps them apart."""

import pytest

from answerback.kernel.errors import Conflict
from answerback.testing.clock import FakeClock
from builders import REPORT, TENANT, claim_delivery, ended_job
from databases import PostgresDatabase
from racing import blocked, held


async def test_a_delivery_that_is_being_claimed_is_not_resent(postgres: PostgresDatabase, clock: FakeClock) -> None:
    stores, other = await postgres.open(clock), await postgres.open(clock)
    try:
        await ended_job(stores)

        async with held(other, claim_delivery(other)) as claiming:
            # Still pending to every other transaction.
            ((delivery_id,),) = await postgres.rows("SELECT id FROM deliveries WHERE state = 'pending'")
            resending = await blocked(postgres, stores.deliveries.resend(TENANT, delivery_id))
            claim = await claiming.commit()
            with pytest.raises(Conflict, match="under way"):
                await resending

        assert await stores.deliveries.delivered(claim, REPORT)
    finally:
        await stores.close()
        await other.close()
