"""Where settings come from: the environment and `.env`."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from dotenv import dotenv_values


def read(env_file: str | Path | None, names: Collection[str]) -> Mapping[str, str]:
    """The values of those `names` that are given, in lower case. A blank one of the environment wins, too. Raises
    OSError and UnicodeDecodeError if the file cannot be read; a missing one gives none."""
    found = dotenv_values(env_file, encoding="utf-8") if env_file is not None else {}
    given = {name.lower(): value for each in (found, os.environ) for name, value in each.items()}
    return {name: value for name, value in given.items() if value is not None and name in names}
