"""`GET /v1/providers`: who is asked for what, in order, and how that goes."""

from pathlib import Path

from answerback.bootstrap.upstreams import Upstreams
from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.telemetry import LLMCall
from answerback.llm.health import Health
from answerback.llm.standing import Step
from answerback.settings import Settings
from answerback.testing.clock import FakeClock
from builders import Journal
from whole_api import whole_api

CLIENT, OPERATOR = "client-token-2b7c", "operator-token-6d1f"
ROUTES = """
default = "chat"
[providers.slow]
base_url = "http://127.0.0.1:9/v1"
[providers.quick]
base_url = "http://127.0.0.1:10/v1"
[routes]
small = [{provider = "slow", model = "tiny"}]
chat = [{provider = "quick", model = "large"}, {provider = "slow", model = "large"}]
"""


async def test_it_shows_how_calls_went_and_who_rests(path: Path) -> None:
    async with whole_api(path, operator_token=OPERATOR, auth_token=CLIENT) as api:
        health = api.service.overview.providers.health
        error = ProviderError(ErrorCode.UPSTREAM_RATE_LIMITED, "the upstream limits", retryable=True)
        health.called(LLMCall("mock", "m", 0.25), None)
        health.called(LLMCall("mock", "m", 0.1, code=error.failure.code), error)
        health.rests("mock", "m", 30, ErrorCode.UPSTREAM_RATE_LIMITED)

        (client,) = (await api("GET", "/v1/providers", CLIENT)).json["items"]
        (operator,) = (await api("GET", "/v1/providers", OPERATOR)).json["items"]

    assert (client["name"], client["models"], client["reachable"]) == ("mock", None, True)
    assert (client["failure_rate"], client["latency_ms_p50"]) == (0.5, 250)
    # Of all tenants together, as the rest.
    assert (client["calls"], client["failures"]) == (None, None)
    assert (operator["calls"], operator["failures"], operator["failure_rate"]) == (2, 1, 0.5)
    (rest,) = client["rests"]
    assert (rest["model"], rest["reason"], rest["until"]) == ("m", "upstream_rate_limited", client["resting_until"])
    assert (client["reason"], client["last_error"]) == ("upstream_rate_limited", None)
    assert operator["last_error"] == "the upstream limits"


async def test_providers_are_in_the_order_of_the_default_route(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES)
    settings = Settings(_env_file=None, llm_routes_file=file)  # type: ignore[call-arg]
    clock = FakeClock()
    health = Health(clock)

    provider = Upstreams(settings).provider(Instruments(Journal(), clock), health)
    await provider.close()

    seen = [(each.name, each.models) for each in health.standings()]
    assert seen == [("quick", ("large",)), ("slow", ("large", "tiny"))]
    assert list(health.routes.items()) == [
        ("chat", [("quick", "large"), ("slow", "large")]),
        ("small", [("slow", "tiny")]),
    ]


async def test_a_default_model_without_a_route_is_a_route_of_the_first_provider(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES)
    settings = Settings(_env_file=None, llm_routes_file=file, llm_model="own")  # type: ignore[call-arg]
    health = Health(FakeClock())

    provider = Upstreams(settings).provider(Instruments(Journal(), FakeClock()), health)
    await provider.close()

    assert next(iter(health.routes.items())) == ("own", [("slow", "own")])


async def test_it_shows_the_routes_in_the_order_of_their_steps(path: Path) -> None:
    async with whole_api(path, auth_token=CLIENT) as api:
        health = api.service.overview.providers.health
        health.routed({"chat": [Step("quick", "large"), Step("slow", "small")], "small": [Step("slow", "small")]})

        routes = (await api("GET", "/v1/providers", CLIENT)).json["routes"]

    assert [(each["name"], each["default"]) for each in routes] == [("chat", True), ("small", False)]
    assert routes[0]["steps"] == [{"provider": "quick", "model": "large"}, {"provider": "slow", "model": "small"}]
