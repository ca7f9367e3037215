"""Commands that pages name, as tests run them: of this interpreter, or stand-ins for what installs or takes long.

What a page names must exist, a package, a target of make, a service of Docker Compose: to install, to build or to start
it is no affair of these tests.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MODULES = ("answerback", "celery", "pytest", "uvicorn")

PIP = """import re, sys
from importlib.metadata import distribution
for name in sys.argv[2:]: distribution(re.split(r"[^\\w.-]", name)[0])"""

DOCKER = f"""import sys, yaml
services = yaml.safe_load(open("{ROOT}/compose.yaml"))["services"]
profiles = [profile for service in services.values() for profile in service.get("profiles", ())]
given = sys.argv[1:]
assert given[0] == "compose"
assert "--profile" not in given or given[given.index("--profile") + 1] in profiles
assert "run" not in given or services.keys() & set(given)"""

MAKE = f"""[ "$1" != run ] || exec {sys.executable} -m answerback serve
exec {shutil.which("make")} --dry-run --directory "{ROOT}" "$@" > /dev/null"""

COMMANDS = {
    **{name: f'exec {sys.executable} -m {name} "$@"' for name in MODULES},
    "python": f'exec {sys.executable} "$@"',
    "make": MAKE,
    "pip": f"exec {sys.executable} -c '{PIP}' \"$@\"",
    "npm": 'ln -s "$NODE_MODULES" node_modules',
    "docker": f"exec {sys.executable} -c '{DOCKER}' \"$@\"",
}


def install(folder: Path) -> None:
    """Writes the commands into a new folder, for the path."""
    folder.mkdir()
    for name, script in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
