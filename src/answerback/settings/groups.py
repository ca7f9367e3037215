"""How the documentation groups the settings."""

from collections.abc import Mapping, Sequence

GROUPS: Mapping[str, Sequence[str]] = {
    "The five that matter first": (
        "openrouter_api_key",
        "openai_api_key",
        "openai_base_url",
        "llm_model",
        "database_url",
    ),
    "The provider": (
        "openrouter_base_url",
        "llm_fallback_models",
        "llm_routes_file",
        "upstream_requests_per_minute",
        "upstream_concurrency",
        "llm_timeout_seconds",
        "connection_timeout",
        "cache_ttl",
        "cache_maxsize",
        "mock_mode",
        "mock_delay_seconds",
    ),
    "Retries of synchronous calls": ("max_retries", "min_retry_delay", "max_retry_delay", "retry_multiplier"),
    "Conversations": ("context_max_messages", "context_max_tokens", "context_ttl_seconds", "conversation_max_pending"),
    "Callbacks": (
        "callback_hmac_secret",
        "callback_max_retries",
        "callback_backoff_seconds",
        "callback_timeout_seconds",
        "callback_allowed_networks",
    ),
    "Addresses, keys and limits": (
        "app_host",
        "app_port",
        "auth_token",
        "auth_disabled",
        "operator_token",
        "rate_limit",
        "max_body_bytes",
        "cors_allowed_origins",
        "trusted_proxies",
    ),
    "Reviews": ("llm_api_url", "llm_api_key", "llm_callback_timeout_seconds", "public_base_url", "enable_simulation"),
    "Jobs and workers": (
        "redis_url",
        "celery_broker_url",
        "worker_concurrency",
        "tenant_slot_factor",
        "lease_seconds",
        "job_deadline_seconds",
        "max_queued_jobs_per_tenant",
        "max_queued_jobs",
        "worker_metrics_port",
    ),
    "Logs, files and retention": ("log_level", "log_format", "logs_dir", "benchmarks_dir", "retention_days"),
}
"""Every setting, in the groups and the order of the documentation."""
