"""A row that is inserted where its worker pool has room is born claimed, and runs without a claim."""

import asyncio
from dataclasses import dataclass

import pytest
from stage import ALONE, LEASE, Row, Stage

from answerback.kernel.errors import OutcomeUnknown, StorageUnavailable
from answerback.kernel.shares import Shares
from answerback.queue import worker_pool as pools
from answerback.queue.birth import Births
from answerback.queue.leases import Offer
from answerback.queue.unconfirmed import UnconfirmedClaims
from answerback.queue.worker_pool import WorkerPool


@pytest.fixture(autouse=True)
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "POLL_SECONDS", 3_600.0)


@dataclass(frozen=True)
class Inserted:
    claim: Row | None


class Ward:
    """Inserts rows; each is born claimed if it may be, unless there is `trouble`."""

    def __init__(self, pool: WorkerPool[Row]) -> None:
        self.pool = pool
        self.unconfirmed = UnconfirmedClaims()
        self.births = Births(pool, self.unconfirmed)
        self.offers: list[Offer | None] = []
        self.trouble: Exception | None = None
        self.may_run = True
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def insert(self, row_id: str, tenant_id: str = "t") -> Inserted:
        async def insert(offer: Offer | None) -> Inserted:
            self.offers.append(offer)
            await self.go_on.wait()
            if self.trouble is not None:
                raise self.trouble
            return Inserted(Row(row_id, tenant_id=tenant_id) if offer and self.may_run else None)

        return await self.births.insert(tenant_id, insert)

    async def unconfirmed_names(self) -> list[str]:
        """As the next claim learns them."""
        names: list[str] = []

        async def claim(_: str, unconfirmed: object) -> None:
            names.extend(unconfirmed)  # type: ignore[call-overload]

        await self.unconfirmed.claim("worker", claim)
        return names


async def begun(stage: Stage, capacity: int = 10) -> Ward:
    """A pool that claims, and found nothing."""
    pool = stage.start(capacity)
    await stage.table.until(lambda: len(stage.table.limits) == 1)
    await turn()
    return Ward(pool)


async def turn() -> None:
    """Lets the pool see what has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_runs_without_a_claim(stage: Stage) -> None:
    ward = await begun(stage)

    await ward.insert("r")

    await stage.table.until(lambda: stage.table.running == {"r"})
    assert len(stage.table.limits) == 1
    (offer,) = ward.offers
    assert offer is not None
    assert offer.lease_seconds == 60.0


async def test_each_offer_has_a_name_of_its_own(stage: Stage) -> None:
    ward = await begun(stage)

    await asyncio.gather(*(ward.insert(f"r{n}") for n in range(5)))

    assert len({offer.owner for offer in ward.offers if offer}) == 5


async def test_no_more_are_born_than_the_pool_has_places_and_an_end_makes_room(stage: Stage) -> None:
    ward = await begun(stage, capacity=3)
    ward.go_on.clear()
    inserting = [asyncio.create_task(ward.insert(f"r{n}")) for n in range(5)]
    await asyncio.sleep(0)
    ward.go_on.set()
    await asyncio.gather(*inserting)
    assert [offer is not None for offer in ward.offers] == [True, True, True, False, False]
    await stage.table.until(lambda: len(stage.table.running) == 3)

    stage.table.let_go.set()
    await stage.table.until(lambda: len(stage.table.ended) == 3)
    await turn()
    await ward.insert("next")

    await stage.table.until(lambda: "next" in stage.table.ended)
    assert stage.table.most == 3


async def test_places_that_a_claim_under_way_may_fill_are_not_offered(stage: Stage) -> None:
    table = stage.table
    ward = await begun(stage)
    table.claiming = asyncio.Event()
    stage.ready.set()
    await table.until(lambda: len(table.limits) == 2)

    await ward.insert("r")
    assert ward.offers == [None]

    table.claiming.set()
    table.claiming = None
    await turn()
    await ward.insert("r")
    await table.until(lambda: table.running == {"r"})


async def test_a_row_that_needs_no_place_gives_it_back(stage: Stage) -> None:
    ward = await begun(stage, capacity=1)
    ward.may_run = False
    await ward.insert("held")

    ward.may_run = True
    await ward.insert("r")

    await stage.table.until(lambda: stage.table.running == {"r"})


@pytest.mark.parametrize("trouble", [StorageUnavailable("database is locked"), ValueError("no such column")])
async def test_an_insert_that_fails_gives_the_place_back_and_leaves_nothing_to_undo(
    stage: Stage, trouble: Exception
) -> None:
    ward = await begun(stage, capacity=1)
    ward.trouble = trouble
    with pytest.raises(type(trouble)):
        await ward.insert("r")

    assert await ward.unconfirmed_names() == []
    ward.trouble = None
    await ward.insert("next")
    await stage.table.until(lambda: stage.table.running == {"next"})


async def test_a_birth_whose_commit_was_not_answered_is_undone_by_the_next_claim(stage: Stage) -> None:
    ward = await begun(stage, capacity=1)
    ward.trouble = OutcomeUnknown("the connection broke")

    with pytest.raises(OutcomeUnknown):
        await ward.insert("r")

    (offer,) = ward.offers
    assert offer is not None
    assert await ward.unconfirmed_names() == [offer.owner]
    assert ward.pool.reserve("t")


async def test_a_pool_that_has_not_begun_or_stops_offers_nothing(stage: Stage) -> None:
    ward = Ward(WorkerPool(stage.table, stage.ready, Shares(10, ALONE), 60.0, stage.instruments))
    await ward.insert("before")

    running = await begun(stage)
    await running.pool.stop(0.0)
    await running.insert("after")

    assert ward.offers == running.offers == [None]


async def test_a_row_born_while_its_pool_stops_is_given_back(stage: Stage) -> None:
    ward = await begun(stage)
    ward.go_on.clear()
    inserting = asyncio.create_task(ward.insert("r"))
    await asyncio.sleep(0)
    await ward.pool.stop(0.0)

    ward.go_on.set()
    await inserting

    assert stage.table.released == [("r", 1)]
    assert stage.table.running == set()


@pytest.mark.usefixtures("time_flies")
async def test_the_lease_of_a_born_row_is_kept(stage: Stage) -> None:
    pool = stage.start(lease=LEASE)
    await stage.table.until(lambda: len(stage.table.limits) == 1)
    await Ward(pool).insert("r")

    await stage.table.until(lambda: stage.table.extensions >= 2)

    assert stage.table.running == {"r"}
