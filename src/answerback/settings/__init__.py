"""What an operator may set: read once at start, from the environment and `.env`, checked, then frozen."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from answerback.kernel.rate import Rate, parse_rate
from answerback.kernel.retry import DAY, STANDARD_WEBHOOKS_SCHEDULE, RetrySchedule, exponential
from answerback.kernel.signature import webhook_key
from answerback.settings.environment import read
from answerback.settings.types import (
    BrokerUrl,
    Count,
    CountOrZero,
    DatabaseUrl,
    Format,
    HeaderSecret,
    Host,
    Level,
    Networks,
    Origins,
    ProviderUrl,
    RateText,
    RedisUrl,
    ReviewUrl,
    Seconds,
    ServiceUrl,
    SigningSecret,
    Words,
)

OPENROUTER = "https://openrouter.ai/api/v1"
OPENAI = "https://api.openai.com/v1"
OPENROUTER_MODEL = "openai/gpt-oss-20b:free"
OPENAI_MODEL = "gpt-5-mini"

SHORT_SECRET = 16
"""Bytes. A shorter secret can be guessed."""


class SettingsError(Exception):
    """The settings cannot be used; the message is one line for the operator and shows no secret."""


class Settings(BaseModel):
    """Every setting, by its environment name in lower case. Blank means not set; the environment wins over `.env`."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, validate_default=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    def __init__(self, _env_file: str | Path | None = ".env", **given: Any) -> None:
        super().__init__(**{**read(_env_file, type(self).model_fields), **given})

    openrouter_api_key: HeaderSecret | None = None
    """The key at OpenRouter. Without any key a mock answers, unless the base URL names a server of yours."""
    openai_api_key: HeaderSecret | None = None
    """The key at OpenAI, or at the server of `OPENAI_BASE_URL`. `OPENROUTER_API_KEY` wins."""
    openai_base_url: ProviderUrl | None = None
    """Any OpenAI-compatible server. Unset: OpenRouter, or OpenAI when `OPENAI_API_KEY` is the only key."""
    llm_model: str | None = None
    """The default model. Unset: `openai/gpt-oss-20b:free`; at api.openai.com `gpt-5-mini`."""
    database_url: DatabaseUrl = SecretStr("sqlite:///./answerback.db")
    """The database: `sqlite:///path` (an absolute path makes four slashes) or `postgresql://user:password@host/name`."""
    openrouter_base_url: ProviderUrl | None = None
    """Another name for `OPENAI_BASE_URL`; this one wins."""
    llm_fallback_models: Words = ()
    """Models to try next, in this order, when the default model fails; separated by commas or spaces."""
    llm_routes_file: Path | None = None
    """A TOML file of several providers, and of model names that stand for lists of their models."""
    upstream_requests_per_minute: CountOrZero = 0
    """The most calls a minute to the provider; 0: no limit. Queued jobs wait until there is room."""
    upstream_concurrency: CountOrZero = 0
    """The most calls to the provider at one time; 0: no limit. Waiting calls take turns between tenants."""
    llm_timeout_seconds: Seconds = 120
    """How long a whole LLM call may take; and how long a synchronous request may wait for its turn."""
    connection_timeout: Seconds = 10
    """How long connecting to the LLM may take, in seconds."""
    cache_ttl: Seconds = 300
    """How long the list of models is kept, in seconds."""
    cache_maxsize: Count = 128
    """Accepted from the `.env` of earlier services and ignored: the list of models is cached whole."""
    mock_mode: bool = False
    """Let the mock answer, whatever keys are set."""
    mock_delay_seconds: Annotated[float, Field(ge=0, le=DAY, allow_inf_nan=False)] = 1
    """How long the mock takes to answer."""
    max_retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often a synchronous call is tried again, a reused connection that closes without a byte not counted."""
    min_retry_delay: Seconds = 0.5
    """First wait of a synchronous call, in seconds."""
    max_retry_delay: Seconds = 8
    """Longest wait of a synchronous call, in seconds; a longer `Retry-After` is passed to the caller instead."""
    retry_multiplier: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = 2
    """How fast the waits of a synchronous call grow."""
    context_max_messages: CountOrZero = 20
    """How many earlier messages of a conversation go to the LLM with the next one (two a turn)."""
    context_max_tokens: CountOrZero = 8000
    """About how many tokens go to the LLM, the new message included."""
    context_ttl_seconds: Annotated[float, Field(gt=0, le=36_500 * DAY, allow_inf_nan=False)] = 86_400
    """A conversation without a message for this long is forgotten."""
    conversation_max_pending: Count = 100
    """Unanswered messages in one conversation; more are refused with 429."""
    callback_hmac_secret: SigningSecret | None = None
    """Signs the default tenant's callbacks: `whsec_` + base64, or any text. Unset: one is generated and kept."""
    callback_max_retries: Annotated[int | None, Field(ge=1, le=1000)] = None
    """Callback attempts in all. Unset: 10, over about 75 h (the Standard Webhooks schedule); for reviews 6."""
    callback_backoff_seconds: Annotated[float | None, Field(gt=0, le=DAY, allow_inf_nan=False)] = None
    """First wait between callback attempts, doubling up to 24 h. Unset: Standard Webhooks' schedule; for reviews 2."""
    callback_timeout_seconds: Seconds = 20
    """How long a whole callback attempt may take."""
    callback_allowed_networks: Networks = ()
    """Private networks that callbacks may reach, such as `10.0.0.0/8, fd00::/8`. On loopback, loopback is one."""
    app_host: Host = "127.0.0.1"
    """Address to listen on. Beyond loopback the service wants a key, or `AUTH_DISABLED=true`."""
    app_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Port to listen on."""
    auth_token: HeaderSecret | None = None
    """One more key for clients, of the tenant `default`, besides those of `answerback keys create`."""
    auth_disabled: bool = False
    """Serve every client, without a key, on any address."""
    operator_token: HeaderSecret | None = None
    """One more operator key: it may use `/v1/keys` and ask for other tenants' lists by `?tenant=`."""
    rate_limit: RateText = "60/minute"
    """Requests of one key (of one address without keys), such as `60/minute` or `1000/hour`; `0`: no limit."""
    max_body_bytes: Count = 1_048_576
    """The largest request body; OpenAI's routes take 32 MiB, if this is not more."""
    cors_allowed_origins: Origins = ()
    """Origins whose pages may call the service from a browser, with a key, such as `https://shop.example`; `*`: all."""
    trusted_proxies: Networks = ()
    """Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count, such as `10.0.0.0/8`."""
    llm_api_url: ReviewUrl | None = None
    """The LLM that answers reviews by webhook. Unset: the chat provider answers them."""
    llm_api_key: HeaderSecret | None = None
    """Sent to that LLM as `Authorization: Bearer`."""
    llm_callback_timeout_seconds: Seconds = 3600
    """How long that LLM may take to call back."""
    public_base_url: ServiceUrl = Field(default_factory=lambda given: f"http://localhost:{given['app_port']}")
    """How that LLM reaches this service, and where inboxes are; the same for workers. Unset: this host, `APP_PORT`."""
    enable_simulation: bool = False
    """Offer `POST /simulate-llm/{job_id}`, which answers in place of that LLM."""
    redis_url: RedisUrl | None = None
    """Shares rate limits and conversation windows between processes: `redis://host:6379/0`. Unset: each has its own."""
    celery_broker_url: BrokerUrl | None = None
    """Notifies workers: `redis://host:6379/1`, `amqp://user:password@host//`. Unset: PostgreSQL does, if used."""
    worker_concurrency: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """The most jobs in flight in one process; likewise callbacks."""
    tenant_slot_factor: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = 4
    """A tenant gets another slot (job, callback, lookup, file, call) if it has fewer than this times the free ones."""
    lease_seconds: Annotated[float, Field(ge=1, le=DAY, allow_inf_nan=False)] = 60
    """How long a claimed job is held without a heartbeat."""
    job_deadline_seconds: Seconds = 86_400
    """A job not answered by then ends as `expired`."""
    max_queued_jobs_per_tenant: Count = 100_000
    """Unanswered messages of one tenant; more are refused with 429."""
    max_queued_jobs: Count = 1_000_000
    """Unanswered jobs in all; more are refused with 503."""
    worker_metrics_port: Annotated[int | None, Field(ge=1, le=65535)] = None
    """Port on `APP_HOST` where a worker serves Prometheus metrics, without a key. Unset: nowhere."""
    log_level: Level = "INFO"
    """`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."""
    log_format: Format = "text"
    """`text`, or `json` for JSON lines."""
    logs_dir: Path | None = None
    """Where the log is also written, to `answerback.log`. Unset: standard output only."""
    benchmarks_dir: Path = Path("benchmarks")
    """Where benchmarks leave their CSV files."""
    retention_days: Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)] = 30
    """How long ended jobs, questions, stored responses and files of benchmarks are kept."""

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        # After the sources are merged: a blank variable must still hide the one of the same name in `.env`.
        return {name: value for name, value in values.items() if not (isinstance(value, str) and not value.strip())}

    @property
    def database_path(self) -> Path | None:
        """SQLite's file, relative to the working directory unless absolute; None where PostgreSQL is the database."""
        scheme, _, rest = self.database_url.get_secret_value().partition("://")
        return Path(rest[1:]) if scheme.startswith("sqlite") else None

    @property
    def database_shown(self) -> str:
        """The database without credentials: SQLite's absolute path, or PostgreSQL's address without user, password and
        parameters."""
        if self.database_path is not None:
            return str(self.database_path.absolute())
        address = urlsplit(self.postgres_dsn)
        return f"postgresql://{address.netloc.rpartition('@')[2]}{address.path}"

    @property
    def postgres_dsn(self) -> str:
        """PostgreSQL's address as its drivers take it."""
        return "postgresql://" + self.database_url.get_secret_value().partition("://")[2]

    @property
    def provider_api_key(self) -> SecretStr | None:
        return self.openrouter_api_key or self.openai_api_key

    @property
    def provider_base_url(self) -> str:
        """The LLM's base URL, without a slash at the end."""
        if self.openrouter_base_url is not None:
            return self.openrouter_base_url
        if self.openrouter_api_key is None or self.openai_api_key is None:
            if self.openai_base_url is not None:
                return self.openai_base_url
            return OPENROUTER if self.openai_api_key is None else OPENAI
        # Both keys are set: OPENAI_BASE_URL belongs to OpenAI's key, and must not receive OpenRouter's.
        return OPENROUTER

    @property
    def default_model(self) -> str:
        """The model of messages that name none."""
        return self.llm_model or (OPENAI_MODEL if self._hosted_by("api.openai.com") else OPENROUTER_MODEL)

    @property
    def mock(self) -> bool:
        """Whether the mock provider answers: asked for, or a hosted provider without its key and no routes."""
        hosted = self._hosted_by("openrouter.ai", "api.openai.com")
        return self.mock_mode or (hosted and self.provider_api_key is None and self.llm_routes_file is None)

    @property
    def callback_schedule(self) -> RetrySchedule:
        """When a callback is tried again."""
        attempts = self.callback_max_retries or len(STANDARD_WEBHOOKS_SCHEDULE)
        if self.callback_backoff_seconds is not None:
            return exponential(attempts, self.callback_backoff_seconds, 2.0, DAY)
        beyond = max(0, attempts - len(STANDARD_WEBHOOKS_SCHEDULE))
        return RetrySchedule((STANDARD_WEBHOOKS_SCHEDULE + (DAY,) * beyond)[:attempts])

    @property
    def review_callback_schedule(self) -> RetrySchedule:
        """When the callback of a review is tried again, as users of the review relay know it."""
        return exponential(self.callback_max_retries or 6, self.callback_backoff_seconds or 2.0, 2.0, DAY)

    @property
    def rate(self) -> Rate | None:
        """The rate limit of keys without one of their own."""
        return parse_rate(self.rate_limit)

    @property
    def hosts(self) -> tuple[str, str]:
        """The host names that requests to this service may carry."""
        return self.app_host, urlsplit(self.public_base_url).netloc

    @property
    def short_secrets(self) -> Sequence[str]:
        """The names of settings whose secrets are short enough to guess."""
        tokens = {"AUTH_TOKEN": self.auth_token, "OPERATOR_TOKEN": self.operator_token}
        sizes = {name: len(token.get_secret_value()) for name, token in tokens.items() if token is not None}
        if self.callback_hmac_secret is not None:
            sizes["CALLBACK_HMAC_SECRET"] = len(webhook_key(self.callback_hmac_secret.get_secret_value()))
        return [name for name, size in sizes.items() if size < SHORT_SECRET]

    @property
    def loopback_only(self) -> bool:
        """Whether only this host can connect."""
        if self.app_host.lower() == "localhost":
            return True
        try:
            return ip_address(self.app_host).is_loopback
        except ValueError:
            return False

    def _hosted_by(self, *domains: str) -> bool:
        host = urlsplit(self.provider_base_url).hostname or ""
        return any(host == domain or host.endswith("." + domain) for domain in domains)


def load_settings(shown: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings of this process; those `given`, by their names in lower case, win over its environment. Raises
    SettingsError, with every problem in one line; those `given` are `shown` there by other names."""
    try:
        return Settings(**given)
    except ValidationError as error:
        # A default that depends on another, wrong setting is no error of its own.
        details = [detail for detail in error.errors() if detail["type"] != "default_factory_not_called"]
        names = {name: label for name, label in (shown or {}).items() if name in given}
        found = dict.fromkeys(_problem(detail, names) for detail in details)
        raise SettingsError("; ".join(found)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it must be UTF-8 text"
        raise SettingsError(f".env cannot be read: {reason}") from None


def _problem(detail: ErrorDetails, names: Mapping[str, str]) -> str:
    field = str(detail["loc"][0])
    name = names.get(field, field.upper())
    if detail["type"] == "value_error":
        return f"{name} {detail['ctx']['error']}"
    wanted = detail["msg"].partition(", unable")[0].removeprefix("Input ").replace("a valid boolean", "true or false")
    return f"{name} is {str(detail['input'])[:60]!r} but {wanted}"
