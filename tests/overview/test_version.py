"""The version of the database shows whether anything was written, by whatever process."""

from builders import accept
from eventually import eventually
from stores import Stores


async def test_it_is_another_one_after_a_write_and_else_the_same(stores: Stores) -> None:
    async def rests() -> bool:
        before = await stores.overview.version()
        await stores.jobs.count_open()
        return await stores.overview.version() == before

    # On PostgreSQL it changes with what other tests write to the same server.
    await eventually(rests, "nothing was written between two looks")
    before = await stores.overview.version()

    await accept(stores)

    assert await stores.overview.version() != before
