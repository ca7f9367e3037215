"""Why an answer ends: what each vendor's `finish_reason` means, as a closed set.

Sources, by row: OpenAI's chat completions and responses; Anthropic's "Stop reasons"; Gemini's and Vertex AI's
`FinishReason`; Cohere's chat v1 and v2; Mistral's `FinishReasonEnum`; Amazon Bedrock's Converse and Titan; Hugging Face
TGI's `FinishReason`; vLLM's `FinishReason` and SGLang's; TensorRT-LLM; llama.cpp's `stop_type`; Ollama's `done_reason`;
LM Studio's `stopReason`; watsonx.ai's `stop_reason`; xAI's `FinishReason` (gRPC); DeepSeek, Zhipu, DashScope, Baidu and
Hunyuan, each in its chat completions; the AI SDK's `LanguageModelFinishReason`.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import get_args

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import FinishReason

LONGEST_WORD = 64
"""In characters. A longer text is no reason."""


OPENAI_WORDS = frozenset({*get_args(FinishReason), "function_call"})
"""Which OpenAI's own clients know. The last one is that of calls in their older form."""


class Finish(Enum):
    """DONE: the model ended. CUT: a limit ended it. TOOLS: it calls tools. FILTERED: a filter or the model's refusal
    ended it. FAILED: the provider broke off. NONE: it has not ended, or says nothing of it. UNKNOWN: a word of no row,
    which ends an answer only if what carries it is whole."""

    DONE = auto()
    CUT = auto()
    TOOLS = auto()
    FILTERED = auto()
    FAILED = auto()
    NONE = auto()
    UNKNOWN = auto()


CERTAIN_ENDS = frozenset({Finish.DONE, Finish.CUT, Finish.TOOLS, Finish.FILTERED})
NOT_WHOLE = frozenset({Finish.CUT, Finish.FILTERED, Finish.FAILED})


_ROWS: Sequence[tuple[Finish, str, str]] = (
    (Finish.DONE, "OpenAI", "stop completed"),
    (Finish.DONE, "Anthropic", "end_turn stop_sequence"),
    (Finish.DONE, "Cohere", "COMPLETE"),
    (Finish.DONE, "Bedrock", "FINISH STOP_CRITERIA_MET"),
    (Finish.DONE, "TGI, Together", "eos eos_token"),
    (Finish.DONE, "AI21, Aleph Alpha", "endoftext end_of_text"),
    (Finish.DONE, "Llama", "eot eot_id eom eom_id end_of_turn im_end end_of_sentence </s> eog eod"),
    (Finish.DONE, "gpt-oss, Command", "return end_of_turn_token"),
    (Finish.DONE, "llama.cpp", "word"),
    (Finish.DONE, "LM Studio", "eosFound stopStringFound stop_string stop_word stop_token"),
    (Finish.DONE, "Baidu", "normal"),
    (Finish.DONE, "gateways", "end done finished success ok natural ended succeeded turn_complete end_of_message"),
    (Finish.DONE, "gateways", "message_stop normal_stop natural_stop matched_stop stop_on_eos"),
    (Finish.CUT, "OpenAI", "length max_output_tokens max_completion_tokens incomplete"),
    (Finish.CUT, "Anthropic", "max_tokens model_context_window_exceeded pause_turn compaction"),
    (Finish.CUT, "Mistral", "model_length"),
    (Finish.CUT, "Cohere", "ERROR_LIMIT"),
    (Finish.CUT, "Aleph Alpha", "maximum_tokens"),
    (Finish.CUT, "LM Studio", "maxPredictedTokensReached contextLengthReached"),
    (Finish.CUT, "watsonx.ai", "token_limit time_limit"),
    (Finish.CUT, "xAI", "max_len max_context"),
    (Finish.CUT, "llama.cpp", "limit"),
    (Finish.CUT, "vLLM", "repetition FINISHED_IGNORED"),
    (Finish.CUT, "gateways", "max_length truncated cut context_length context_length_exceeded max_time"),
    (Finish.TOOLS, "OpenAI", "tool_calls function_call requires_action"),
    (Finish.TOOLS, "Anthropic, Bedrock", "tool_use"),
    (Finish.TOOLS, "Cohere", "tool_call"),
    (Finish.TOOLS, "gateways, gpt-oss", "tools function_calls call"),
    (Finish.FILTERED, "OpenAI", "content_filter"),
    (Finish.FILTERED, "Anthropic", "refusal"),
    (Finish.FILTERED, "Gemini", "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII MODEL_ARMOR"),
    (Finish.FILTERED, "Gemini", "IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION"),
    (Finish.FILTERED, "Cohere", "ERROR_TOXIC"),
    (Finish.FILTERED, "Bedrock", "guardrail_intervened content_filtered"),
    (Finish.FILTERED, "Zhipu, Hunyuan", "sensitive"),
    (Finish.FAILED, "OpenAI, OpenRouter, Mistral", "error failed cancelled"),
    (Finish.FAILED, "Gemini", "OTHER IMAGE_OTHER NO_IMAGE MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL"),
    (Finish.FAILED, "Gemini", "TOO_MANY_TOOL_CALLS MISSING_THOUGHT_SIGNATURE MALFORMED_RESPONSE"),
    (Finish.FAILED, "Bedrock", "malformed_model_output malformed_tool_use RAG_QUERY_WHEN_RAG_DISABLED"),
    (Finish.FAILED, "Cohere", "USER_CANCEL TIMEOUT"),
    (Finish.FAILED, "vLLM, SGLang", "abort aborted"),
    (Finish.FAILED, "DeepSeek", "insufficient_system_resource"),
    (Finish.FAILED, "Zhipu", "network_error"),
    (Finish.FAILED, "Ollama", "load unload"),
    (Finish.FAILED, "LM Studio", "userStopped modelUnloaded"),
    (Finish.FAILED, "xAI", "invalid"),
    (Finish.FAILED, "gateways", "stopped terminated deadline_exceeded shutdown killed overloaded"),
    (Finish.NONE, "texts of no value", "null none nil undefined nan na false unset unspecified not_set not_specified"),
    (Finish.NONE, "texts of no value", "not_available unknown empty string default placeholder no_reason objectObject"),
    (Finish.NONE, "texts of no value", "absent missing"),
    (Finish.NONE, "DashScope, watsonx.ai", "not_finished unfinished in_progress pending running generating"),
    (Finish.NONE, "gateways", "streaming processing continue todo tbd"),
)
"""What it means, whose word it is, the words: separators and case do not matter."""


def _key(word: str) -> str:
    return re.sub(r"[\W_]", "", word).lower()


_CLASSES: Mapping[str, Finish] = {_key(word): finish for finish, _, words in _ROWS for word in words.split()}

_PREFIXES = re.compile(
    r"(?:openai|azure|google|gemini|vertex(?:ai)?|anthropic|claude|bedrock|mistral|cohere|groq|together"
    r"|fireworks|xai|deepseek"
    r"|qwen|vllm|ollama|openrouter)?(?:(?:finish|stop|done)?reason|finish(?:ed)?(?=unspecified|unknown))?"
)
"""Whose word it is, and what it is for."""

_STEMS: Sequence[tuple[Finish, re.Pattern[str]]] = (
    (
        Finish.CUT,
        re.compile(
            r"(max|hit(?!stop|eos))\w*(token|len|turn|step|iteration|round|time|output|max|tool|completion)|^(num|n)predict"
            r"|tokencap"
            r"|(token|length|context|ctx|cache|output|completion|size|time(?!d?out)|char|turn|step)s?\w*"
            r"(limit|exceed|exhaust|reach|overflow|window|full|capped)|outof(token|context|ctx)"
            r"|inglimit|^length|length$|nomoretokens|toomanytokens|^limit|truncat|toolong|budget|cutoff|partial(?!\w*fail)"
            r"|repetition"
            r"|loopdetect|^pause|reached(max|limit)|(hit|stopped)limit"
        ),
    ),
    (
        Finish.FILTERED,
        re.compile(
            r"filter|safety|unsafe|sensitiv|moderat|refus|prohibit|blocked|blocklist|recitation|guardrail|censor"
            r"|(?<!schema)violat|^hate|violence|sexual|profan|selfharm"
            r"|flagged|harm|toxic|policy|risk|jailbreak|copyright|csam|nsfw|harass|dangerous|inappropriate"
            r"|offensive|illicit|declined|safeguard"
            r"|illegal(?!arg|state|instr)|^pii|^hap$|injection|inspection|responsibleai|civicintegrity"
            r"|protectedmaterial"
            r"|(denied|restricted)(topic|content)|contentsecurity|politic"
        ),
    ),
    (
        Finish.FAILED,
        re.compile(
            r"error|fail|abort|cancel|timeout|timedout|deadline|exception|interrupt|disconnect|overload|unavailable"
            r"|unreachable|insufficient|exhaust|malformed|invalid|unexpected|crash|^kill|killed|preempt|evict"
            r"|limit|throttl"
            r"|quota|busy|broke|lost|corrupt|reject|byuser|outof|^oom|oom$|reset|closed|hangup|hung|hang$"
            r"|dropped|panic|dead"
            r"|died|incomplete|prematur|^eof|eof$|logits|stall|g[ai]veup|unsupported|^(http|code|status)?[45]\d\d$|^bad"
            r"|shut(ting)?down|suspend|internal|(no|empty)(response|answer|output|content|reply|result)|retract|recall"
            r"|withdr|deleted"
            r"|(user|manual|forced?|emergency|hard)stop|stopbutton|exceed|retry|retries|tryagain|schema|illegal"
            r"|(?<!de)fault"
            r"|(?<!normal)(?<!natural)terminat(?!or|\w*(normal|token|string|seq|word))"
            r"|sig(term|kill|abrt|segv|int|hup)|expire|halted|^halt$|epipe"
            r"|network|connection|socket|gateway|capacity|loadshed|unauth|forbidden|denied|payment|billing"
            r"|restart|offline"
            r"|maintenance|outage|unhealthy|degraded|migrat|not(found|ready|complete)|gone$|cutby|unable"
        ),
    ),
    (Finish.TOOLS, re.compile(r"tool|function")),
    (
        Finish.DONE,
        re.compile(
            r"^(hit|finish(ed)?)?(stop(seq|str|text|tok|word|crit|cond|eos|id|ped$|$)|eos)|(turn|message)(end|complete)$"
        ),
    ),
    (Finish.NONE, re.compile(r"^your|here$")),
)
"""For words of no row; the first that is found counts."""


_DENIED = re.compile(
    r"(?:no|not|non|without)(?:an|any)?(?:error|fail|abort|interrupt|cancel|exception|issue)(?:s|l?ed|ure)?$"
)
"""What says that nothing went wrong: what stands before it counts."""


def reason_of(choice: Mapping[str, Json]) -> Json:
    """What the choice says of its end: its `finish_reason`, or what stands beside it at OpenRouter, at Gemini and in
    OpenAI's vision preview: the model's own word, which counts where `finish_reason` is none, and where it says that
    an answer which is shown as done is not whole."""
    reason = choice.get("finish_reason")
    own = choice.get("native_finish_reason") or choice.get("finishReason") or choice.get("finish_details")
    if reason is None or own is None or own == reason:
        return own if reason is None else reason
    match classify(reason):
        case Finish.NONE:
            return own
        case Finish.DONE | Finish.TOOLS | Finish.UNKNOWN:
            return own if classify(own) in NOT_WHOLE else reason
        case Finish.CUT | Finish.FILTERED | Finish.FAILED:
            return reason


def word_of(value: Json) -> str | None:
    """The word of a `finish_reason`, which SGLang puts into an object; None for a value that is no word."""
    if isinstance(value, dict):
        value = value.get("type") or value.get("reason")
    return value if isinstance(value, str) else None


def classify(value: Json) -> Finish:
    """What a choice's `finish_reason` means."""
    word = word_of(value)
    if word is None:
        return Finish.NONE
    if (known := _CLASSES.get(word)) is not None:
        return known
    key = _key(word) if len(word) <= LONGEST_WORD else ""
    bare = key[prefix.end() :] if (prefix := _PREFIXES.match(key)) else key
    if not bare or _is_of_a_schema(word):
        return Finish.NONE
    return _CLASSES.get(key) or _CLASSES.get(bare) or _in_parts(word) or _by_stem(bare) or Finish.UNKNOWN


_PLACEHOLDER = re.compile(r"%\w|\$?\{.*\}", re.DOTALL)
"""What a template leaves where nothing was put in."""


def _is_of_a_schema(word: str) -> bool:
    """Whether it is a text in place of a word: `stop|length`, `stop, length or tool_calls`, `{{reason}}`."""
    if _PLACEHOLDER.fullmatch(word.strip()) or sum(bool(_key(part)) for part in word.split("|")) > 1:
        return True
    offered = (_CLASSES.get(_key(part.rpartition(":")[2])) for part in re.split(r"[,/]|\bor\b", word))
    return sum(each not in (None, Finish.NONE) for each in offered) > 1


def _in_parts(word: str) -> Finish | None:
    """The class of a word behind a vendor's name, as in `google.STOP` and `vertex/MAX_TOKENS`. `error: stop` failed."""
    parts = [_CLASSES.get(_key(part)) for part in re.split(r"[.:/]", word)]
    return Finish.FAILED if Finish.FAILED in parts else parts[-1]


def _by_stem(key: str) -> Finish | None:
    if (denied := _DENIED.search(key)) is not None:
        before = key[: denied.start()]
        return _CLASSES.get(before) or _by_stem(before) if before else Finish.UNKNOWN
    return next((finish for finish, stems in _STEMS if stems.search(key)), None)


def normalised(finish: Finish, *, calls_tools: bool) -> FinishReason:
    """OpenAI's word for the end of an answer. Whether it calls tools is said by its calls: upstreams say `stop` beside
    calls, and `tool_calls` without any. Raises ValueError where nothing has ended."""
    match finish:
        case Finish.CUT:
            return "length"
        case Finish.FILTERED:
            return "content_filter"
        case Finish.DONE | Finish.TOOLS | Finish.UNKNOWN:
            return "tool_calls" if calls_tools else "stop"
        case Finish.FAILED | Finish.NONE:
            raise ValueError(f"{finish.name} ends no answer")


def conforming(value: Json, *, calls_tools: bool) -> Json:
    """The `finish_reason` that OpenAI's clients read: one of OpenAI's words as it came, OpenAI's word for any other of
    known meaning, an unknown one as it came, and null where nothing has ended."""
    word = word_of(value)
    if word in OPENAI_WORDS:
        return word
    match finish := classify(value):
        case Finish.NONE:
            return None
        case Finish.UNKNOWN | Finish.FAILED:
            return word
        case _:
            return normalised(finish, calls_tools=calls_tools)


def check_end(value: Json) -> Finish:
    """How a whole choice ended. Raises ProviderError if the provider broke it off, or does not say why it ends."""
    match finish := classify(value):
        case Finish.FAILED:
            raise broken_off(value)
        case Finish.NONE:
            words = "the upstream's answer does not say why it ends: it may not be whole"
            raise ProviderError(ErrorCode.UPSTREAM_INVALID, words, retryable=True)
        case _:
            return finish


def broken_off(value: Json) -> ProviderError:
    words = f"the upstream broke the answer off ({shown(value)})"
    return ProviderError(ErrorCode.UPSTREAM_ERROR, words, retryable=True)


def shown(value: Json) -> str:
    """An upstream's word as a log or an error repeats it, of harmless characters."""
    return re.sub(r"[^\w.:/ -]", "?", word_of(value) or "")
