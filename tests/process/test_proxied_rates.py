"""Whose rate a request counts against, behind a proxy."""

import aiohttp

from answerback.testing import Service


async def test_the_address_that_counts_is_the_one_that_a_trusted_proxy_names() -> None:
    async with (
        Service({"MOCK_MODE": "true", "RATE_LIMIT": "4/minute", "TRUSTED_PROXIES": "127.0.0.0/8"}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):

        async def status(**headers: str) -> int:
            async with http.get("/v1/jobs", headers=headers) as response:
                return response.status

        direct = [await status() for _ in range(6)]
        forwarded = [await status(**{"X-Forwarded-For": "203.0.113.9"}) for _ in range(6)]
        same_network = [await status(**{"X-Forwarded-For": f"2001:db8:1:2::{n}"}) for n in range(1, 7)]

    assert direct == forwarded == same_network == [200] * 4 + [429] * 2


async def test_by_default_nobody_names_another_address() -> None:
    async with (
        Service({"MOCK_MODE": "true", "RATE_LIMIT": "4/minute"}) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        statuses = []
        for n in range(6):
            async with http.get("/v1/jobs", headers={"X-Forwarded-For": f"203.0.113.{n}"}) as response:
                statuses.append(response.status)

    assert statuses == [200] * 4 + [429] * 2
