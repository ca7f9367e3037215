"""Which tenants did something lately."""

from answerback.kernel.lately import Lately


def test_a_tenant_is_forgotten_after_a_while() -> None:
    lately = Lately(10.0)
    lately.note("a", 0.0)
    lately.note("b", 5.0)
    assert "a" in lately
    assert (lately.has_others("a"), lately.has_others("c"), len(lately)) == (True, True, 2)

    lately.note("b", 10.0)

    assert "a" not in lately
    assert (lately.has_others("a"), lately.has_others("b"), len(lately)) == (True, False, 1)


def test_what_a_tenant_did_last_counts() -> None:
    lately = Lately(10.0)
    for now in (0.0, 8.0):
        lately.note("a", now)

    lately.forget(12.0)

    assert "a" in lately
