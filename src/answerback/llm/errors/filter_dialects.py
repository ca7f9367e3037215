"""What filters and moderation say, in every vendor's dialect: rows of the table in `dialects.py`, before those of
permissions. Some refuse with 403."""

from answerback.llm.errors.meaning import NO_STATUS, Meaning, Row, row
from answerback.llm.errors.sentences import FILTERED

FILTERS: tuple[Row, ...] = (
    row(
        Meaning.FILTERED,
        "OpenAI and Azure (content_filter, ResponsibleAIPolicyViolation), OpenRouter (403 with flagged_input), "
        "DashScope (DataInspectionFailed), Volcengine (SensitiveContentDetected), StepFun (451), LiteLLM, Vertex",
        words="content_filter content_policy_violation contentpolicyviolationerror responsibleaipolicyviolation "
        "content_filter_result flagged_input data_inspection_failed datainspectionfailed sensitivecontentdetected "
        "inputtextsensitivecontentdetected outputtextsensitivecontentdetected inputimagesensitivecontentdetected "
        "outputimagesensitivecontentdetected inputvideosensitivecontentdetected inputtextriskdetection "
        "outputtextriskdetection inputimageriskdetection outputimageriskdetection censorship_blocked "
        "prohibited_content content_blocked guardrail_intervened moderation sensitive_words_detected",
    ),
    row(Meaning.FILTERED, "Zhipu, error codes: 1301", statuses=(NO_STATUS, 400), words="1301"),
    row(
        Meaning.FILTERED,
        "MiniMax, error codes: 1026, 1027; Spark, error codes: 10013, 10014, 10019",
        statuses=(NO_STATUS,),
        words="1026 1027 10013 10014 10019",
    ),
    row(
        Meaning.FILTERED,
        "DeepSeek (Content Exists Risk), Cohere (498), Moonshot (high risk), MiniMax (422), Cloudflare's AI gateway",
        statuses=(NO_STATUS, 400, 403, 422, 424, 451, 498),
        says=FILTERED,
    ),
)
