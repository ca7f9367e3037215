"""The list of models, cached: fetched once however many callers want it, and served stale rather than not at all."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

from answerback.kernel.errors import UnknownModel
from answerback.kernel.instruments import Instruments
from answerback.kernel.provider_error import ProviderError
from answerback.llm.listed_names import Fit, ListedNames
from answerback.llm.model import Model, ModelList

PATIENCE_SECONDS = 2.0
"""How long a caller waits for a new list that it can do without."""

PAUSE_SECONDS = 15.0
"""How long an upstream that failed to list its models is left alone, unless it named a longer time."""


class Lister(Protocol):
    """Lists models: a provider, or an `Asker`, which tries again."""

    async def models(self) -> ModelList:
        """Raises ProviderError."""


class Catalog:
    """The upstream's models, cached for `ttl` seconds.

    `always` are names that may be asked for although no upstream lists them: the default model, routes. One refresh
    runs at a time, for all callers, in a task of its own, which goes on when a caller goes away.
    """

    def __init__(self, lister: Lister, ttl: float, instruments: Instruments, always: Collection[str]) -> None:
        self._lister = lister
        self._ttl = ttl
        self._monotonic = instruments.clock.monotonic
        self._log = instruments.log
        self._always = frozenset(always)
        self._models: Sequence[Model] | None = None
        self._names = ListedNames()
        self._is_complete = False
        self._fresh_until = float("-inf")
        self._paused_until = float("-inf")
        self._refresh: asyncio.Task[ProviderError | None] | None = None

    async def list(self) -> Sequence[Model]:
        """The models, each id once. A stale list is served if the refresh fails or takes longer than 2 s. Raises
        ProviderError if there is no list."""
        now = self._monotonic()
        if self._models is not None and now < max(self._fresh_until, self._paused_until):
            return self._models
        refresh, patience = self._refreshing(), None if self._models is None else PATIENCE_SECONDS
        await asyncio.wait((refresh,), timeout=patience)
        if self._models is None and (error := refresh.result()) is not None:
            raise error
        return self._models or ()

    async def check(self, model: str | None) -> None:
        """Raises UnknownModel for a model that is missing in a list which claims to be complete; of any other the
        upstream itself is asked. Any model passes while there is no list; waits for one 2 s at most."""
        if model is None or model in self._always:
            return
        now = self._monotonic()
        if now >= max(self._fresh_until, self._paused_until):
            await asyncio.wait((self._refreshing(),), timeout=PATIENCE_SECONDS)
        if self._is_complete and self._names and not _covers(self._names, model):
            raise UnknownModel(f"there is no model {model[:256]!r}; GET /models lists those there are")

    async def find(self, name: str) -> Model | None:
        """The model that is listed under a name, or by a wildcard or the like, which then stands for it. Raises
        ProviderError if there is no list."""
        models = await self.list()
        _, listed = self._names.covering(name)
        found = next((each for each in models if each.id == listed), None)
        return found if found is None or listed == name else replace(found, id=name, name=name)

    def _refreshing(self) -> "asyncio.Task[ProviderError | None]":
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(self._ask())
        return self._refresh

    async def _ask(self) -> ProviderError | None:
        try:
            listed = await self._lister.models()
        except ProviderError as error:
            pause = max(PAUSE_SECONDS, error.retry_after or 0.0)
            self._paused_until = self._monotonic() + pause
            stale = self._models is not None
            reason = error.for_operator
            self._log.warning(
                "models_failed", code=error.failure.code.value, reason=reason, stale=stale, again_in=round(pause, 1)
            )
            return error
        models: dict[str, Model] = {}
        for model in listed.models:
            models.setdefault(model.id, model)
        self._models = tuple(models.values())
        self._names, self._is_complete = ListedNames(models), listed.complete
        self._fresh_until = self._monotonic() + self._ttl
        self._log.info("models_listed", models=len(models))
        return None


def _covers(names: ListedNames, model: str) -> bool:
    """A name that is nothing but a preset (OpenRouter's `@preset/…`) may stand for any model."""
    return model.startswith(("@", ":")) or names.fit(model) is not Fit.NONE
