"""Peers, each installed in a folder of its own by its registry's usual client."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.tools import BUILD

INSTALL_SECONDS = 600.0
UV = BUILD / "uv" / "bin" / "uv"


@dataclass(frozen=True, slots=True)
class Peer:
    """`packages` are of PyPI, or of npm where `npm`; the first one's version is the peer's."""

    name: str
    place: str
    packages: tuple[str, ...]
    npm: bool = False

    @property
    def folder(self) -> Path:
        return BUILD / self.place

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def version(self) -> str | None:
        """None where it is not installed."""
        if not (self.folder / "installed").exists():
            return None
        return (self.folder / "installed").read_text()

    def install(self) -> str | None:
        """Does nothing if it was. Returns why it is absent, or None."""
        if self.version() is not None:
            return None
        try:
            if self.npm:
                self._install_by_npm()
            else:
                self._install_by_uv()
        except FileNotFoundError as error:
            return f"{error.filename} is not installed"
        except subprocess.TimeoutExpired:
            return f"not installed within {INSTALL_SECONDS:g} s"
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout or "").strip().splitlines()
            return said[-1][:200] if said else f"its installer ended with code {error.returncode}"
        return None

    def _install_by_npm(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(self.folder), *self.packages)
        listed = _run("npm", "ls", "--prefix", str(self.folder), "--depth=0", "--parseable", "--long")
        found = next(line for line in listed.splitlines() if f":{self.packages[0]}@" in line)
        (self.folder / "installed").write_text(found.rpartition("@")[2].partition(":")[0])

    def _install_by_uv(self) -> None:
        # pip would search for a quarter of an hour for versions that fit together.
        if not UV.exists():
            _run(sys.executable, "-m", "venv", str(UV.parents[1]))
            _run(str(UV.parent / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "uv")
        if not self.python.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(self.folder))
        _run(str(UV), "pip", "install", "-q", "--compile-bytecode", "--python", str(self.python), *self.packages)
        name = self.packages[0].partition("[")[0]
        asked = f"import importlib.metadata as m; print(m.version({name!r}))"
        (self.folder / "installed").write_text(_run(str(self.python), "-c", asked).strip())


def _run(*command: str) -> str:
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    return ran.stdout


OTEL = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp")
LITELLM = Peer("LiteLLM", "litellm", ("litellm[proxy]", *OTEL))
"""It imports OpenTelemetry at every request, and searches for it again each time it is not there."""
PORTKEY = Peer("Portkey", "portkey", ("@portkey-ai/gateway",), npm=True)
HOMEMADE = Peer(
    "Home-made",
    "homemade",
    ("celery[redis]", "fastapi", "uvicorn", "uvloop", "httptools", "sqlalchemy", "psycopg2-binary", "httpx"),
)
PROCRASTINATE = Peer("procrastinate", "procrastinate", ("procrastinate", "psycopg[binary]"))
PGQUEUER = Peer("pgqueuer", "pgqueuer", ("pgqueuer[asyncpg]", "uvloop"))
PEERS = (LITELLM, PORTKEY, HOMEMADE, PROCRASTINATE, PGQUEUER)
