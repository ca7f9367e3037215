"""Fallback: a list of providers and models behind the `Provider` protocol; where one fails, the next is tried."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from answerback.kernel.errors import ErrorCode
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import Concerns, ProviderError
from answerback.llm.health import Health
from answerback.llm.listed_names import Fit, ListedNames
from answerback.llm.model import ChatRequest, Model, ModelList
from answerback.llm.provider import Provider
from answerback.llm.reply import Reply

COOLDOWN_SECONDS = 30.0
LONGEST_COOLDOWN = 300.0

_CONCERNS = {
    # Another provider has another account.
    ErrorCode.UPSTREAM_AUTH: Concerns.ACCOUNT,
    ErrorCode.UPSTREAM_CREDIT: Concerns.ACCOUNT,
    # Too few tokens were allowed.
    ErrorCode.UPSTREAM_EMPTY: Concerns.REQUEST,
}
"""What a failure concerns that does not say so itself; without an entry it is the model."""


@dataclass(frozen=True, slots=True)
class Route:
    """A provider, and the model to ask it for; None: the model that the request names."""

    provider: Provider
    model: str | None


class FallbackProvider:
    """Implements `Provider` over routes by model name.

    `routes` maps a model name to the routes that stand for it; `default` serves requests that name none. Names that are
    not mapped go as they are to the providers whose lists cover them, else to one after the other; `others` are
    providers without a route, whose models may be asked for by name.

    A failure that may be retried moves on to the next route, and so does a model or a path that a provider does not
    have; trouble with a provider's account moves on to the next route of another provider; all only before the first
    token. Any other final failure is the request's own, and is raised. A route that failed cools down, for as long as
    the upstream asked or 30 s, and is tried last meanwhile; trouble with an account cools all routes of its provider,
    so that the same request has the same outcome whichever model failed before; what one request alone met cools none.
    Each try may take the request's whole timeout. A route without a place is passed; a call waits for one only where no
    route answered.
    """

    def __init__(
        self,
        routes: Mapping[str, Sequence[Route]],
        default: Sequence[Route],
        otherwise: Provider,
        instruments: Instruments,
        others: Sequence[Provider] = (),
        health: Health | None = None,
    ) -> None:
        self._routes = routes
        self._default = default
        routed = (route.provider for steps in (default, *routes.values()) for route in steps)
        self._providers = tuple({id(each): each for each in (otherwise, *routed, *others)}.values())
        self._listed: dict[str, ListedNames] = {}
        self._monotonic = instruments.clock.monotonic
        self._log = instruments.log
        self._cool_until: dict[tuple[str, str | None], float] = {}
        self._account_cool_until: dict[str, float] = {}
        self._health = health or Health(instruments.clock)
        self.name = otherwise.name

    async def send(self, request: ChatRequest) -> Reply:
        """The first success. Raises the failure that may be retried soonest, or a final one if none may."""
        routes = self._in_order(request)
        if len(routes) == 1:
            return await routes[0].provider.send(_for_route(request, routes[0]))
        failures: dict[Route, ProviderError] = {}
        without_account: set[str] = set()
        for route in routes:
            if route.provider.name in without_account:
                continue
            try:
                return await route.provider.send(_at_once(_for_route(request, route)))
            except ProviderError as error:
                failures[route] = error
                if _concern(error) is Concerns.ACCOUNT:
                    without_account.add(route.provider.name)
                elif not error.retryable and not error.elsewhere:
                    break
                self._cool_down(route, error)
        soonest = min(failures, key=lambda route: _readiness(failures[route]))
        if failures[soonest].asked or not request.patient:
            raise failures[soonest]
        # No route answered, but this one was not asked: the call waits there, or in the queue.
        return await soonest.provider.send(_for_route(request, soonest))

    async def models(self) -> ModelList:
        """The names of `routes`, then what the providers list, each model once. A provider that fails costs its own
        entries only. Raises ProviderError where all fail."""
        answers = await asyncio.gather(*map(self._list_of, self._providers))
        lists = [answer for answer in answers if isinstance(answer, ModelList)]
        if not lists:
            raise next(answer for answer in answers if isinstance(answer, ProviderError))
        listed = {model.id: model for each in reversed(lists) for model in reversed(each.models)}
        own = (_own(name, routes) for name, routes in self._routes.items() if name not in listed)
        complete = len(lists) == len(answers) and all(each.complete for each in lists)
        return ModelList((*own, *reversed(listed.values())), complete)

    async def _list_of(self, provider: Provider) -> ModelList | ProviderError:
        try:
            answer = await provider.models()
        except ProviderError as error:
            self._log.warning(
                "models_failed", provider=provider.name, code=error.failure.code.value, reason=error.for_operator
            )
            return error
        self._listed[provider.name] = ListedNames(model.id for model in answer.models)
        return answer

    async def close(self) -> None:
        for provider in self._providers:
            await provider.close()

    def _in_order(self, request: ChatRequest) -> Sequence[Route]:
        """The routes of a request: those that do not cool, as listed, then those that do, the soonest ready first."""
        named = request.body.get("model")
        if not isinstance(named, str) or not named:
            routes = self._default
        else:
            routes = self._routes.get(named) or self._listing(named)
        now = self._monotonic()
        return sorted(routes, key=lambda route: max(0.0, self._cools_until(route) - now))

    def _listing(self, model: str) -> Sequence[Route]:
        """The providers whose lists cover the model, those that list the very name first; else all."""
        fits = {each: self._fit(each, model) for each in self._providers}
        covering = [each for each in self._providers if fits[each] is not Fit.NONE]
        covering.sort(key=fits.__getitem__, reverse=True)
        return [Route(each, None) for each in covering or self._providers]

    def _fit(self, provider: Provider, model: str) -> Fit:
        listed = self._listed.get(provider.name)
        return Fit.NONE if listed is None else listed.fit(model)

    def _cools_until(self, route: Route) -> float:
        """When the route, and its provider's account, will have cooled down, in monotonic seconds."""
        account = self._account_cool_until.get(route.provider.name, 0.0)
        return max(account, self._cool_until.get(_key(route), 0.0))

    def _cool_down(self, route: Route, error: ProviderError) -> None:
        """A call that our limiter refused (not `asked`) cools no route: it says nothing about the upstream. Neither
        does one for a model that has no route, unless its provider cannot be reached: callers choose such names."""
        concern = _concern(error) if error.asked else Concerns.REQUEST
        if route.model is None and error.failure.code is not ErrorCode.UPSTREAM_UNREACHABLE:
            concern = Concerns.REQUEST
        seconds = min(LONGEST_COOLDOWN, error.retry_after or COOLDOWN_SECONDS)
        until = self._monotonic() + seconds
        match concern:
            case Concerns.ACCOUNT:
                self._account_cool_until[route.provider.name] = until
                self._health.rests(route.provider.name, None, seconds, error.failure.code)
            case Concerns.MODEL:
                self._cool_until[_key(route)] = until
                self._health.rests(route.provider.name, route.model, seconds, error.failure.code)
            case Concerns.REQUEST:
                seconds = 0.0
            case _:
                assert_never(concern)
        code = error.failure.code.value
        self._log.warning(
            "route_failed", provider=route.provider.name, model=route.model, code=code, cooling=round(seconds, 1)
        )


def _concern(error: ProviderError) -> Concerns:
    return error.concerns or _CONCERNS.get(error.failure.code, Concerns.MODEL)


def _for_route(request: ChatRequest, route: Route) -> ChatRequest:
    return request if route.model is None else replace(request, body={**request.body, "model": route.model})


def _at_once(request: ChatRequest) -> ChatRequest:
    """Refused where it would have to wait, with nothing reserved: another route may have room."""
    return replace(request, patient=False, queued=False)


def _readiness(error: ProviderError) -> tuple[bool, bool, float]:
    """Sorts what may be tried again first; of these, what our limiter refused."""
    return not error.retryable, error.asked, error.retry_after or 0.0


def _key(route: Route) -> tuple[str, str | None]:
    return route.provider.name, route.model


def _own(name: str, routes: Sequence[Route]) -> Model:
    stands_for = ", then ".join(route.model or name for route in routes)
    return Model(name, name, f"Stands for {stands_for}.", 0, "answerback")
