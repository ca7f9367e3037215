"""What is measured: the service in its shapes, and its peers, each with its best settings."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from answerback.testing.ports import HOST, reserve_port
from bench.measured import Measured
from bench.peers import LITELLM, PORTKEY
from bench.tools import SERVICE_CORE, Upstream

KEY = "sk-7f3a9c51d2e84b06a1b2c3d4e5f60718293a4b5c6d7e8f90"
BEARER = {"Authorization": f"Bearer {KEY}"}

CHAT = "/v1/chat/completions"


def model(delay_ms: int = 0, chunks: int = 200, interval_us: int = 0) -> str:
    return f"fake-d{delay_ms}c{chunks}i{interval_us}"


def question(name: str, *, stream: bool = False) -> str:
    """A chat request, as clients send it."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Say hello to the world in one sentence, please."},
    ]
    return json.dumps({"model": name, "messages": messages, "temperature": 0.2, "stream": stream})


def message(upstream: Upstream) -> str:
    """A job; the load generator makes each a conversation of its own, and dates it."""
    return json.dumps(
        {
            "message": "lorem ipsum " * 30,
            "callback_url": upstream.callback_url,
            "session_id": "UUUUUUUUUUUU",
            "metadata": {"sent": "TTTTTTTTTTTTTTTTTTT"},
        },
        separators=(",", ":"),
    )


@dataclass(frozen=True, slots=True)
class Proxy:
    """A system that answers chat completions. `start` gives it a folder of its own."""

    name: str
    start: Callable[[], AbstractContextManager[Measured]]
    headers: Mapping[str, str]
    steady_rate: float
    """Requests a second at which its latency is measured: well below what it can take."""


@contextmanager
def free_port() -> Iterator[int]:
    reservation, port = reserve_port()
    try:
        yield port
    finally:
        if reservation is not None:
            reservation.close()


@contextmanager
def answerback(
    upstream: Upstream,
    *,
    role: str = "all",
    processes: int = 1,
    database_url: str | None = None,
    folder: Path | None = None,
    cores: tuple[int, ...] = (SERVICE_CORE,),
    **settings: str,
) -> Iterator[Measured]:
    """The service with a key and a rate limit. `settings` are environment variables."""
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="answerback-bench-")))
        port = stack.enter_context(free_port())
        command = [sys.executable, "-m", "answerback", "serve", "--role", role, "--processes", str(processes)]
        variables = _settings(upstream, place, database_url) | {"APP_PORT": str(port), **settings}
        yield stack.enter_context(Measured("Answerback", command, place, port=port, variables=variables, cores=cores))


@contextmanager
def worker(upstream: Upstream, database_url: str, **settings: str) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory(prefix="answerback-bench-") as folder:
        place = Path(folder)
        variables = _settings(upstream, place, database_url) | settings
        command = [sys.executable, "-m", "answerback", "worker"]
        with Measured("Answerback's worker", command, place, ready=None, variables=variables) as running:
            yield running


def _settings(upstream: Upstream, folder: Path, database_url: str | None) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url or f"sqlite:///{folder}/answerback.db",
        "AUTH_TOKEN": KEY,
        "RATE_LIMIT": "1000000/second",
        "OPENROUTER_BASE_URL": upstream.base_url,
        "OPENROUTER_API_KEY": "key",
        "LLM_MODEL": model(),
        "MAX_RETRIES": "0",
        "WORKER_CONCURRENCY": "20000",
        "MOCK_MODE": "false",
    }


def proxies(upstream: Upstream) -> list[Proxy]:
    """Ours, and the peers that are installed."""
    found = [Proxy("Answerback", lambda: answerback(upstream), BEARER, 200)]
    if PORTKEY.version():
        headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream.base_url, **BEARER}
        found.append(Proxy("Portkey", lambda: portkey(), headers, 200))
    if LITELLM.version():
        found.append(Proxy("LiteLLM", lambda: litellm(upstream), BEARER, 40))
    return found


@contextmanager
def portkey() -> Iterator[Measured]:
    with free_port() as port:
        script = PORTKEY.folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
        variables = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": f"{HOST},localhost"}
        command = ["node", str(script), f"--port={port}", "--headless"]
        with Measured("Portkey", command, PORTKEY.folder, port=port, ready="/", variables=variables) as running:
            yield running


@contextmanager
def litellm(upstream: Upstream) -> Iterator[Measured]:
    with free_port() as port, tempfile.TemporaryDirectory(prefix="answerback-bench-") as folder:
        names = [model(delay) for delay in (0, 5, 50)]
        config = {
            "model_list": [
                {
                    "model_name": name,
                    "litellm_params": {"model": f"openai/{name}", "api_base": upstream.base_url, "api_key": "key"},
                }
                for name in names
            ],
            "litellm_settings": {"set_verbose": False, "json_logs": True, "request_timeout": 600, "drop_params": True},
            "general_settings": {"master_key": KEY, "background_health_checks": False},
        }
        # JSON is YAML.
        (Path(folder) / "config.yaml").write_text(json.dumps(config))
        command = [
            *(str(LITELLM.folder / "bin" / "litellm"), "--config", "config.yaml", "--port", str(port), "--host", HOST),
            *("--num_workers", "1", "--telemetry", "False"),
        ]
        variables = {
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "NO_DOCS": "True",
        }
        with Measured(
            "LiteLLM",
            command,
            Path(folder),
            port=port,
            ready="/health/liveliness",
            variables=variables,
            patience=180,
        ) as running:
            yield running
