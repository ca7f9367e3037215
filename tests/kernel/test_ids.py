"""Identifiers and origins."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerback.kernel.ids import new_id
from answerback.webhooks.model import origin_of

times = st.integers(0, 2**48 - 1)


@given(times)
def test_an_id_is_a_uuid_of_version_7_that_carries_its_time(now: int) -> None:
    value = uuid.UUID(new_id("job_", now).removeprefix("job_"))

    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == now


@given(times, times)
def test_newer_ids_sort_later(one: int, other: int) -> None:
    if one < other:
        assert new_id("job_", one) < new_id("job_", other)


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id("msg_", 5) for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.com/a?b#c", "https://example.com:443"),
        ("http://example.com/a", "http://example.com:80"),
        ("https://EXAMPLE.com:443/x", "https://example.com:443"),
        ("http://example.com:8080", "http://example.com:8080"),
        ("http://[::1]:9/x", "http://::1:9"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin
