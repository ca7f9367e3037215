"""Errors of vendors that have no row of their own, or say no status: vendor, status, body, what it means."""

from typing import Any

from answerback.llm.errors.meaning import Meaning

M = Meaning
KIMI_CYCLE = "You've reached your usage limit for this billing cycle. Your quota will be refreshed in the next cycle."
CONVERSE = "when calling the ConverseStream operation: You don't have access to the model with the specified model ID."
EXTRA_FIELD = [{"loc": ["body", "top_k"], "msg": "extra fields not permitted", "type": "value_error.extra"}]


def coded(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "Something is wrong."}}


_CODES: dict[Meaning, tuple[tuple[int, ...], str]] = {
    M.CREDIT: (
        (400, 401, 403, 429, 0),
        "account_arrears NO_CREDITS out_of_credits credits_exhausted BALANCE_NOT_ENOUGH insufficient-funds "
        "insufficient_quota_error SpendLimitExceeded subscription_expired payment_method_required",
    ),
    M.AUTH: (
        (400, 401, 403, 429, 0),
        "wrong_api_key MissingApiKey token_expired key_revoked AuthFailure.SecretIdNotFound account_banned "
        "PermissionDenied NotAuthorized ip_not_allowed INVALID_CREDENTIALS ServiceNotActivated",
    ),
    M.MODEL: (
        (400, 404, 422, 0),
        "NoSuchModel UnsupportedModel MODEL_NOT_EXIST ModelDeprecated invalid_model_name",
    ),
    M.CONTEXT: (
        (400, 413, 422, 0),
        "InputTooLong prompt_length_exceeded context_window_overflow too_many_input_tokens ContextLengthExceeded",
    ),
    M.FILTERED: (
        (400, 403, 422, 0),
        "content_blocked safety_violation unsafe_content moderation_blocked risk_control policy_violation",
    ),
    M.LIMITED: (
        (400, 429, 503, 0),
        "too_many_concurrent_requests ThrottledException rate-limited RPM_LIMIT_EXCEEDED usage_limit_reached "
        "TooManyRequestsError message_limit_exceeded",
    ),
    M.CAPACITY: ((400, 404, 503, 0), "ServerOverloaded model_busy queue_full no_available_workers OverCapacity"),
    M.REFUSED: (
        (400, 422, 0),
        "missing_field UnsupportedParameter unknown_parameter invalid_tokens missing_key invalid_plan InvalidToolCall "
        "unauthorized_parameter",
    ),
}
"""What a code is made of says what it means: in these statuses."""

_OF_CODES = [
    (f"a code, {code}", status, coded(code), meaning)
    for meaning, (statuses, codes) in _CODES.items()
    for status in statuses
    for code in codes.split()
] + [
    (f"a model that is away, {status}", status, coded("model_unavailable"), meaning)
    for status, meaning in ((0, M.CAPACITY), (400, M.CAPACITY), (503, M.CAPACITY), (404, M.MODEL), (410, M.MODEL))
]

_SENTENCES: list[tuple[str, Meaning]] = [
    ("You have exceeded your monthly included credits for Inference Providers.", M.CREDIT),
    ("Credit limit exceeded, please navigate to https://x/billing to upgrade your plan.", M.CREDIT),
    ("Your free trial has ended. Please upgrade.", M.CREDIT),
    ("该令牌额度已用尽", M.CREDIT),
    ("You must be a member of an organization to use the API.", M.AUTH),
    ("Invalid username or password.", M.AUTH),
    ("The security token included in the request is expired", M.AUTH),
    ("Access to model meta-llama/x is restricted and you are not in the authorized list.", M.AUTH),
    ("无效的令牌", M.AUTH),
    ("鉴权失败", M.AUTH),
    ("The request body exceeds the maximum size", M.TOO_LARGE),
    ("you (x) have reached your hourly usage limit, please upgrade to continue", M.LIMITED),
    ("您当前使用该API的并发数过高", M.LIMITED),
    ("触发限流", M.LIMITED),
    ("Image size limit exceeded.", M.REFUSED),
    ("Too many images in the request.", M.REFUSED),
    ("registry.ollama.ai/library/gemma:latest does not support tools", M.REFUSED),
    ("messages 参数非法。请检查文档。", M.REFUSED),
    ("输入内容过长", M.CONTEXT),
    ("不支持的模型", M.MODEL),
    ("内容违规", M.FILTERED),
    ("Invalid token.", M.AUTH),
    ("Too many concurrent requests", M.LIMITED),
    ("The model returned no tokens.", M.FAILED),
    ("invalid token id 151643", M.FAILED),
    ("missing key 'content' in a message", M.FAILED),
    ("频率惩罚参数错误", M.REFUSED),
]
"""What an error without a status says."""

_NO_ROUTES: list[Any] = [
    *(
        {"error": {"message": said, "type": "invalid_request_error"}}
        for said in (
            "no such route",
            "Not Found",
            "Route not found",
            "Cannot GET /v1/models",
            "Unknown endpoint: /v1/models",
            "The requested endpoint was not found.",
            "The specified path does not exist",
            "GET /v1/models not found",
            "Not found: /v1/chat/completions",
            "404: Not Found",
            "Error 404",
            "请求路径不存在",
        )
    ),
    {"detail": "Not Found"},
    {"error": "Not Found", "message": "The requested resource does not exist"},
    {"message": "Route GET:/v1/models not found", "error": "Not Found", "statusCode": 404},
    {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "No static resource v1/models."},
    {"error": {"code": "route_not_found", "message": "Something is wrong."}},
]
_NO_MODELS = ("models/x not found", "The resource was not found: model x does not exist", "Route to model x not found")

PLAIN: list[tuple[str, int, Any, Meaning]] = [
    *_OF_CODES,
    *(("a gateway without the path", 404, body, M.WRONG_PATH) for body in _NO_ROUTES),
    *(("a 404 of a model", 404, {"error": {"message": said}}, M.MODEL) for said in _NO_MODELS),
    ("a 404 of a file", 404, {"error": {"message": "No such File object: file-1"}}, M.REFUSED),
    *(("a sentence in a 200", 0, {"message": said}, meaning) for said, meaning in _SENTENCES),
    ("hunyuan", 400, coded("FailedOperation.ServiceStopArrears"), M.CREDIT),
    ("hunyuan", 400, coded("FailedOperation.ServiceNotActivated"), M.AUTH),
    ("ark, coding plan", 400, coded("InvalidSubscription"), M.CREDIT),
    ("kimi, cycle", 403, {"error": {"message": KIMI_CYCLE, "type": "access_terminated_error"}}, M.CREDIT),
    ("anthropic", 429, {"error": {"message": "Extra usage is required for long context requests."}}, M.CREDIT),
    ("upstage", 403, {"error": {"message": "API key suspended: you have run out of credit."}}, M.CREDIT),
    ("litellm", 401, {"error": {"message": "Authentication Error, ExceededTokenBudget: Current spend"}}, M.CREDIT),
    ("openai", 401, coded("account_deactivated"), M.AUTH),
    ("openai", 429, {"error": {"message": "Your access was terminated due to violation of our policies"}}, M.AUTH),
    ("oci", 404, {"code": "NotAuthorizedOrNotFound", "message": "not authorized, or not found"}, M.AUTH),
    ("bedrock access gateway", 400, {"detail": f"An error occurred (AccessDeniedException) {CONVERSE}"}, M.AUTH),
    ("grpc", 500, {"error": "rpc error: code = ResourceExhausted desc = slow down"}, M.LIMITED),
    ("azure apim", 403, {"statusCode": 403, "message": "Token quota is exceeded. Try again in 2 hours."}, M.LIMITED),
    ("modelscope", 400, {"errors": {"message": "Model id : x , has no provider supported"}}, M.MODEL),
    ("exo", 404, {"detail": "No instance found for model x"}, M.MODEL),
    ("new api", 500, coded("model_price_error"), M.MODEL),
    (
        "fastchat",
        400,
        {"object": "error", "message": "**NETWORK ERROR DUE TO HIGH TRAFFIC.**", "code": 50001},
        M.FAILED,
    ),
    ("one api", 503, {"error": {"message": "There are no channels available for model m here"}}, M.MODEL),
    ("new api, a channel", 503, {"error": {"message": "No available channel for model m under group g"}}, M.MODEL),
    ("gemini, no billing", 400, {"error": {"message": "Please enable billing on project p in AI Studio"}}, M.CREDIT),
    ("featherless", 400, coded("model_pending_deploy"), M.CAPACITY),
    ("litellm, no database", 400, {"error": {"message": "No connected db.", "type": "no_db_connection"}}, M.FAILED),
    ("azure", 400, {"error": {"code": "BadRequest", "message": "API version not supported"}}, M.WRONG_PATH),
    ("a proxy", 421, {"error": {"message": "Misdirected request"}}, M.WRONG_PATH),
    ("friendli in a stream", 0, {"detail": EXTRA_FIELD}, M.REFUSED),
    ("qianfan in a 200", 0, {"error_code": 336007, "error_msg": "the max input characters is 20000"}, M.REFUSED),
    ("a limit of tools", 400, coded("tool_call_limit_exceeded"), M.REFUSED),
    ("zhipu in a stream", 0, {"code": "1302", "message": "…"}, M.LIMITED),
]
