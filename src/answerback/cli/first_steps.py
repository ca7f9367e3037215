"""The commands that lead to the first verified callback."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from answerback.settings import Settings

LOOPBACK = "127.0.0.1"
NAME = "answerback"


def first_steps(settings: Settings) -> Sequence[str]:
    """Shell commands, each for a terminal of its own: a receiver, the service, a message."""
    # Elsewhere than on loopback the service would refuse a callback to this machine.
    host = settings.app_host if settings.loopback_only else LOOPBACK
    serve = "serve" if settings.loopback_only else f"serve --host {LOOPBACK}"
    url = f"http://[{host}]:{settings.app_port}" if ":" in host else f"http://{host}:{settings.app_port}"
    body = '{"message": "Hello!", "callback_url": "http://127.0.0.1:9000/", "session_id": "me"}'
    curl = (f"curl {url}/webhook", *_key(settings), "-H 'Content-Type: application/json'", f"-d '{body}'")
    return f"{command()} listen 9000", f"{command()} {serve}", " \\\n    ".join(curl)


def command() -> str:
    """How a shell in this folder runs `answerback`: by its name, where the shell finds it, else by its path."""
    # A runner of tools adds its folder to the path of the tool, not of the shell.
    active = sys.prefix == sys.base_prefix or os.environ.get("VIRTUAL_ENV") == sys.prefix
    if active and shutil.which(NAME):
        return NAME
    script = Path(sys.executable).with_name(NAME)
    if not script.exists():
        return f"{sys.executable} -m {NAME}"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


def _key(settings: Settings) -> Sequence[str]:
    if settings.auth_token is None:
        return ()
    # A shell does not know what stands in `.env`.
    key = "$AUTH_TOKEN" if os.environ.get("AUTH_TOKEN") else "your AUTH_TOKEN"
    return (f'-H "Authorization: Bearer {key}"',)
