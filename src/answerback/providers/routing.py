"""Fallback: a list of providers and models behind the one protocol; the next is tried where the one before fails."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from answerback.domain.chat import Answer, ChatRequest, Chunk, Model, Relayed
from answerback.domain.errors import ProviderError
from answerback.ports import Log, Provider

T = TypeVar("T")

COOLDOWN_SECONDS = 30.0
LONGEST_COOLDOWN = 300.0


@dataclass(frozen=True, slots=True)
class Route:
    """A provider, and the model to ask it for; None asks for what the request names."""

    provider: Provider
    model: str | None


class FallbackProvider:
    """Implements `answerback.ports.Provider` over routes by model name.

    `routes` maps a model name to the routes that stand for it; `default` serves requests that name none, and names
    that are not mapped go to `otherwise` as they are. A retryable failure before the first token moves on to the next
    route; one that failed cools down, for as long as it asked or 30 s, and is then tried last.
    """

    def __init__(
        self,
        routes: Mapping[str, Sequence[Route]],
        default: Sequence[Route],
        otherwise: Provider,
        monotonic: Callable[[], float],
        log: Log,
    ) -> None:
        self._routes = routes
        self._default = default
        self._otherwise = otherwise
        self._monotonic = monotonic
        self._log = log
        self._cool_until: dict[tuple[str, str | None], float] = {}
        self.name = otherwise.name

    async def complete(self, request: ChatRequest) -> Answer:
        return await self._first(request, lambda provider, asked: provider.complete(asked))

    async def relay(self, request: ChatRequest) -> Relayed:
        return await self._first(request, lambda provider, asked: provider.relay(asked))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        async def opened(provider: Provider, asked: ChatRequest) -> tuple[Chunk, AsyncGenerator[Chunk, None]]:
            stream = provider.stream(asked)
            return await anext(stream), stream

        first, rest = await self._first(request, opened)
        try:
            yield first
            async for chunk in rest:
                yield chunk
        finally:
            await rest.aclose()

    async def models(self) -> Sequence[Model]:
        return await self._otherwise.models()

    async def close(self) -> None:
        providers = {id(self._otherwise): self._otherwise}
        for routes in (self._default, *self._routes.values()):
            providers |= {id(route.provider): route.provider for route in routes}
        for provider in providers.values():
            await provider.close()

    async def _first(self, request: ChatRequest, call: Callable[[Provider, ChatRequest], Awaitable[T]]) -> T:
        """The first route's success; else the failure that promises most: one that may be retried, soonest."""
        failures: list[ProviderError] = []
        for route in self._in_order(request):
            asked = request
            if route.model is not None:
                asked = replace(request, body={**request.body, "model": route.model})
            try:
                return await call(route.provider, asked)
            except ProviderError as error:
                failures.append(error)
                if not error.retryable:
                    break
                self._cool(route, error)
        raise min(failures, key=lambda error: (error.retryable, error.retry_after or 0.0))

    def _in_order(self, request: ChatRequest) -> Sequence[Route]:
        named = request.body.get("model")
        if not isinstance(named, str) or not named:
            routes = self._default
        else:
            routes = self._routes.get(named) or (Route(self._otherwise, None),)
        now = self._monotonic()
        return sorted(routes, key=lambda route: max(0.0, self._cool_until.get(_key(route), 0.0) - now))

    def _cool(self, route: Route, error: ProviderError) -> None:
        seconds = min(LONGEST_COOLDOWN, error.retry_after or COOLDOWN_SECONDS)
        self._cool_until[_key(route)] = self._monotonic() + seconds
        self._log.warning(
            "fell_back",
            provider=route.provider.name,
            model=route.model,
            code=error.failure.code.value,
            cooling=round(seconds, 1),
        )


def _key(route: Route) -> tuple[str, str | None]:
    return route.provider.name, route.model
