"""The settings as the documentation shows them."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import SecretStr

from answerback.settings import Settings

HEAD = "# Uncomment what you change in .env. The environment wins over it; blank means not set.\n"


class Described(NamedTuple):
    """A setting as the documentation shows it; `default` as one would write it in `.env`, blank for "not set"."""

    name: str
    default: str
    description: str


GROUPS: Mapping[str, str] = {
    "openrouter_api_key": "The five that matter first",
    "openrouter_base_url": "The provider",
    "max_retries": "Retries of synchronous calls",
    "context_max_messages": "Conversations",
    "callback_hmac_secret": "Callbacks",
    "app_host": "Addresses, keys and limits",
    "llm_api_url": "Reviews",
    "redis_url": "Jobs and workers",
    "log_level": "Logs, files and retention",
}
"""The titles of groups, by their first settings."""


def by_group() -> Mapping[str, Sequence[Described]]:
    """Every setting, by the title of its group."""
    groups: list[tuple[str, list[Described]]] = []
    for name in Settings.model_fields:
        if name in GROUPS:
            groups.append((GROUPS[name], []))
        groups[-1][1].append(_described(name))
    return dict(groups)


def describe() -> Sequence[Described]:
    """Every setting, in the order of the documentation."""
    return [setting for settings in by_group().values() for setting in settings]


def env_example() -> str:
    """Every setting, commented out, with its default: the text of `.env.example`, and of what `answerback init`
    writes."""
    parts = [HEAD]
    for title, settings in by_group().items():
        parts.append(f"# --- {title} ---\n")
        for name, default, description in settings:
            wrapped = textwrap.fill(
                description, 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
            )
            parts.append(f"{wrapped}\n#{name}={default}\n")
    return "\n".join(parts)


def _described(name: str) -> Described:
    default = getattr(Settings.model_construct(), name)
    return Described(name.upper(), _written(default), Settings.model_fields[name].description or "")


def _written(default: object) -> str:
    if default in (None, ()):
        return ""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return str(default).lower() if default is False else str(default)
