"""Bodies that come in part hold no more than all may, and those that come on are not cut for those that do not."""

from answerback.http.unfinished_bodies import STILL_SECONDS, UnfinishedBodies
from answerback.testing.clock import FakeClock

SIZE = 1_000_000


class Request:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def brought(bodies: UnfinishedBodies, client: str, number: int) -> list[Request]:
    requests = [Request() for _ in range(number)]
    for each in requests:
        bodies.brought(each, client, SIZE)
    return requests


def aborted(requests: list[Request]) -> list[bool]:
    return [each.aborted for each in requests]


def test_bodies_that_come_on_all_come_whole(clock: FakeClock) -> None:
    bodies = UnfinishedBodies(2 * SIZE, 100 * SIZE, clock.monotonic)
    requests = brought(bodies, "a", 5)

    for more in range(1, 4):
        clock.advance(STILL_SECONDS / 2)
        for each in requests:
            bodies.brought(each, "a", SIZE + more)

    assert not any(aborted(requests))


def test_those_of_which_nothing_comes_make_room(clock: FakeClock) -> None:
    bodies = UnfinishedBodies(3 * SIZE, 100 * SIZE, clock.monotonic)
    silent = brought(bodies, "a", 3)

    clock.advance(STILL_SECONDS)
    late = brought(bodies, "b", 2)

    assert aborted([*silent, *late]) == [True, True, False, False, False]


def test_the_client_with_most_loses_where_all_come_on(clock: FakeClock) -> None:
    bodies = UnfinishedBodies(2 * SIZE, 4 * SIZE, clock.monotonic)
    few = brought(bodies, "few", 1)

    many = brought(bodies, "many", 5)

    assert aborted([*few, *many]) == [False, True, True, False, False, False]


def test_a_body_that_is_whole_or_over_holds_nothing(clock: FakeClock) -> None:
    bodies = UnfinishedBodies(2 * SIZE, 2 * SIZE, clock.monotonic)
    first = brought(bodies, "a", 2)
    for each in first:
        bodies.ended(each)
        bodies.ended(each)

    second = brought(bodies, "a", 2)

    assert not any(aborted([*first, *second]))
