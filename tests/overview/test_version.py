"""The version of the database shows whether anything was written, by whatever process."""

from builders import accept
from stores import Stores


async def test_it_is_another_one_after_a_write_and_else_the_same(stores: Stores) -> None:
    before = await stores.overview.version()
    await stores.jobs.count_open()
    assert await stores.overview.version() == before

    await accept(stores)

    assert await stores.overview.version() != before
