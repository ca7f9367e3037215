"""Each word of each vendor for the end of an answer has one meaning; none that says otherwise passes for success."""

from typing import Any

import pytest

from answerback.kernel.errors import ErrorCode
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers.finish_reasons import Finish, check_end, classify, normalised, shown

WORDS: dict[Finish, list[Any]] = {
    Finish.DONE: [
        *("stop", "STOP", "Stop", "eos", "eos_token", "end_turn", "endTurn", "stop_sequence", "stop-sequence"),
        *("COMPLETE", "completed", "FINISH", "stop_criteria_met", "<|im_end|>", "<|eom_id|>"),
        *("<\uff5cend\u2581of\u2581sentence\uff5c>", "end", "</s>", "normal"),
        *("FINISH_REASON_STOP", "FinishReason.STOP", "google.STOP", "vendor/stop", "openai:stop", "REASON_STOP"),
        *(" stop ", {"type": "stop", "matched": 2}, "eosFound", "<|return|>", "<|END_OF_TURN_TOKEN|>", "hit_eos"),
        *("stop_seq", "stop_str", "eos_id", "natural", "StopReason.END_TURN", "<FinishReason.stop: 'stop'>"),
        *(
            "FINISHED_STOPPED",
            "hit_stop_token",
            "hit_eos_token",
            "stop_id",
            "<eog>",
            "turn_end",
            "FINISHED_EOS",
            "turn_complete",
            "message_stop",
            "stop_on_eos",
            "ended",
            "end of message",
        ),
        *(
            "completed-without-error",
            "stop_no_error",
            "google_stop",
            "azure-stop",
            "VERTEX_AI_STOP",
            "openaiFinishReasonStop",
        ),
    ],
    Finish.CUT: [
        *("length", "LENGTH", "max_tokens", "MAX_TOKENS", "maxTokens", "max-tokens", "model_length", "ERROR_LIMIT"),
        *("FINISH_REASON_MAX_TOKENS", "max_output_tokens", "model_context_window_exceeded", "REASON_MAX_LEN"),
        *("vertex/MAX_TOKENS", "token_limit", "max_new_tokens", "context_overflow", "truncated", {"type": "length"}),
        *("tokens_exhausted", "pause_turn", "incomplete", "max_turns", "output_limit"),
        *("limit_reached", "budget_used_up", "cut_off", "context_length", "ctx_limit", "length_capped"),
        *("kv_cache_full", "out_of_tokens", "ran out of context"),
        *("hit_max", "max_completion", "max_tool_calls", "num_predict", "reasoning_limit", "no more tokens"),
        *("token_cap", "repetition_detected", "loop_detected", "pause"),
        *("cut", "stop_length", "sequence_length", "too_many_tokens", "reached_max", "reached_limit", "stopped_limit"),
        *("gemini_max_tokens", "FINISHED_IGNORED", "FINISHED_LENGTH_CAPPED", "FINISH_MAX_TOKENS"),
    ],
    Finish.TOOLS: [
        *("tool_calls", "tool-calls", "toolCalls", "tool_use", "function_call"),
        *("TOOL_CALL", "toolcall_ready", "call_tool", "<|call|>", "requires_action"),
    ],
    Finish.FILTERED: [
        *("declined", "safeguard_triggered"),
        *("content_filter", "content-filter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "sensitive", "refusal"),
        *("BLOCKLIST", "SPII", "IMAGE_SAFETY", "ERROR_TOXIC", "guardrail_intervened", "content_filtered"),
        *("FINISH_REASON_SAFETY", "moderation_blocked", "policy_violation", "refused", "flagged", "risk_control"),
        *("csam", "google.generativeai.FinishReason.SAFETY", "input_sensitive"),
        *("hate", "violence", "sexual_content", "self_harm", "profanity"),
        *("data_inspection_failed", "inappropriate_content", "illegal_content", "offensive", "DANGEROUS_CONTENT"),
        *("HARASSMENT", "pii", "HAP", "prompt_injection", "illicit", "responsible_ai", "CIVIC_INTEGRITY"),
        *("protected_material_text", "denied_topic", "restricted_content", "content_security", "political"),
    ],
    Finish.FAILED: [
        *("partial_failure", "stopped"),
        *("error", "ERROR", "network_error", "insufficient_system_resource", "abort", "aborted", "cancelled"),
        *("canceled", "timeout", "TIMEOUT", "timed_out", "failed", "failure", "internal_error", "server_overloaded"),
        *("OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "USER_CANCEL", "load", "disconnected"),
        *("error: stop", "upstream.error", "connection_lost", "rate_limited", "rate_limit", "request_limit"),
        *("timeout_reached", "stopped_by_user", "server_busy", "tool_error", "worker_crashed", {"type": "abort"}),
        *("oom", "connection_reset", "connection closed", "socket hang up", "premature_close", "unexpected_eof"),
        *("dropped", "incomplete_stream", "panic", "nan_logits", "500", "503", "server shutting down"),
        *("stalled", "gave_up", "out_of_credits", "EngineDead", "engine_died", "hang", "LANGUAGE_UNSUPPORTED"),
        *("eof_reached", "engine_shutdown", "suspended", "bad_request", "empty_response", "no_response", "HTTP 500"),
        *("retracted", "withdrawn", "stop_button", "max_retries", "schema_violation", "exceeded", "internal"),
        *("bad_gateway", "gateway", "cuda_oom", "segfault", "fault", "terminate", "terminated_early", "expired"),
        *("halted", "offline", "no_capacity", "unauthorized", "forbidden", "payment_required", "restarted"),
        *(
            "connection_lost_no_error",
            "maintenance",
            "SIGTERM",
            "kill",
            "user_stop",
            "manual_stop",
            "forced_stop",
            "emergency_stop",
        ),
        *("load_shedding", "bad_output", "not_ready", "backend_gone", "migrated", "not_found", "retry_later"),
        *("try_again", "EPIPE", "cut_by_server", "no_output", "outage", "degraded", "illegal_state", "network"),
    ],
    Finish.NONE: [
        *("FINISH_UNSPECIFIED", "finished_unknown", "absent", "missing"),
        *(None, "", " ", "null", "NULL", "None", "nil", "undefined", "NaN", "n/a", "-", "...", "string", "unset"),
        *("FINISH_REASON_UNSPECIFIED", "finish_reason", "stop|length|tool_calls", "not_finished", "in_progress"),
        *("stop/length/content_filter", "stop, length", "one of: stop, length", "stop or length", "%s", "${reason}"),
        *("{{finish_reason}}", "your_reason_here", "TODO", "streaming", "continue", "(null)", "Optional.empty"),
        *(0, 1, True, False, 1.5, [], ["stop"], {}, {"type": None}, "The answer ended as it was expected to end. " * 2),
    ],
    Finish.UNKNOWN: [
        *("a_word_of_its_own", "a reason of its own", "ファイン", "42", "exchanged"),
        *("finished_normally", "normal_termination", "terminated_normally", "terminator"),
        *("termination_token", "terminating_sequence", "no_error", "without-errors", "not_interrupted"),
    ],
}
ALL = [(word, finish) for finish, words in WORDS.items() for word in words]


@pytest.mark.parametrize(("word", "finish"), ALL, ids=lambda value: ascii(value)[:40])
def test_a_word_means_what_its_vendor_means_by_it(word: Any, finish: Finish) -> None:
    assert classify(word) is finish


@pytest.mark.parametrize(
    ("word", "code"),
    [
        *((word, ErrorCode.UPSTREAM_ERROR) for word in WORDS[Finish.FAILED]),
        *((word, ErrorCode.UPSTREAM_INVALID) for word in WORDS[Finish.NONE]),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_provider_that_broke_off_or_says_nothing_has_not_answered(word: Any, code: ErrorCode) -> None:
    with pytest.raises(ProviderError) as caught:
        check_end(word)

    assert (caught.value.failure.code, caught.value.retryable) == (code, True)


def test_what_ends_an_answer_has_one_of_openais_words() -> None:
    ends = [Finish.DONE, Finish.CUT, Finish.TOOLS, Finish.FILTERED, Finish.UNKNOWN]

    assert [normalised(each, calls_tools=False) for each in ends] == [
        "stop",
        "length",
        "stop",
        "content_filter",
        "stop",
    ]
    assert [normalised(each, calls_tools=True) for each in ends] == [
        *("tool_calls", "length", "tool_calls", "content_filter", "tool_calls"),
    ]


def test_a_word_is_shown_without_characters_that_a_log_must_not_have() -> None:
    assert shown("odd\n\x1b[31m\ud800word") == "odd???31m?word"
