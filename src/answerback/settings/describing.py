"""The settings as the documentation shows them."""

import textwrap
from typing import NamedTuple

from pydantic import SecretStr

from answerback.settings import Settings

HEAD = "# Uncomment what you change in .env. The environment wins over it; blank means not set.\n"


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


def env_example() -> str:
    """Every setting, commented out, with its default: the text of `.env.example`, and of what `answerback init`
    writes."""
    parts = [HEAD]
    for name, default, description in describe():
        wrapped = textwrap.fill(description, 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
        parts.append(f"{wrapped}\n#{name}={default}\n")
    return "\n".join(parts)


def _written(default: object) -> str:
    if default in (None, ()):
        return ""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return str(default).lower() if default is False else str(default)
