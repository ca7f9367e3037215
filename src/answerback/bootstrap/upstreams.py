"""The LLM providers of the settings: the limits around each, and which is asked next where one fails."""

import os
from collections.abc import Mapping, Sequence

from dotenv import dotenv_values

from answerback.kernel.heavy import HeavyWork
from answerback.kernel.instruments import Instruments
from answerback.kernel.shares import Weights
from answerback.llm.health import Health
from answerback.llm.limiter import LimitedProvider, UpstreamLimiter
from answerback.llm.mock import MODEL, MockProvider
from answerback.llm.observed import ObservedProvider
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.provider import Provider
from answerback.llm.routes_file import ProviderEntry, RoutesFileError, load_routes
from answerback.llm.routing import FallbackProvider, Route
from answerback.llm.standing import Step
from answerback.reviews.push import REVIEWS
from answerback.settings import Settings

THE_ONE = ""
"""Stands for the name of the settings' provider; those of a routes file have names."""


class Upstreams:
    """Which provider is asked for which model. `default_model` answers requests that name none; `models` are all the
    names that the settings hold. Raises RoutesFileError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heavy = HeavyWork()
        self._entries: Mapping[str, ProviderEntry] = {THE_ONE: _entry(settings)}
        self._routes: Mapping[str, Sequence[Step]] = {}
        self.default_model = MODEL if settings.mock else settings.default_model
        if settings.llm_routes_file is not None and not settings.mock:
            if settings.llm_fallback_models:
                raise RoutesFileError("LLM_ROUTES_FILE excludes LLM_FALLBACK_MODELS: name those models in the file")
            # The keys may stand in `.env` like the other settings; the environment wins.
            file = load_routes(settings.llm_routes_file, _environment())
            self._entries = file.providers
            self._routes = {name: [Step(s.provider, s.model) for s in steps] for name, steps in file.routes.items()}
            self.default_model = settings.llm_model or file.default_route
        elif settings.llm_fallback_models:
            models = (self.default_model, *settings.llm_fallback_models)
            self._routes = {self.default_model: [Step(THE_ONE, model) for model in models]}
        routed = (step.model for steps in self._routes.values() for step in steps)
        self.models = frozenset({self.default_model, *routed, REVIEWS})

    def provider(
        self, instruments: Instruments, health: Health | None = None, weights: Weights | None = None
    ) -> Provider:
        """The provider that answers every chat request: wrappers around those of the settings, whose calls `health`
        remembers, and tenants share by `weights`. The caller closes it."""
        health, weights = health or Health(instruments.clock), weights or Weights()
        if self._settings.mock:
            mock = MockProvider(self._settings.mock_delay_seconds)
            return ObservedProvider(mock, self.default_model, instruments, health)
        made = {name: self._one(name, entry, instruments, health, weights) for name, entry in self._entries.items()}
        first, otherwise = next(iter(made.items()))
        if not self._routes:
            return otherwise
        default = self._routes.get(self.default_model) or [Step(first, self.default_model)]
        shown = {self.default_model: default, **self._routes}
        health.routed({name: [Step(made[of].name, model) for of, model in steps] for name, steps in shown.items()})
        routes = {name: _made(steps, made) for name, steps in self._routes.items()}
        return FallbackProvider(routes, _made(default, made), otherwise, instruments, tuple(made.values()), health)

    def _one(
        self, name: str, entry: ProviderEntry, instruments: Instruments, health: Health, weights: Weights
    ) -> Provider:
        provider = OpenAICompatible(
            base_url=entry.base_url,
            api_key=entry.key(),
            default_model=self.default_model,
            connect_timeout=self._settings.connection_timeout,
            now=instruments.clock.now,
            heavy=self._heavy,
            app_url=self._settings.public_base_url,
            name=name or None,
        )
        observed = ObservedProvider(provider, self.default_model, instruments, health)
        per_minute, concurrency = entry.requests_per_minute, entry.concurrency
        factor = self._settings.tenant_slot_factor
        limiter = UpstreamLimiter(
            provider.name, instruments, per_minute, concurrency, health=health, slot_factor=factor, weights=weights
        )
        return LimitedProvider(observed, limiter, self.default_model)


def _made(steps: Sequence[Step], made: Mapping[str, Provider]) -> Sequence[Route]:
    return [Route(made[of], model) for of, model in steps]


def _entry(settings: Settings) -> ProviderEntry:
    return ProviderEntry(
        base_url=settings.provider_base_url,
        api_key=settings.provider_api_key,
        requests_per_minute=settings.upstream_requests_per_minute,
        concurrency=settings.upstream_concurrency,
    )


def _environment() -> Mapping[str, str]:
    from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return from_file | dict(os.environ)
