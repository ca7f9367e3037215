"""The routes file: several providers, and model names that stand for lists of them. TOML, checked at start."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from answerback.settings.types import CountOrZero, HeaderSecret, ProviderUrl

Name = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^\S+$")]


class RoutesFileError(Exception):
    """The routes file cannot be used; the message is one line for the operator and shows no secret."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ProviderEntry(_Part):
    """An OpenAI-compatible provider. `api_key_env` names the environment variable that holds its key."""

    base_url: ProviderUrl
    api_key: HeaderSecret | None = None
    api_key_env: str | None = None
    requests_per_minute: CountOrZero = 0
    concurrency: CountOrZero = 0

    @model_validator(mode="after")
    def _one_key(self) -> "ProviderEntry":
        if self.api_key is not None and self.api_key_env is not None:
            raise ValueError("has both api_key and api_key_env, but must have one of them")
        return self

    def key(self) -> str | None:
        return self.api_key.get_secret_value() if self.api_key else None


class RouteEntry(_Part):
    """One step of a list."""

    provider: str
    model: Name


class RoutesFile(_Part):
    """The file's content. `default` names the route of requests that name no model; unset: the first one."""

    providers: Annotated[dict[Name, ProviderEntry], Field(min_length=1)]
    routes: Annotated[dict[Name, Annotated[list[RouteEntry], Field(min_length=1)]], Field(min_length=1)]
    default: str | None = None

    @model_validator(mode="after")
    def _known(self) -> "RoutesFile":
        for name, steps in self.routes.items():
            for step in steps:
                if step.provider not in self.providers:
                    raise ValueError(f"route {name!r} names the provider {step.provider[:60]!r}, which is not there")
        if self.default is not None and self.default not in self.routes:
            raise ValueError(f"default names the route {self.default[:60]!r}, which is not there")
        return self

    @property
    def default_route(self) -> str:
        return self.default or next(iter(self.routes))


def load_routes(path: Path, environment: Mapping[str, str]) -> RoutesFile:
    """Reads the file, and the keys it names from `environment`. Raises RoutesFileError."""
    try:
        document = tomllib.loads(path.read_bytes().decode())
        return _with_keys(RoutesFile.model_validate(document), environment)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "it must be UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        reason = f"it is not TOML: {error}"
    except ValidationError as error:
        reason = "; ".join(dict.fromkeys(_problem(each) for each in error.errors()))
    except ValueError as error:
        reason = str(error)
    raise RoutesFileError(f"LLM_ROUTES_FILE {str(path)!r} cannot be used: {reason}")


def _with_keys(file: RoutesFile, environment: Mapping[str, str]) -> RoutesFile:
    providers = {}
    for name, entry in file.providers.items():
        key = None
        if entry.api_key_env is not None:
            key = environment.get(entry.api_key_env, "").strip()
            if not re.fullmatch(r"[!-~]+", key):
                raise ValueError(
                    f"provider {name!r} takes its key from {entry.api_key_env}, which the environment does not hold"
                )
        providers[name] = entry if key is None else entry.model_copy(update={"api_key": SecretStr(key)})
    return file.model_copy(update={"providers": providers})


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{where} {message[:1].lower()}{message[1:]}" if where else message
