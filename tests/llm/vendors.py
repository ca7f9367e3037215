"""Errors as vendors send them: status, body, what it means, and the wait that the body asks for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plain_vendors import PLAIN

from answerback.llm.errors.meaning import Meaning


@dataclass(frozen=True)
class Example:
    vendor: str
    status: int
    body: Any
    meaning: Meaning
    wait: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, ensure_ascii=False).encode()

    def __str__(self) -> str:
        return f"{self.vendor} {self.status}"


def error(message: str = "", **fields: Any) -> dict[str, Any]:
    """OpenAI's shape."""
    return {"error": {"message": message, **fields}}


def google(code: int, message: str, status: str, *details: dict[str, Any]) -> list[dict[str, Any]]:
    """Google's shape on its OpenAI-compatible route: a list around it."""
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


def info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def retry_in(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


NGINX_TLS = b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"
PER_DAY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "20"}],
}
QUOTA = "You exceeded your current quota, please check your plan and billing details."
AZURE_FILTER = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
VLLM_CONTEXT = "This model's maximum context length is 6048 tokens. However, you requested 6616 tokens."
LLAMA_BATCH = "input (902 tokens) is too large to process. increase the physical batch size (current batch size: 512)"
LLAMA_UNREADABLE = (
    "Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/...",
    "image input is not supported by this server",
    "audio input is not supported - you may need to provide the mmproj",
    "Failed to parse tool call arguments as JSON: [json.exception.parse_error.101] parse error at line 1, column 6: "
    "syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal",
    'Failed to parse tools: Unsupported tool type: {"type":"custom","custom":{"name":"x"}}; tools = [\n  {}\n]',
    "Failed to parse tools: [json.exception.out_of_range.403] key 'name' not found; tools = [{\"description\": "
    '"says whether a service is overloaded, or limits the rate of calls: too many requests"}]',
)
LLAMA_BROKE = "The model produced output that does not match the expected peg-native format"
XAI_SPENT = "Your team 16f2151a has either used all available credits or reached its monthly spending limit."
GROQ_LIMIT = (
    "Rate limit reached for model `x` on tokens per minute (TPM): Limit 6000. Please try again in 7.66s. Visit …"
)
GROQ_LARGE = "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 8000, please reduce it."
FIREWORKS = (
    "Account x is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices"
)
NEURONS = "you have used up your daily free allocation of 10,000 neurons"
RAW = json.dumps({"error": {"message": "Provider says: prompt is too long", "code": "context_length_exceeded"}})
LITELLM = "litellm.RateLimitError: OpenAIException - Error code: 429 - {'error': {'code': 'insufficient_quota'}}"
FEWER_TOKENS = "You requested up to 64000 tokens, but can only afford 900."
EXTRA = [{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]
OVER_BUDGET = "litellm.BadRequestError: OpenAIException - Budget has been exceeded! Current cost: 14, Max budget: 10"
BEDROCK_DENIED = "You don't have access to the model with the specified model ID."
M = Meaning

TOO_LONG = (
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "You passed 9001 input tokens. However, the model's context length is only 8192 tokens.",
    "max_tokens=99 cannot be greater than max_model_len=9",
    "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    "Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
    "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000",
    "Invalid request: Your request exceeded model token limit: 8192",
    "Please reduce it. Current length is 9000 while limit is 8192",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "Prompt length (9000) exceeds maximum input length (8192).",
    "Unable to submit request because the input token count is 32781 but model only supports up to 32767.",
)

SETTINGS = "https://openrouter.ai/settings/privacy"
NO_POLICY = f"No endpoints found matching your data policy (Free model publication). Configure: {SETTINGS}"

OF_LITELLM = [
    (400, "litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - no", M.CONTEXT),
    (400, "litellm.BadRequestError: litellm.ContextWindowExceededError: OpenAIException - no", M.CONTEXT),
    (500, "litellm.AuthenticationError: AnthropicException - no", M.AUTH),
    (400, "litellm.AuthenticationError: AnthropicException - no", M.AUTH),
    (0, "litellm.AuthenticationError: AnthropicException - no", M.AUTH),
    (500, "litellm.PermissionDeniedError: VertexAIException - no", M.AUTH),
    (400, "litellm.RateLimitError: AnthropicException - no", M.LIMITED),
    (500, "litellm.exceptions.RateLimitError: AnthropicException - no", M.LIMITED),
    (400, "litellm.BudgetExceededError: no", M.CREDIT),
    (400, "litellm.NotFoundError: VertexAIException - no", M.MODEL),
    (500, "litellm.NotFoundError: VertexAIException - no", M.MODEL),
    (400, "litellm.ContentPolicyViolationError: AzureException - no", M.FILTERED),
    (400, "litellm.Timeout: APITimeoutError - no", M.FAILED),
    (408, "litellm.Timeout: APITimeoutError - no", M.FAILED),
    (400, "litellm.ServiceUnavailableError: BedrockException - no", M.CAPACITY),
    (400, "litellm.InternalServerError: AnthropicException - no", M.FAILED),
    (500, "litellm.InternalServerError: AnthropicException - no", M.FAILED),
    (500, "litellm.BadRequestError: OpenAIException - no", M.REFUSED),
    (0, "litellm.BadRequestError: OpenAIException - no", M.REFUSED),
    (400, "litellm.BadRequestError: OpenAIException - no", M.REFUSED),
    (400, "Unknown field: litellm.AuthenticationError: no", M.REFUSED),
]

CORAL = "com.amazon.coral.availability#"
HTTP_OF_CORAL = ":http://internal.amazon.com/coral/com.amazon.bedrock/"


def aws(name: str) -> dict[str, str]:
    return {"x-amzn-ErrorType": name}


AWS = [
    Example("aws", 400, {"__type": CORAL + "ThrottlingException", "message": "no"}, M.LIMITED),
    Example("aws, code", 400, {"code": CORAL + "ThrottlingException", "message": "no"}, M.LIMITED),
    Example("aws, address", 400, {"__type": "ThrottlingException" + HTTP_OF_CORAL, "message": "no"}, M.LIMITED),
    Example("aws, header", 400, {"message": "no"}, M.LIMITED, headers=aws("ThrottlingException" + HTTP_OF_CORAL)),
    Example("aws, both", 400, b"", M.LIMITED, headers=aws(CORAL + "ThrottlingException" + HTTP_OF_CORAL)),
    Example("aws", 400, {"__type": CORAL + "ServiceUnavailableException", "message": "no"}, M.CAPACITY),
    Example("aws, header", 400, {"message": "no"}, M.CAPACITY, headers=aws("ServiceUnavailableException")),
    Example("aws", 400, {"__type": "com.amazon.coral.service#AccessDeniedException", "message": "no"}, M.AUTH),
    Example("aws, header", 400, {"message": "no"}, M.AUTH, headers=aws("AccessDeniedException" + HTTP_OF_CORAL)),
    Example("aws", 400, {"__type": "com.amazon.coral.validate#ValidationException", "message": "no"}, M.REFUSED),
    Example("aws in a 200", 0, {"__type": CORAL + "ThrottlingException", "message": "no"}, M.LIMITED),
]

DENIED = [
    Example("openai, unverified", 403, error("Your organization must be verified", code="model_access_denied"), M.AUTH),
    Example(
        "openai, unverified, said", 403, error("Your organization must be verified to use the model `o3`."), M.AUTH
    ),
    Example("litellm", 401, error("key not allowed to access model", type="key_model_access_denied"), M.AUTH),
    Example("litellm, team", 400, error("team not allowed", type="team_model_access_denied"), M.AUTH),
    Example("volcengine, in a 403", 403, error("has not activated the model", code="ModelNotOpen"), M.AUTH),
    Example("siliconflow", 403, {"code": 30003, "message": "Model disabled."}, M.AUTH),
    Example("z.ai", 429, {"error": {"code": "1311", "message": "your plan does not include it"}}, M.AUTH),
    Example("bedrock", 403, {"__type": "AccessDeniedException", "message": BEDROCK_DENIED}, M.AUTH),
    Example("groq", 403, error("The model `m` is blocked at the project level.", type="permissions_error"), M.AUTH),
    Example("github", 403, error("No access to model: openai/o3", code="no_access"), M.AUTH),
    Example(
        "hugging face", 403, {"error": "The model x is too large to be loaded automatically (16GB > 10GB)."}, M.AUTH
    ),
    Example("ollama", 403, {"error": "this model requires a subscription, upgrade for access"}, M.AUTH),
    Example("xai, region", 403, {"error": "The model grok-4.1 is not available in your region."}, M.AUTH),
    Example("new api", 403, error("该令牌无权访问模型 m", type="new_api_error"), M.AUTH),
]
"""Errors of a provider that has others of its models for the account."""

NOBODY_ALLOWED = [
    Example("openrouter, policy", 404, error(NO_POLICY, code=404), M.AUTH),
    Example("openrouter, guardrail", 404, error(NO_POLICY.replace("found", "available"), code=404), M.AUTH),
    Example("openrouter, allowed", 404, error("No allowed providers are available for it.", code=404), M.AUTH),
    Example("openrouter, ignored", 404, error("All providers have been ignored. See " + SETTINGS, code=404), M.AUTH),
]
"""Errors of an account whose settings leave out all who serve the model."""

ALLOCATE = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB"
NO_ROOM = (
    "model requires more system memory (12.3 GiB) than is available (6.1 GiB)",
    "model requires more gpu memory than is available",
    ALLOCATE,
    "HIP out of memory",
    "cudaMalloc failed: out of memory",
    "llama runner process has terminated: error loading model: unable to allocate CUDA0 buffer",
    "failed to allocate compute buffers",
    "Cannot allocate memory",
    "not enough memory: you tried to allocate 9437184 bytes",
    "insufficient VRAM to load the model",
    "std::bad_alloc",
    "no slot available",
    "no slots available right now",
    "slot unavailable",
    "Model x is still loading",
    "The model is being loaded, please wait",
    "the model is loading",
    "Model not ready",
    'Failed to load model "x". Error: insufficient system resources.',
)
"""What servers say that have no memory, or no place, for now."""

ANTHROPIC_SPENT = "You have reached your specified API usage limits. You will regain access on 2026-08-01 at 00:00 UTC."
NO_CHANNEL = "当前分组 default 下对于模型 m 无可用渠道"
BEDROCK_OLD = "This model version has reached the end of its life."
BEDROCK_FORM = "Model use case details have not been submitted for this account."
REPEATED = "Error code: 402 - {'error': {'message': 'x', 'code': 'invalid_request_error'}}"

TOKEN_LIMIT = " For details, see: https://help.aliyun.com/zh/model-studio/error-code#token-limit"
NO_CARD = "INVALID_PAYMENT_INSTRUMENT:A valid payment instrument must be provided."
NO_FREE_TIER = "Gemini API free tier is not available in your country. Please enable billing on your project"
SGLANG_LONG = "Input length (33000 tokens) exceeds the maximum allowed length (32768 tokens). Use a shorter input"
SILICON_LONG = "length of prompt_tokens (40000) must be less than max_seq_len (32768)."
MINIMAX_LONG = "invalid params, context window exceeds limit"

SEEN = [
    Example("anthropic, spent", 400, error(ANTHROPIC_SPENT, type="invalid_request_error"), M.CREDIT),
    Example("groq, spent", 400, error("Organization has exceeded its limit", code="blocked_api_access"), M.CREDIT),
    Example("a gateway that repeats", 500, {"detail": REPEATED}, M.CREDIT),
    Example("anthropic, disabled", 400, error("This organization has been disabled."), M.AUTH),
    Example("groq, restricted", 400, error("Reach out to support", code="organization_restricted"), M.AUTH),
    Example("baidu", 0, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}, M.AUTH),
    Example("azure, embeddings", 400, error("Choose another model", code="OperationNotSupported"), M.MODEL),
    Example("moonshot", 404, error("Not found the model k", type="resource_not_found_error"), M.MODEL),
    Example("bedrock, old", 404, {"message": BEDROCK_OLD}, M.MODEL),
    Example("bedrock, form", 404, {"message": BEDROCK_FORM}, M.MODEL),
    Example("hugging face, paused", 400, {"error": "The endpoint is paused, ask a maintainer"}, M.MODEL),
    Example("volcengine", 404, error("endpoint is closed", code="InvalidEndpoint.ClosedEndpoint"), M.MODEL),
    Example("nvidia", 404, {"title": "Not Found", "detail": "Function 'x': Not found for account 'y'"}, M.MODEL),
    Example("new api, no channel", 503, error(NO_CHANNEL, code="model_not_found"), M.MODEL),
    Example("xinference", 500, {"detail": "[address=0.0.0.0:1, pid=2] Model not found, uid: x"}, M.MODEL),
    Example("tabbyapi", 503, {"detail": "No models are currently loaded."}, M.MODEL),
    Example("lm studio, crashed", 400, {"error": "The model has crashed without additional information."}, M.FAILED),
    Example("lm studio, unloaded", 400, {"error": "Model unloaded."}, M.FAILED),
    Example("sambanova", 400, error("but the maximum supported sequence length is just 8192!"), M.CONTEXT),
    Example("spark", 0, {"code": 11202, "message": "AppIdQpsOverFlowError"}, M.LIMITED),
    Example("one api, wrapped", 500, error("bad response status code 429", type="upstream_error"), M.LIMITED),
    Example("litellm", 429, error("No deployments available for this model, Try again in 5 seconds."), M.LIMITED, 5),
    Example("chatgpt", 429, error("The limit is reached", resets_in_seconds=7), M.LIMITED, 7),
    Example("zhipu", 429, error("请在 30 秒后重试"), M.LIMITED, 30),
    Example("dashscope", 429, error(QUOTA + TOKEN_LIMIT, code="insufficient_quota"), M.LIMITED),
    Example("bedrock, no card", 403, {"message": "Model access is denied due to " + NO_CARD}, M.CREDIT),
    Example("bedrock, account", 400, {"message": "Access to Bedrock models is not allowed for this account."}, M.AUTH),
    Example("gemini, free tier", 400, google(400, NO_FREE_TIER, "FAILED_PRECONDITION"), M.AUTH),
    Example("gemini, header", 400, google(400, "Missing or invalid Authorization header.", "X"), M.AUTH),
    Example("lm studio, channel", 400, {"error": "Channel Error"}, M.FAILED),
    Example("sglang", 400, {"object": "error", "message": SGLANG_LONG}, M.CONTEXT),
    Example("siliconflow", 400, {"code": 20015, "message": SILICON_LONG}, M.CONTEXT),
    Example("volcengine", 400, error("Total tokens of image and text exceed max message tokens."), M.CONTEXT),
    Example("minimax, long", 0, {"base_resp": {"status_code": 2013, "status_msg": MINIMAX_LONG}}, M.CONTEXT),
    Example("an unnamed quota, in a stream", 0, {"message": QUOTA}, M.CREDIT),
    Example("an unnamed balance, in a stream", 0, {"message": "Insufficient account balance"}, M.CREDIT),
    Example("an unnamed 401 in a 200", 0, {"message": "Unauthorized"}, M.AUTH),
    Example("an unnamed 403 in a 200", 0, {"detail": "Forbidden"}, M.AUTH),
    Example("an unnamed key in a 200", 0, {"detail": "Invalid token."}, M.AUTH),
    Example("a filter's words in a stream", 0, {"message": "Forbidden words were found"}, M.FAILED),
]
"""Errors that users of gateways and clients have reported."""

BEDROCK_NEW = "Operation not allowed"
GROQ_FULL = "The model is currently over capacity. Please try again and back off exponentially."
GROQ_TERMS = "The model `x` requires terms acceptance. Please have the org admin accept the terms."
TOGETHER_OWN = "Unable to access non-serverless model x. Please visit the site to create a dedicated endpoint."
DEEPSEEK_BUSY = "Service is too busy. We advise users to temporarily switch to alternative services."
NOT_A_CHAT = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."

DOCUMENTED = [
    Example("minimax, connections", 0, {"base_resp": {"status_code": 1041, "status_msg": "conn limit"}}, M.LIMITED),
    Example("minimax, growth", 0, {"base_resp": {"status_code": 2045, "status_msg": "rate growth limit"}}, M.LIMITED),
    Example("minimax, plan", 0, {"base_resp": {"status_code": 2061, "status_msg": "no such plan"}}, M.AUTH),
    Example(
        "minimax, output", 422, error("output new_sensitive (1027)", type="unprocessable_entity_error"), M.FILTERED
    ),
    Example("spark, audit", 0, {"code": 10013, "message": "no"}, M.FILTERED),
    Example("spark, unauthorized", 0, {"code": 11200, "message": "AppIdNoAuthError"}, M.AUTH),
    Example("spark, day", 0, {"code": 11201, "message": "no"}, M.LIMITED),
    Example("spark, long", 0, {"code": 10907, "message": "no"}, M.CONTEXT),
    Example("baidu, permission", 0, {"error_code": 6, "error_msg": "No permission to access data"}, M.AUTH),
    Example("novita", 403, {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "no"}, M.CREDIT),
    Example("mistral, inactive", 401, {"detail": "Inactive subscription or usage limit reached"}, M.CREDIT),
    Example("portkey", 412, {"status": "failure", "message": "Portkey Error: Usage limit exceeded"}, M.CREDIT),
    Example("stepfun, spent", 429, error("Credits exhausted"), M.CREDIT),
    Example("zhipu, locked", 429, {"error": {"code": "1112", "message": "您的账号已被锁定"}}, M.AUTH),
    Example("bedrock, new account", 400, {"message": BEDROCK_NEW}, M.AUTH),
    Example("zhipu, model", 403, {"error": {"code": "1220", "message": "您无权访问glm"}}, M.AUTH),
    Example("groq, terms", 400, error(GROQ_TERMS, code="model_terms_required"), M.AUTH),
    Example("cohere, removed", 404, {"message": "model 'command' was removed on September 15, 2025."}, M.MODEL),
    Example("together, own", 400, error(TOGETHER_OWN, type="invalid_request_error"), M.MODEL),
    Example("lm studio, memory", 400, error("No luck", code="model_load_failed"), M.CAPACITY),
    Example("lm studio, said", 400, error(NO_ROOM[-1], type="invalid_request_error"), M.CAPACITY),
    Example("databricks", 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "no"}, M.MODEL),
    Example("databricks, said", 404, {"message": "The endpoint 'x' does not exist."}, M.MODEL),
    Example("openai, plain", 404, error(NOT_A_CHAT, param="model", code=None), M.MODEL),
    Example("openai, responses", 404, error("This model is only supported in v1/responses.", param="model"), M.MODEL),
    Example("volcengine", 400, error("no", code="OutputTextSensitiveContentDetected"), M.FILTERED),
    Example("volcengine, image", 400, error("no", code="InputImageSensitiveContentDetected"), M.FILTERED),
    Example("volcengine, risk", 400, error("no", code="InputTextRiskDetection"), M.FILTERED),
    Example("stepfun", 451, error("The content is blocked", type="censorship_blocked"), M.FILTERED),
    Example("new api", 500, error("user sensitive words detected", code="sensitive_words_detected"), M.FILTERED),
    Example("vercel", 403, error("AI Gateway requires a valid credit card on file to service requests."), M.CREDIT),
    Example("anthropic, workspace", 400, error(ANTHROPIC_SPENT.replace("You have", "This workspace has")), M.CREDIT),
    Example("bedrock, marketplace", 403, {"message": "Model access is denied due to IAM user or role"}, M.AUTH),
    Example("baseten", 400, {"error": "Model has been deactivated"}, M.MODEL),
    Example("watsonx", 400, error("input tokens 5000 cannot exceed the total tokens limit 4096 for it"), M.CONTEXT),
    Example("tabbyapi", 400, {"detail": "Context length 5000 is greater than max_seq_len 4096."}, M.CONTEXT),
    Example("groq", 503, error(GROQ_FULL, type="internal_server_error"), M.CAPACITY),
    Example("deepseek", 503, error(DEEPSEEK_BUSY, type="service_unavailable_error"), M.CAPACITY),
    Example("fireworks", 503, error("Deployment is scaled to zero and is scaling up."), M.CAPACITY),
    Example("openai, slow", 503, error("Slow", type="server_error", code="slow_down"), M.CAPACITY),
]
"""Errors that vendors document, or have documented."""

EXAMPLES = [
    *SEEN,
    *DOCUMENTED,
    # The account cannot pay.
    Example("openai", 429, error(QUOTA, type="insufficient_quota", param=None, code="insufficient_quota"), M.CREDIT),
    Example("openai, quota without a code", 429, error(QUOTA, type=None, code=None), M.CREDIT),
    Example("openai, hard limit", 400, error("Billing hard limit", code="billing_hard_limit_reached"), M.CREDIT),
    Example("openai in a stream", 0, {"message": QUOTA, "code": "insufficient_quota"}, M.CREDIT),
    Example("perplexity", 401, error(QUOTA, type="insufficient_quota", code=401), M.CREDIT),
    Example(
        "anthropic",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
            },
        },
        M.CREDIT,
    ),
    Example("anthropic", 402, {"type": "error", "error": {"type": "billing_error", "message": "pay"}}, M.CREDIT),
    Example(
        "deepseek", 402, error("Insufficient Balance", type="unknown_error", code="invalid_request_error"), M.CREDIT
    ),
    Example("moonshot", 429, error("Your account is suspended", type="exceeded_current_quota_error"), M.CREDIT),
    Example("zhipu", 429, {"error": {"code": "1113", "message": "您的账户已欠费"}}, M.CREDIT),
    Example("zhipu, arrears in a 200", 0, {"code": 1113, "msg": "no balance", "success": False}, M.CREDIT),
    Example("z.ai", 429, {"error": {"code": 1309, "message": "Your plan has expired"}}, M.CREDIT),
    Example(
        "dashscope", 400, {"error": {"code": "Arrearage", "type": "Arrearage", "message": "Access denied"}}, M.CREDIT
    ),
    Example("dashscope, native", 400, {"code": "Arrearage", "message": "Access denied", "request_id": "1"}, M.CREDIT),
    Example("dashscope, free tier", 403, {"code": "AllocationQuota.FreeTierOnly", "message": "exhausted"}, M.CREDIT),
    Example("volcengine", 403, error("overdue balance", code="AccountOverdueError", type="Forbidden"), M.CREDIT),
    Example("volcengine", 429, error("the set inference limit", code="SetLimitExceeded"), M.CREDIT),
    Example("siliconflow", 403, {"code": 30001, "message": "Sorry, your account balance is insufficient"}, M.CREDIT),
    Example("minimax in a 200", 0, {"base_resp": {"status_code": 1008, "status_msg": "no money"}}, M.CREDIT),
    Example("xai", 429, {"code": "resource-exhausted", "error": XAI_SPENT}, M.CREDIT),
    Example("xai", 403, {"code": "denied", "error": "Your newly created team doesn't have any credits yet."}, M.CREDIT),
    Example("xai, spent", 403, {"code": "personal-team-blocked:spending-limit", "error": "no"}, M.CREDIT),
    Example("fireworks", 412, {"error": {"code": "PRECONDITION_FAILED", "message": FIREWORKS}}, M.CREDIT),
    Example("together", 402, error("Credit limit exceeded, please navigate to billing"), M.CREDIT),
    Example("hugging face", 402, {"error": "You have exceeded your monthly included credits"}, M.CREDIT),
    Example(
        "cohere, trial", 429, {"message": "You are using a Trial key, limited to 1000 API calls / month."}, M.CREDIT
    ),
    Example("openrouter", 402, error("This request requires more credits, or fewer max_tokens.", code=402), M.CREDIT),
    Example("openrouter, key", 403, error("Key limit exceeded (monthly limit).", code=403), M.CREDIT),
    Example("openrouter, limit", 403, error("no", metadata={"limit_source": "workspace"}), M.CREDIT),
    Example("openrouter, max_tokens", 402, error(FEWER_TOKENS, code=402), M.CREDIT),
    Example("openrouter, heavy", 402, error("no", metadata={"reason": "weight_exceeds_budget"}), M.CREDIT),
    Example(
        "openrouter, nested", 402, {"error": {"error": {"message": "More credits are required", "code": 402}}}, M.CREDIT
    ),
    Example("litellm", 400, error("Budget has been exceeded! Current cost: 1", type="auth_error", code=400), M.CREDIT),
    Example("litellm", 429, error("LiteLLM User: x, exceeded budget", type="budget_exceeded", code="429"), M.CREDIT),
    Example("litellm of litellm", 400, error(OVER_BUDGET, type=None, code="400"), M.CREDIT),
    Example("litellm, wrapped", 429, error(LITELLM, type=None, code="429"), M.CREDIT),
    Example(
        "gemini, no free tier", 429, google(429, "Quota exceeded for metric x, limit: 0\nretry in 5s", "X"), M.CREDIT
    ),
    Example(
        "gemini, prepaid", 429, google(429, "Your prepayment credits are depleted.", "RESOURCE_EXHAUSTED"), M.CREDIT
    ),
    Example("vertex", 403, google(403, "no billing", "PERMISSION_DENIED", info("BILLING_DISABLED")), M.CREDIT),
    Example(
        "bedrock", 400, {"__type": "com.amazon#x", "message": "q", "code": "ServiceQuotaExceededException"}, M.CREDIT
    ),
    Example("unknown vendor", 429, {"msg": "insufficient balance, please recharge"}, M.CREDIT),
    Example("vendor without json", 403, b"Your account has insufficient funds", M.CREDIT),
    Example("volcengine, free quota", 429, error("used up", code="QuotaExceeded", type="TooManyRequests"), M.CREDIT),
    Example("copilot", 429, error("You have exceeded your monthly quota"), M.CREDIT),
    Example("new-api", 403, error("用户额度不足", type="new_api_error", code="no"), M.CREDIT),
    Example("watsonx", 403, {"errors": [{"code": "token_quota_reached", "message": "no"}]}, M.CREDIT),
    Example("a gateway's 500", 500, error("upstream", code=402), M.CREDIT),
    # The account may not.
    Example("minimax", 0, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, M.AUTH),
    Example("a gateway's 400", 400, error("upstream", code="401"), M.AUTH),
    Example("openai", 401, error("Incorrect API key provided: sk-ab***yz.", code="invalid_api_key"), M.AUTH),
    Example("anthropic", 403, {"type": "error", "error": {"type": "permission_error", "message": "no"}}, M.AUTH),
    Example("gemini", 400, google(400, "API key not valid.", "INVALID_ARGUMENT", info("API_KEY_INVALID")), M.AUTH),
    Example("gemini, location", 400, google(400, "User location is not supported for the API use.", "X"), M.AUTH),
    Example(
        "openai, region",
        403,
        error("Country, region, or territory not supported", code="unsupported_country_region_territory"),
        M.AUTH,
    ),
    Example("unknown vendor, region", 403, {"detail": "Service is not available in your region."}, M.AUTH),
    Example("cloudflare, text", 403, b"error code: 1020\n", M.AUTH),
    Example("unknown vendor, forbidden", 403, {"message": "no"}, M.AUTH),
    Example(
        "xai", 400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: x"}, M.AUTH
    ),
    Example("azure", 401, {"statusCode": 401, "message": "Access denied due to invalid subscription key."}, M.AUTH),
    Example("bedrock", 400, {"__type": "UnrecognizedClientException", "message": "token invalid"}, M.AUTH),
    Example(
        "cloudflare", 400, {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}, M.AUTH
    ),
    Example("mistral", 401, {"detail": "Unauthorized"}, M.AUTH),
    Example("siliconflow", 401, b'"Invalid token"', M.AUTH),
    Example("a firewall", 403, b"<!DOCTYPE html><html>Just a moment</html>", M.AUTH),
    # Too long, or too large.
    Example("openai", 400, error("too long", param="messages", code="context_length_exceeded"), M.CONTEXT),
    Example(
        "vllm", 400, {"object": "error", "message": VLLM_CONTEXT, "type": "BadRequestError", "code": 400}, M.CONTEXT
    ),
    Example("llama.cpp", 400, error("the request exceeds", code=400, type="exceed_context_size_error"), M.CONTEXT),
    Example("llama.cpp, embeddings", 500, error(LLAMA_BATCH, code=500, type="server_error"), M.CONTEXT),
    Example("anthropic", 400, error("prompt is too long: 216404 tokens > 200000 maximum"), M.CONTEXT),
    Example(
        "gemini", 400, google(400, "The input token count (9) exceeds the maximum number of tokens", "X"), M.CONTEXT
    ),
    Example("bedrock", 400, {"message": "Input is too long for requested model."}, M.CONTEXT),
    Example("together", 422, error("`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000"), M.CONTEXT),
    Example("dashscope", 400, error("Range of input length should be [1, 30720]", code="InvalidParameter"), M.CONTEXT),
    Example(
        "mistral", 400, {"message": "Prompt contains 9000 tokens and 0 draft tokens, too large for model"}, M.CONTEXT
    ),
    Example("zhipu", 400, {"error": {"code": "1261", "message": "Prompt 超长"}}, M.CONTEXT),
    Example(
        "github", 413, error("Request body too large. Max size: 8000 tokens.", code="tokens_limit_reached"), M.CONTEXT
    ),
    Example("litellm", 400, error("litellm.ContextWindowExceededError: maximum context length is 9"), M.CONTEXT),
    Example("openrouter, raw", 400, error("Provider returned error", code=400, metadata={"raw": RAW}), M.CONTEXT),
    *(Example(f"context, {n}", 400, error(said), M.CONTEXT) for n, said in enumerate(TOO_LONG)),
    Example("groq", 413, error(GROQ_LARGE, type="tokens", code="rate_limit_exceeded"), M.TOO_LARGE),
    Example(
        "openai", 429, error("Request too large for gpt-4 on tokens per min", code="rate_limit_exceeded"), M.TOO_LARGE
    ),
    Example("anthropic", 413, {"type": "error", "error": {"type": "request_too_large", "message": "m"}}, M.TOO_LARGE),
    # The account may not use this model.
    *DENIED,
    *NOBODY_ALLOWED,
    Example("openai, unverified, in a stream", 0, error("Verify", code="model_access_denied")["error"], M.AUTH),
    # No such model.
    Example(
        "openai, project", 403, error("Project `p` does not have access to model `m`", code="model_not_found"), M.MODEL
    ),
    Example("volcengine", 404, error("has not activated the model", code="ModelNotOpen"), M.MODEL),
    Example("openai", 404, error("The model `x` does not exist", code="model_not_found"), M.MODEL),
    Example(
        "vllm", 404, {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError"}, M.MODEL
    ),
    Example("ollama", 404, error('model "x" not found, try pulling it first', type="api_error"), M.MODEL),
    Example("ollama, native", 404, {"error": "model 'x' not found"}, M.MODEL),
    Example(
        "azure", 404, error("The API deployment for this resource does not exist.", code="DeploymentNotFound"), M.MODEL
    ),
    Example("groq", 400, error("The model has been decommissioned", code="model_decommissioned"), M.MODEL),
    Example(
        "mistral", 400, {"object": "error", "message": "Nope: x", "type": "invalid_model", "code": "1500"}, M.MODEL
    ),
    Example("mistral, by number", 400, {"object": "error", "message": "Nope: x", "code": "1500"}, M.MODEL),
    Example("deepseek", 400, error("Model Not Exist", type="invalid_request_error"), M.MODEL),
    Example("anthropic", 404, {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}, M.MODEL),
    Example("openrouter", 400, error("x/y is not a valid model ID", code=400), M.MODEL),
    Example("openrouter", 404, error("No endpoints found for x/y.", code=404), M.MODEL),
    Example("vertex", 404, google(404, "Publisher Model `x` was not found", "NOT_FOUND"), M.MODEL),
    Example("gemini", 404, google(404, "models/x is not found for API version v1main", "NOT_FOUND"), M.MODEL),
    Example("xai", 404, {"code": "not found", "error": "The model grok-x does not exist or your team cannot"}, M.MODEL),
    Example("fireworks", 404, error("Model not found, inaccessible, and/or not deployed"), M.MODEL),
    Example("bedrock", 400, {"message": "The provided model identifier is invalid."}, M.MODEL),
    Example("siliconflow", 400, {"code": 20012, "message": "Please check it carefully."}, M.MODEL),
    Example("litellm", 400, error("Invalid model name passed in model=x. Call `/v1/models`"), M.MODEL),
    Example("nvidia", 410, {"status": 410, "title": "Gone"}, M.MODEL),
    # A filter refused it.
    Example(
        "azure",
        400,
        error(AZURE_FILTER, param="prompt", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        M.FILTERED,
    ),
    Example("openrouter", 403, error("no", metadata={"reasons": ["violence"], "flagged_input": "…"}), M.FILTERED),
    Example("dashscope", 400, error("Input data may contain", code="data_inspection_failed"), M.FILTERED),
    Example("deepseek", 400, error("Content Exists Risk", type="invalid_request_error"), M.FILTERED),
    Example("zhipu", 400, {"error": {"code": "1301", "message": "x"}}, M.FILTERED),
    Example("cohere", 498, {"message": "blocked: it may violate our Usage Guidelines"}, M.FILTERED),
    Example("minimax", 0, {"base_resp": {"status_code": 1026, "status_msg": "input"}}, M.FILTERED),
    Example("xai", 403, {"code": "denied", "error": "Content violates usage guidelines."}, M.FILTERED),
    Example("anthropic", 400, error("Output blocked by content filtering policy"), M.FILTERED),
    # Not now.
    Example("a quota that refills", 429, error(QUOTA), M.LIMITED, 20, {"Retry-After": "20"}),
    Example("gemini, a day", 429, google(429, QUOTA, "RESOURCE_EXHAUSTED", PER_DAY, retry_in("1s")), M.LIMITED, 300),
    Example("groq, a day", 429, error("Rate limit reached on tokens per day (TPD). Try again in 9s."), M.LIMITED, 300),
    Example("openrouter, a day", 429, error("Rate limit exceeded: free-models-per-day", code=429), M.LIMITED, 300),
    Example("ollama", 429, {"error": "you have reached your weekly usage limit"}, M.LIMITED, 300),
    Example("gemini, without a wait", 429, google(429, QUOTA, "RESOURCE_EXHAUSTED"), M.LIMITED),
    Example("github, secondary", 403, {"message": "You have exceeded a secondary rate limit."}, M.LIMITED),
    Example("in a stream", 0, {"message": "Rate limit exceeded"}, M.LIMITED),
    Example("minimax", 0, {"base_resp": {"status_code": 1002, "status_msg": "slow"}}, M.LIMITED),
    Example("a gateway's 500", 500, error("upstream", code=429), M.LIMITED),
    Example("baidu in a 200", 0, {"error_code": 18, "error_msg": "Open api qps request limit reached"}, M.LIMITED),
    Example("groq", 429, error(GROQ_LIMIT, type="tokens", code="rate_limit_exceeded"), M.LIMITED, 7.66),
    Example(
        "openai",
        429,
        error("Rate limit reached. Please try again in 6m0s.", code="rate_limit_exceeded"),
        M.LIMITED,
        360,
    ),
    Example("openai, soon", 429, error("Please try again in 547ms. Visit x", type="requests"), M.LIMITED, 0.547),
    Example("gemini", 429, google(429, QUOTA + " Please retry in 34.07s.", "X", retry_in("34s")), M.LIMITED, 34),
    Example("gemini, object", 429, google(429, QUOTA + " Please retry in 34.07s.", "X")[0], M.LIMITED, 34.07),
    Example(
        "gemini cli", 429, error(json.dumps(google(429, "exhausted", "RESOURCE_EXHAUSTED")[0]), code=429), M.LIMITED
    ),
    Example("azure", 429, error("Please retry after 26 seconds.", code="429"), M.LIMITED, 26),
    Example(
        "apim", 429, {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 14 seconds."}, M.LIMITED, 14
    ),
    Example(
        "apim, quota",
        403,
        {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 2.05:23:10."},
        M.LIMITED,
        192_190,
    ),
    Example("dashscope", 429, error("Allocated quota exceeded, please increase", code="insufficient_quota"), M.LIMITED),
    Example("mistral", 429, {"object": "error", "message": "Rate limit exceeded", "code": "1300"}, M.LIMITED),
    Example("moonshot", 429, error("Please try again after 1 seconds", type="rate_limit_reached_error"), M.LIMITED, 1),
    Example("cloudflare", 429, {"success": False, "errors": [{"code": 4006, "message": NEURONS}]}, M.LIMITED, 300),
    Example("cohere", 429, {"message": "Please wait and try again later"}, M.LIMITED),
    Example(
        "github", 429, error("Please wait 49263 seconds before retrying.", code="RateLimitReached"), M.LIMITED, 49_263
    ),
    Example("litellm", 429, error("No deployments available, Try again in 60 seconds.", code="429"), M.LIMITED, 60),
    Example("bedrock", 400, {"__type": "ThrottlingException", "message": "Too many tokens, please wait"}, M.LIMITED),
    Example("openrouter", 402, error("no", metadata={"reason": "in_flight_budget_exhausted"}), M.LIMITED),
    Example("openrouter, said", 402, error("in_flight_budget_exhausted"), M.LIMITED),
    Example("discord's shape", 429, {"message": "You are being rate limited.", "retry_after": 0.3}, M.LIMITED, 0.3),
    Example("cerebras", 429, error("Tokens per day limit exceeded", type="too_many_tokens_error"), M.LIMITED),
    # No room.
    Example("anthropic", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, M.CAPACITY),
    Example("anthropic in a stream", 0, {"type": "overloaded_error", "message": "Overloaded"}, M.CAPACITY),
    Example("groq", 498, error("full", code="capacity_exceeded"), M.CAPACITY),
    Example("groq, bare", 498, b"", M.CAPACITY),
    Example("gemini", 503, google(503, "The model is overloaded. Try later.", "UNAVAILABLE"), M.CAPACITY),
    Example("ollama", 503, {"error": "server busy, please try again.  maximum pending requests exceeded"}, M.CAPACITY),
    Example("hugging face", 503, {"error": "Model x is currently loading", "estimated_time": 20.0}, M.CAPACITY, 20),
    Example("llama.cpp", 503, error("Loading model", type="unavailable_error", code=503), M.CAPACITY),
    *(Example(f"no room, {n}", 500, {"error": said}, M.CAPACITY) for n, said in enumerate(NO_ROOM)),
    *(Example(f"litellm {status}, {said}", status, error(said), meaning) for status, said, meaning in OF_LITELLM),
    *AWS,
    Example("vercel", 403, error("no card", type="customer_verification_required"), M.CREDIT),
    # It broke.
    Example("not implemented", 501, error("not implemented"), M.FAILED),
    Example("llama.cpp", 501, error("This server does not support tools", type="not_supported_error"), M.FAILED),
    Example("llama.cpp", 500, error(LLAMA_BROKE, code=500, type="server_error"), M.FAILED),
    Example("llama.cpp in a stream", 0, {"code": 500, "message": LLAMA_BROKE, "type": "server_error"}, M.FAILED),
    Example("openai", 500, error("The server had an error", type="server_error"), M.FAILED),
    Example("tgi", 424, {"error": "Request failed during generation", "error_type": "generation"}, M.FAILED),
    Example("google", 499, google(499, "cancelled", "CANCELLED"), M.FAILED),
    Example("a proxy", 502, b"<html><h1>502 Bad Gateway</h1></html>", M.FAILED),
    Example("in a stream", 0, {"message": "Internal error"}, M.FAILED),
    # The request is wrong.
    Example("llama.cpp, jinja", 500, error("tools param requires --jinja flag", type="server_error"), M.REFUSED),
    Example("openai in a stream", 0, error("Unsupported", type="invalid_request_error", param="top_k"), M.REFUSED),
    Example("google in a stream", 0, {"message": "no", "status": "INVALID_ARGUMENT"}, M.REFUSED),
    Example("minimax, characters", 0, {"base_resp": {"status_code": 1042, "status_msg": "invisible"}}, M.REFUSED),
    Example("a 404 of anything", 404, {"error": "Repository Not Found for url: https://x/api/models/x"}, M.REFUSED),
    Example("openai", 400, error("Invalid value", param="temperature", code="invalid_value"), M.REFUSED),
    Example("mistral", 422, {"object": "error", "message": {"detail": EXTRA}}, M.REFUSED),
    Example("ollama", 400, error("registry.ollama.ai/library/gemma does not support tools"), M.REFUSED),
    Example("openrouter, tools", 404, error("No endpoints found that support tool use.", code=404), M.REFUSED),
    Example("openrouter, images", 404, error("No endpoints found that support image input", code=404), M.REFUSED),
    *(Example("llama.cpp", 500, error(said, code=500, type="server_error"), M.REFUSED) for said in LLAMA_UNREADABLE),
    Example("ollama", 500, {"error": "this model is missing data required for image input"}, M.REFUSED),
    Example("minimax", 0, {"base_resp": {"status_code": 2013, "status_msg": "invalid params"}}, M.REFUSED),
    # Nothing there.
    Example("modal", 404, b"modal-http: app for invoked web endpoint is stopped", M.WRONG_PATH),
    Example("ngrok", 404, b"The endpoint x.ngrok-free.app is offline.\r\n\r\nERR_NGROK_3200\r\n", M.WRONG_PATH),
    Example("laravel", 404, {"message": "The route chat/completions could not be found."}, M.WRONG_PATH),
    Example(
        "hugging face", 410, {"error": "https://x.co is no longer supported. Please use https://y.co"}, M.WRONG_PATH
    ),
    Example("openai", 404, error("Invalid URL (POST /v1/v1/chat/completions)"), M.WRONG_PATH),
    Example("azure", 404, error("Resource not found", code="404"), M.WRONG_PATH),
    Example("fastapi", 404, {"detail": "Not Found"}, M.WRONG_PATH),
    Example("go", 404, b"404 page not found", M.WRONG_PATH),
    Example("express", 404, {"message": "Cannot POST /chat/completions"}, M.WRONG_PATH),
    Example("lm studio in a 200", 0, "Unexpected endpoint or method. (POST /chat/completions)", M.WRONG_PATH),
    Example("zhipu in a 200", 0, {"error": {"code": 500, "msg": "404 NOT_FOUND"}}, M.WRONG_PATH),
    Example("fastapi", 405, {"detail": "Method Not Allowed"}, M.WRONG_PATH),
    Example("a web server", 405, b"<html>405 Not Allowed</html>", M.WRONG_PATH),
    Example("a redirect", 301, b"", M.WRONG_PATH),
    Example("nginx", 400, NGINX_TLS, M.WRONG_PATH),
    Example("go", 400, b"Client sent an HTTP request to an HTTPS server.\n", M.WRONG_PATH),
    *(Example(*each) for each in PLAIN),
]
