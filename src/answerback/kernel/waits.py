"""Waits as servers write them: in a header, in a field of a body, or in a sentence meant for people."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from answerback.kernel.json import Json

LONGEST_WAIT = 31 * 86_400.0
"""In seconds. A longer wait, and one in the past, is none."""

LONGEST_WINDOW = 60.0
"""In seconds, of a limit whose reset shows that a Retry-After is in milliseconds."""

_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_NUMBER = re.compile(r"\+?([0-9]+(?:\.[0-9]{1,9})?|\.[0-9]{1,9})(?:, .*)?")
"""Of a header, which a proxy may have put twice into one line."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PIECE = re.compile(
    r"([0-9]{1,11}(?:\.[0-9]{1,9})?)\s?"
    r"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])",
    re.IGNORECASE,
)
_DURATION = re.compile(rf"(?:{_PIECE.pattern}(?:,? (?:and )?(?=[0-9]))?){{1,5}}", re.IGNORECASE)
_ISO_DURATION = re.compile(r"PT(?:([0-9]{1,5})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8}(?:\.[0-9]{1,9})?)S)?", re.IGNORECASE)
_ASKED = re.compile(
    r"\b(?:try(?:ing)? again|retry(?:ing)?|retry_after|wait|resets?|available|replenished|resume"
    r"|(?:lifted|allowed|back ?off|cool ?down"
    r"|(?:ban|block|limit|lock|lockout|penalty|restriction|suspension)(?: will)? expires?)"
    r"(?=:| (?:again )?(?:in|after|at|for|is)\b))"
    r"\b(?=([^0-9.]{0,30}\b))",
    re.IGNORECASE,
)
_ASKED_SECONDS = re.compile(
    r"\bretry[-_ ]?after[\s:=\"']{1,4}([0-9]{1,6}(?:\.[0-9]{1,9})?)(?=\s*(?:[,;!)}\]'\"]|\.(?![0-9])|$))", re.IGNORECASE
)
"""Without a unit it is as in the header."""
_ASKED_CHINESE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(毫秒|秒|分|小?时)钟?[之以]?后")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]| at )([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)"
    r"(?: ?(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}\b))?"
)
_CHINESE_MOMENT = re.compile(
    rf"(?:{_MOMENT.pattern}) ?[之以]?[后前]?(?:自动)?(?:重置|恢复|刷新|解除|重试|再试)", re.IGNORECASE
)
_CHINESE = {"毫秒": 0.001, "秒": 1.0, "分": 60.0, "时": 3_600.0, "小时": 3_600.0}
_SPAN = re.compile(r"(?:([0-9]{1,3})\.)?([0-9]{1,2}):([0-9]{2}):([0-9]{2})")
_CHINA = timezone(timedelta(hours=8))
_LATE_MS = 600_000
"""How far in the past a moment without a zone may lie and still be the one that was meant."""

FIELDS = frozenset(
    {"retry_after", "retryafter", "retry_after_seconds", "retryafterseconds", "retrydelay", "retry_delay"}
    | {"estimated_time", "retry_after_ms", "retryafterms", "retry_in", "retry_in_seconds", "reset_in", "resets_in"}
    | {"resets_in_seconds", "reset_in_seconds", "reset_after", "wait_seconds", "wait_time", "seconds_to_wait"}
    | {"cooldown_seconds", "retry_after_secs", "retry_after_sec", "retry_after_s", "ratelimit_reset_after"}
    | {"x_ratelimit_reset_after"}
)
"""Names of fields that hold a wait: Google's RetryInfo (`retryDelay`), Discord's and others' `retry_after`, Hugging
Face's `estimated_time`. In lower case, with underscores for hyphens."""


MOMENTS = FIELDS | {
    *("resets_at", "reset_at", "resetsat", "resetat", "reset_time", "resettime", "retry_at", "retryat", "next_retry_at")
}
"""Names of fields that hold the moment of which one waits: OpenAI's and Anthropic's `resets_at`. As in `FIELDS`, which
hold moments, too."""


def parse_retry_after(value: str | None, now_ms: int) -> float | None:
    """Seconds that a Retry-After header asks for: a number, a date (RFC 9110, section 10.2.3), or, as some servers
    write them, fractions, durations such as `1m30s` and dates of RFC 3339. None for garbage and for the past; what
    is too long for a wait is the longest one. `now_ms` is the wall clock's."""
    if value is None:
        return None
    value = value.strip()
    if (number := _NUMBER.fullmatch(value)) is not None:
        return _of_number(float(number[1]), now_ms)
    if (seconds := duration(value)) is not None:
        return min(seconds, LONGEST_WAIT)
    try:
        found = _MOMENT.fullmatch(value)
        wait = _until(parsedate_to_datetime(value), now_ms) if found is None else _until_moment(found, now_ms)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return None if wait is None else min(wait, LONGEST_WAIT)


def asked_in_headers(retry_after: str | None, reset: str | None, date: str | None, now_ms: int) -> float | None:
    """Seconds that a response asks for by its Retry-After, beside its `X-RateLimit-Reset` and its `Date`."""
    wait = parse_retry_after(retry_after, clock_of(date, now_ms))
    if wait is None or reset is None or (until := wait_until(reset, now_ms)) is None:
        return wait
    # Some servers write the length of a limit's window in milliseconds (@fastify/rate-limit, issue 301).
    return wait / 1000 if until <= wait / 1000 <= until + LONGEST_WINDOW else wait


def clock_of(date: str | None, now_ms: int) -> int:
    """The wall clock of a server whose response has this `Date`, in epoch milliseconds: dates that it names are of that
    clock, which may be another than ours. Ours, `now_ms`, where it says none."""
    try:
        moment = parsedate_to_datetime(date or "")
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return now_ms


def duration(value: str) -> float | None:
    """Seconds of `7.66`, `34s`, `1h2m3.5s`, `2 minutes`, of `[days.]hh:mm:ss`, or of `PT1M30S` (ISO 8601); None for
    anything else."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    if (span := _SPAN.fullmatch(value)) is not None:
        days, hours, minutes, seconds = (int(each or 0) for each in span.groups())
        return days * 86_400.0 + hours * 3_600.0 + minutes * 60.0 + seconds
    if (iso := _ISO_DURATION.fullmatch(value)) is not None and any(iso.groups()):
        return sum(float(each or 0) * unit for each, unit in zip(iso.groups(), (3_600.0, 60.0, 1.0), strict=True))
    if not _DURATION.fullmatch(value):
        return None
    return sum(float(number) * _UNITS[_unit(unit)] for number, unit in _PIECE.findall(value))


def wait_in_field(name: str, value: Json) -> float | None:
    """Seconds that a field of a body asks for, if it is one of `FIELDS`."""
    name = name.lower().replace("-", "_")
    if name not in FIELDS or isinstance(value, bool):
        return None
    if isinstance(value, Mapping):
        value = _long_duration(value)
    try:
        seconds = (
            float(value) if isinstance(value, int | float) else duration(value) if isinstance(value, str) else None
        )
    except OverflowError:
        return None
    return None if seconds is None else sane(seconds / 1000 if name.endswith("ms") else seconds)


def _long_duration(value: Mapping[str, Json]) -> Json:
    """The seconds of Google's Duration in its long form; its numbers of 64 bits are texts in JSON."""
    seconds, nanos = value.get("seconds"), value.get("nanos")
    if isinstance(nanos, bool) or not isinstance(nanos, int) or not 0 < nanos < 1_000_000_000:
        return None if isinstance(seconds, Mapping) else seconds
    whole = duration(str(seconds or 0)[:20])
    return None if whole is None else whole + nanos / 1e9


def moment_in_field(name: str, value: Json) -> str | None:
    """The moment in a field of a body, as `wait_until` reads it, if it is one of `MOMENTS`."""
    if (
        name.lower().replace("-", "_") not in MOMENTS
        or isinstance(value, bool)
        or not isinstance(value, int | float | str)
    ):
        return None
    return str(value)[:64]


def wait_until(moment: str, now_ms: int) -> float | None:
    """Seconds until a moment in epoch seconds or milliseconds, or a date. A number of another size is of seconds from
    now. None for garbage, for the past, and for what is further away than a month."""
    wait = parse_retry_after(moment, now_ms)
    return wait if wait is not None and wait < LONGEST_WAIT else None


def wait_in_text(text: str, now_ms: int) -> float | None:
    """Seconds that a sentence asks for: "Please try again in 7.66s", "wait 60 seconds before retrying", "will reset
    after 8h44m7s", "resets at 2026-01-01T00:00:00Z", "30 秒后重试", "将在 2026-01-01 08:00:00 重置"."""
    for asked in _ASKED.finditer(text):
        rest = text[asked.end(1) : asked.end(1) + 60]
        if (moment := _MOMENT.match(rest)) is not None:
            return _until_in_text(moment, now_ms)
        found = _SPAN.match(rest) or _DURATION.match(rest)
        if found is not None and (seconds := duration(found.group())) is not None:
            return sane(seconds)
    if (asked_seconds := _ASKED_SECONDS.search(text)) is not None:
        return sane(float(asked_seconds[1]))
    if (chinese := _ASKED_CHINESE.search(text)) is not None:
        return sane(float(chinese[1]) * _CHINESE[chinese[2]])
    if (moment := _CHINESE_MOMENT.search(text)) is not None:
        return _until_in_text(moment, now_ms)
    return None


def wait_in_answer(text: str, now_ms: int) -> float | None:
    """Seconds that the beginning of a body asks for: in a field, the outer ones first, or in words."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    waits = (_in_field(name, value, now_ms) for name, value in _fields(document))
    wait = next((wait for wait in waits if wait is not None), None)
    return wait_in_text(text, now_ms) if wait is None else wait


def sane(seconds: float) -> float | None:
    """None for the past, and for more than a month: that is a number of another unit."""
    return seconds if 0 <= seconds <= LONGEST_WAIT else None


def _in_field(name: str, value: Json, now_ms: int) -> float | None:
    wait = wait_in_field(name, value)
    if wait is None and (moment := moment_in_field(name, value)) is not None:
        return wait_until(moment, now_ms)
    return wait


def _fields(body: Json) -> Iterable[tuple[str, Json]]:
    level = [body]
    while level:
        fields = [field for each in level if isinstance(each, dict) for field in each.items()]
        yield from fields
        listed = [item for each in level if isinstance(each, list) for item in each]
        level = [*(value for _, value in fields if isinstance(value, dict | list)), *listed]


def _of_number(number: float, now_ms: int) -> float | None:
    """A number is of seconds; but one that is a moment of these weeks, in seconds or milliseconds since 1970, was meant
    as that one."""
    for moment_ms in (number * 1000, number):
        if abs(moment_ms - now_ms) <= LONGEST_WAIT * 1000:
            return (moment_ms - now_ms) / 1000 if moment_ms >= now_ms else None
    return min(number, LONGEST_WAIT)


def _until_moment(found: re.Match[str], now_ms: int) -> float | None:
    """Without a zone it is China's or, where that one has passed, UTC: those who write so (Zhipu) are in China, and to
    ask hours too early costs one call. Raises ValueError for a date that does not exist."""
    zone = "Z" if found[3] in ("UTC", "GMT") else found[3] or ""
    moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}")
    if moment.tzinfo is not None:
        return _until(moment, now_ms)
    in_china = moment.replace(tzinfo=_CHINA)
    just_passed = 0 <= now_ms - in_china.timestamp() * 1000 <= _LATE_MS
    wait = 0.0 if just_passed else _until(in_china, now_ms)
    return _until(moment, now_ms) if wait is None else wait


def _until_in_text(found: re.Match[str], now_ms: int) -> float | None:
    try:
        return _until_moment(found, now_ms)
    except (ValueError, OverflowError):
        return None


def _until(moment: datetime, now_ms: int) -> float | None:
    try:
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_ms / 1000
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


def _unit(name: str) -> str:
    name = name.lower()
    return "ms" if name.startswith(("ms", "mill")) else name[0]
