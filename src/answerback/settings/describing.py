"""The settings as the documentation shows them."""

from typing import NamedTuple

from pydantic import SecretStr

from answerback.settings import Settings


class Described(NamedTuple):
    """A setting as the documentation shows it; `default` as one would write it in `.env`, blank for "not set"."""

    name: str
    default: str
    description: str


def describe() -> list[Described]:
    """Every setting, in the order of the documentation."""
    defaults = Settings.model_construct()
    return [
        Described(name.upper(), _written(getattr(defaults, name)), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _written(default: object) -> str:
    if default in (None, ()):
        return ""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return str(default).lower() if default is False else str(default)
