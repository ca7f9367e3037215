"""Readers that all have something at once share the turns of the event loop."""

import asyncio

from answerback.http.client.slices import READS_A_TURN, Slices


async def turn() -> None:
    await asyncio.sleep(0)


async def test_few_readers_go_on_at_once() -> None:
    slices = Slices()
    readers = [asyncio.get_running_loop().create_future() for _ in range(READS_A_TURN)]

    for each in readers:
        slices.wake(each)

    assert all(each.done() for each in readers)


async def test_many_go_on_in_order_some_in_each_turn() -> None:
    # Given thousands of readers
    slices = Slices()
    readers = [asyncio.get_running_loop().create_future() for _ in range(10 * READS_A_TURN)]

    # When all have something to read
    for each in readers:
        slices.wake(each)

    # Then no turn has more than its share
    for number in range(1, 11):
        assert [each.done() for each in readers] == [at < number * READS_A_TURN for at in range(len(readers))]
        await turn()


async def test_readers_that_have_gone_take_no_turn() -> None:
    slices = Slices()
    readers = [asyncio.get_running_loop().create_future() for _ in range(10 * READS_A_TURN)]
    for each in readers:
        slices.wake(each)
    for each in readers[READS_A_TURN:-1]:
        each.cancel()

    await turn()

    assert readers[-1].done()


async def test_readers_that_never_pause_leave_turns_to_others() -> None:
    # Given streams that always find something waiting
    slices, read = Slices(), list[int]()

    async def stream(name: int) -> None:
        for _ in range(3):
            await slices.later()
            read.append(name)

    streams = [asyncio.ensure_future(stream(each)) for each in range(4 * READS_A_TURN)]

    # When the event loop turns, then only some of them read, and at the end each has
    most, before = 0, 0
    while not all(each.done() for each in streams):
        await turn()
        most, before = max(most, len(read) - before), len(read)
    assert most <= 2 * READS_A_TURN
    assert sorted(read) == sorted(list(range(4 * READS_A_TURN)) * 3)
