"""`answerback init`: the first `.env`, and what to do next."""

import os
from pathlib import Path

from answerback.settings.describing import env_example

OWNER_ONLY = 0o600
"""The file will hold keys."""

WROTE = """\
Wrote .env: every setting is in it, explained and commented out. Put your provider's key there (OPENROUTER_API_KEY or
OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own); until then a mock answers. Next, each in a terminal:
"""


class InitError(Exception):
    """The file cannot be written; the message is one line."""


def write_env(path: Path) -> None:
    """Raises InitError, also where there is something at the path: it is left as it is."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        raise InitError(f"{path} exists already, and was left as it is") from None
    except OSError as error:
        raise InitError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(env_example())
