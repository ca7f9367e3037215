"""Brokers of either kind."""

import pytest


@pytest.fixture(params=["redis_url", "rabbitmq_url"], ids=["redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """An empty broker that nobody kills."""
    url: str = request.getfixturevalue(request.param)
    return url
