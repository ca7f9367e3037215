"""Building the LLMs that the settings name."""

import os
from collections.abc import Mapping
from typing import Protocol

from dotenv import dotenv_values

from answerback.bootstrap.clock import SystemClock
from answerback.ports import Log, Provider
from answerback.providers.mock import MODEL, MockProvider
from answerback.providers.observed import ObservedProvider
from answerback.providers.openai_compatible import OpenAICompatible
from answerback.providers.pacing import Gate, PacedProvider
from answerback.providers.routes_file import ProviderEntry, RoutesFileError, load_routes
from answerback.providers.routing import FallbackProvider, Route
from answerback.settings import Settings
from answerback.telemetry import UNMEASURED, UNTRACED, Metrics, Tracer


def make_provider(
    settings: Settings,
    clock: SystemClock,
    log: Log,
    metrics: Metrics = UNMEASURED,
    tracer: Tracer = UNTRACED,
) -> Provider:
    if settings.mock:
        return ObservedProvider(MockProvider(settings.mock_delay_seconds), MODEL, metrics, tracer)

    def upstream(entry: ProviderEntry, default_model: str, name: str | None = None) -> Provider:
        provider = OpenAICompatible(
            base_url=entry.base_url,
            api_key=entry.key(),
            default_model=default_model,
            connect_timeout=settings.connection_timeout,
            now=clock.now,
            app_url=settings.public_base_url,
            name=name,
        )
        gate = Gate(entry.requests_per_minute, entry.concurrency, clock.monotonic)
        return PacedProvider(ObservedProvider(provider, default_model, metrics, tracer), gate, default_model, log)

    if settings.llm_routes_file is not None:
        return _routed(settings, upstream, clock, log)
    entry = ProviderEntry(
        base_url=settings.provider_base_url,
        api_key=settings.provider_api_key,
        requests_per_minute=settings.upstream_requests_per_minute,
        concurrency=settings.upstream_concurrency,
    )
    provider = upstream(entry, settings.default_model)
    if not settings.llm_fallback_models:
        return provider
    models = (settings.default_model, *settings.llm_fallback_models)
    default = [Route(provider, model) for model in models]
    return FallbackProvider({settings.default_model: default}, default, provider, clock.monotonic, log)


class _Upstream(Protocol):
    """Makes a provider."""

    def __call__(self, entry: ProviderEntry, default_model: str, name: str | None = None) -> Provider: ...


def _routed(settings: Settings, upstream: _Upstream, clock: SystemClock, log: Log) -> Provider:
    if settings.llm_routes_file is None or settings.llm_fallback_models:
        raise RoutesFileError("LLM_ROUTES_FILE excludes LLM_FALLBACK_MODELS: name those models in the file")
    # The keys may stand in `.env` like the other settings; the environment wins.
    file = load_routes(settings.llm_routes_file, _environment())
    default_model = settings.llm_model or file.default_route
    providers = {name: upstream(entry, default_model, name) for name, entry in file.providers.items()}
    routes = {
        name: [Route(providers[step.provider], step.model) for step in steps] for name, steps in file.routes.items()
    }
    otherwise = next(iter(providers.values()))
    default = routes.get(default_model) or [Route(otherwise, default_model)]
    return FallbackProvider(routes, default, otherwise, clock.monotonic, log)


def _environment() -> Mapping[str, str]:
    from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return from_file | dict(os.environ)
