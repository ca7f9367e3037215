"""Which models a list covers, in whatever way their names are written."""

from collections.abc import Iterable
from enum import IntEnum
from fnmatch import fnmatchcase


class Fit(IntEnum):
    """How well a list covers a name; the better is the larger."""

    NONE = 0
    OTHER_PREFIX = 1
    """Its last part is listed: Gemini's `models/`, or a gateway's vendor, is added or left out."""
    FAMILY = 2
    """A wildcard covers it (LiteLLM's `openai/*`), or a tag (Ollama's `:latest`), a variant or a preset (OpenRouter's
    `:nitro`, `@preset/…`) is added or left out."""
    EXACT = 3


class ListedNames:
    """The names of a list of models. Upstreams take more names than they list: `fit` says which."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._by_name = {name: name for name in names}
        self._by_base: dict[str, str] = {}
        self._by_last_part: dict[str, str] = {}
        for name in self._by_name:
            self._by_base.setdefault(_base(name), name)
            self._by_last_part.setdefault(_last_part(name), name)
        self._wildcards = tuple(name for name in self._by_name if "*" in name)

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def covering(self, model: str) -> tuple[Fit, str | None]:
        """How the list covers a name, and by which of its own."""
        if model in self._by_name:
            return Fit.EXACT, model
        if (name := self._by_base.get(_base(model))) is not None:
            return Fit.FAMILY, name
        if (name := next((each for each in self._wildcards if fnmatchcase(model, each)), None)) is not None:
            return Fit.FAMILY, name
        if (name := self._by_last_part.get(_last_part(model))) is not None:
            return Fit.OTHER_PREFIX, name
        return Fit.NONE, None

    def fit(self, model: str) -> Fit:
        return self.covering(model)[0]


def _base(name: str) -> str:
    return name.partition("@")[0].partition(":")[0]


def _last_part(name: str) -> str:
    return _base(name).rpartition("/")[2]
