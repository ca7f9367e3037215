"""How times are shown."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from answerback.kernel.clock import rfc3339


@given(st.integers(-10_000_000_000, 4_000_000_000_000))
def test_a_moment_is_shown_in_utc_with_its_milliseconds(epoch_ms: int) -> None:
    shown = rfc3339(epoch_ms)

    assert datetime.fromisoformat(shown) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    assert (shown[-1], shown[-5], len(shown)) == ("Z", ".", 24)
