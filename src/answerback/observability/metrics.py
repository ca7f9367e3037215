"""The metrics, as Prometheus reads them. One registry an application, and a bounded number of labels."""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from prometheus_client import (
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
    start_http_server,
)

from answerback import __version__
from answerback.kernel.errors import ErrorCode
from answerback.kernel.telemetry import CallbackEnd, Depth, Fallback, LLMCall, Metrics
from answerback.observability.families import Families, Family
from answerback.observability.summing import Figures, Shown, figures, summed

MODELS_LABELLED = 100
LONGEST_LABEL = 256
OTHER = "other"
COMPLETED = "completed"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

SHORT_TIMES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LLM_TIMES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
LONG_TIMES = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 36000.0, 86400.0, 259200.0)


class PrometheusMetrics(Metrics):
    """`models` have labels of their own, and so have the first hundred other models that answer. Clients name models
    freely: one that has never answered is counted as `other`."""

    def __init__(self, models: Collection[str] = ()) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self._registry)
        self._models = frozenset(models)
        self._answered_by: set[str] = set()
        made = self._families = Families(self._registry)
        made.gauge("build_info", "The version that runs; always 1.", "version")(__version__).set(1)
        self._processes = made.gauge("processes", "Processes of this service that this page sums.")
        self._processes().set(1)
        self._make_of_jobs(made)
        self._make_of_calls(made)
        self._make_of_callbacks(made)
        self._make_of_surroundings(made)
        self._make_of_depth(made)

    @property
    def families(self) -> Sequence[Family]:
        return self._families.made

    def _make_of_jobs(self, made: Families) -> None:
        self._accepted = made.counter("jobs_accepted_total", "Jobs accepted with 202, by kind.", "kind")
        self._answered = made.counter("jobs_answered_total", "Jobs that ended with an answer.")
        self._failed = made.counter("jobs_failed_total", "Jobs that ended without one, by error code.", "code")
        self._put_off = made.counter("job_retries_total", "Jobs put back to be tried again, by error code.", "code")
        self._claim_lag = made.times("claim_lag", "From when a job was due to when a worker claimed it.", SHORT_TIMES)
        self._overhead = made.times(
            "relay_overhead", "What an answered job waited and worked besides the LLM call.", SHORT_TIMES
        )

    def _make_of_calls(self, made: Families) -> None:
        outcomes = "Calls of an LLM; the outcome is `ok`, `cancelled` or an error code."
        self._calls = made.counter("llm_calls_total", outcomes, "provider", "model", "outcome")
        self._latency = made.times("llm_latency", "Whole LLM calls that were answered.", LLM_TIMES, "provider", "model")
        self._first_token = made.times(
            "llm_first_token", "To the first token of a streamed answer.", LLM_TIMES, "provider", "model"
        )
        self._tokens = made.counter(
            "llm_tokens_total", "Tokens; the type is `prompt` or `completion`.", "model", "type"
        )

    def _make_of_callbacks(self, made: Families) -> None:
        self._delivered = made.counter("jobs_delivered_total", "Callbacks that were delivered.")
        self._sent = made.counter("delivery_attempts_total", "Callback attempts, by outcome.", "outcome")
        self._attempt = made.times("delivery_attempt", "How long a callback attempt took.", SHORT_TIMES)
        self._lag = made.times("delivery_lag", "From a job's end to its callback's arrival.", LONG_TIMES)

    def _make_of_surroundings(self, made: Families) -> None:
        dropped = (
            "Rows that other processes were not notified of (the broker or PostgreSQL was away) and find by polling."
        )
        self._notifications_dropped = made.counter("notifications_dropped_total", dropped)
        unproven = "Attempts at PostgreSQL's LISTEN that received nothing; the process then finds due rows by polling."
        self._listen_unproven = made.counter("listen_unproven_total", unproven)
        self._redis_outages = made.counter("redis_outages_total", "Times that Redis went away.")
        # Made on demand: without REDIS_URL there is no such gauge.
        up = "Whether Redis answers; only with `REDIS_URL`."
        self._redis_up = lru_cache(maxsize=None)(lambda: made.gauge("redis_up", up)())
        fallbacks = (
            "Groups of database operations that had to run in a slower way. A few, where operations meet, are normal."
        )
        self._fallbacks = made.counter("database_fallbacks_total", fallbacks, "plan", "fallback")
        self._requests = made.counter(
            "http_requests_total", "Requests, by the template of the path.", "method", "route", "status"
        )
        self._request_times = made.times("http_request", "How long requests took.", SHORT_TIMES, "route")

    def _make_of_depth(self, made: Families) -> None:
        self._jobs = made.gauge("jobs", "Jobs that have not ended, by state.", "state")
        self._deliveries = made.gauge("deliveries", "Callbacks owed, by state.", "state")
        self._job_age = made.gauge("queue_age_seconds", "How long the oldest due job has waited.")
        self._delivery_age = made.gauge("delivery_age_seconds", "How long the oldest due callback has waited.")

    def accepted(self, kind: str) -> None:
        self._accepted(kind).inc()

    def claimed(self, seconds: float) -> None:
        self._claim_lag().observe(seconds)

    def ended(self, state: str, code: ErrorCode | None = None, count: int = 1) -> None:
        if state == COMPLETED:
            self._answered().inc(count)
        else:
            self._failed(code.value if code else state).inc(count)

    def put_off(self, code: ErrorCode) -> None:
        self._put_off(code.value).inc()

    def overhead(self, seconds: float) -> None:
        self._overhead().observe(seconds)

    def called(self, call: LLMCall) -> None:
        model = self._known(call.model, answered=call.code is None)
        self._calls(call.provider, model, call.code.value if call.code else "ok").inc()
        if call.first_token_seconds is not None:
            self._first_token(call.provider, model).observe(call.first_token_seconds)
        if call.code is None:
            self._latency(call.provider, model).observe(call.seconds)
        if call.usage is not None:
            self._tokens(model, "prompt").inc(call.usage.prompt_tokens)
            self._tokens(model, "completion").inc(call.usage.completion_tokens)

    def sent(self, end: CallbackEnd, seconds: float) -> None:
        self._sent(end.value).inc()
        self._attempt().observe(seconds)

    def delivered(self, lag: float) -> None:
        self._delivered().inc()
        self._lag().observe(lag)

    def notifications_dropped(self, count: int) -> None:
        self._notifications_dropped().inc(count)

    def listen_unproven(self) -> None:
        self._listen_unproven().inc()

    def redis(self, *, up: bool) -> None:
        self._redis_up().set(up)
        if not up:
            self._redis_outages().inc()

    def fell_back(self, plan: str, fallback: Fallback) -> None:
        self._fallbacks(plan, fallback.value).inc()

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests(method if method in METHODS else OTHER, route, str(status)).inc()
        self._request_times(route).observe(seconds)

    def exposition(self, depth: Depth | None) -> bytes:
        """The page that Prometheus reads. `depth` is None when the database did not answer."""
        self._show(depth)
        return generate_latest(self._registry)

    def figures(self, depth: Depth | None = None) -> Figures:
        """What the page shows, to be summed with that of other processes."""
        self._show(depth)
        return figures(self._registry)

    def _show(self, depth: Depth | None) -> None:
        if depth is not None:
            for state, count in depth.jobs.items():
                self._jobs(state).set(count)
            for state, count in depth.deliveries.items():
                self._deliveries(state).set(count)
            self._job_age().set(depth.oldest_job_seconds)
            self._delivery_age().set(depth.oldest_delivery_seconds)

    def serve(self, host: str, port: int) -> None:
        """Serves Prometheus in threads of its own, for a process without routes. Raises OSError."""
        start_http_server(port, host, self._registry)

    def _known(self, model: str, *, answered: bool) -> str:
        if model in self._models or model in self._answered_by:
            return model
        if not answered or len(self._answered_by) >= MODELS_LABELLED or not _fits(model):
            return OTHER
        self._answered_by.add(model)
        return model


def page_of(each: Iterable[Figures]) -> bytes:
    """The page that Prometheus reads of several processes; the first is the one that answers."""
    return generate_latest(Shown(summed(each)))


def _fits(label: str) -> bool:
    """Half a surrogate pair cannot be written as UTF-8: as a label it would break the whole page."""
    return len(label) <= LONGEST_LABEL and not any("\ud800" <= each <= "\udfff" for each in label)
