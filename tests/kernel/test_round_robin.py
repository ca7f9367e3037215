"""Items of several tenants, taken in turn."""

from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st

from answerback.kernel.round_robin import RoundRobin


def filled(*items: str) -> RoundRobin[str]:
    """`a1` is an item of tenant a."""
    waiting: RoundRobin[str] = RoundRobin()
    for item in items:
        waiting.add(item[0], item)
    return waiting


def drained(waiting: RoundRobin[str], n: int = 1000) -> list[str]:
    return [taken[1] for _ in range(n) if (taken := waiting.take()) is not None]


def test_tenants_take_turns_and_each_keeps_its_order() -> None:
    assert drained(filled("a1", "a2", "a3", "a4", "b1", "b2", "c1")) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_a_turn_is_as_long_as_its_tenant_weighs() -> None:
    waiting: RoundRobin[str] = RoundRobin(lambda tenant: 3 if tenant == "a" else 1)
    for number in range(8):
        waiting.add("a", f"a{number}")
        waiting.add("b", f"b{number}")

    # A newcomer's first comes at once.
    assert "".join(each[0] for each in drained(waiting, 9)) == "abaabaaab"


def test_a_newcomer_comes_before_those_that_had_a_turn() -> None:
    waiting = filled("a1", "a2", "a3", "b1", "b2")
    assert drained(waiting, 3) == ["a1", "b1", "a2"]

    waiting.add("c", "c1")

    assert drained(waiting) == ["c1", "b2", "a3"]


def test_asking_for_one_at_a_time_gains_no_turn() -> None:
    waiting = filled("b1", *(f"a{n}" for n in range(50)))
    order = ""
    for n in range(40):
        taken = waiting.take()
        assert taken is not None
        order += taken[0]
        if taken[0] == "b":
            waiting.add("b", f"b more {n}")

    assert "bb" not in order
    assert Counter(order) == {"a": 20, "b": 20}


def test_a_tenant_that_may_not_is_passed_and_waits_on() -> None:
    waiting = filled("a1", "a2", "b1", "c1")

    assert waiting.take(lambda tenant_id: tenant_id == "b") == ("b", "b1")
    assert waiting.take(lambda tenant_id: tenant_id == "b") is None
    assert (waiting.of("a"), waiting.of("b"), len(waiting)) == (2, 0, 3)
    assert sorted(drained(waiting)) == ["a1", "a2", "c1"]


def test_what_is_removed_is_not_taken() -> None:
    waiting = filled("a1", "a2", "b1")

    waiting.remove("a", "a1")
    waiting.remove("a", "a1")
    waiting.remove("z", "z1")

    assert drained(waiting) == ["a2", "b1"]
    assert waiting.tenants == 0


Step = tuple[str, str]


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "remove"]), st.sampled_from("abcd")), max_size=200))
def test_nothing_is_lost_and_nobody_waits_for_more_than_a_round(steps: list[Step]) -> None:
    waiting: RoundRobin[str] = RoundRobin()
    expected: dict[str, deque[str]] = {tenant_id: deque() for tenant_id in "abcd"}
    passed: Counter[tuple[str, str]] = Counter()
    for n, (step, tenant_id) in enumerate(steps):
        items = expected[tenant_id]
        if step == "add":
            items.append(f"{tenant_id}{n}")
            waiting.add(tenant_id, items[-1])
        elif step == "remove" and items:
            waiting.remove(tenant_id, items.pop())
        elif step == "take" and (taken := waiting.take()) is not None:
            turn, item = taken
            assert item == expected[turn].popleft()
            for other in "abcd":
                passed[other, turn] = passed[other, turn] + 1 if expected[other] and other != turn else 0
                passed[turn, other] = 0
        assert len(waiting) == sum(map(len, expected.values()))
        assert {each: waiting.of(each) for each in "abcd"} == {each: len(items) for each, items in expected.items()}
        assert max(passed.values(), default=0) <= 2
    assert sorted(drained(waiting)) == sorted(item for items in expected.values() for item in items)
    assert waiting.tenants == 0
