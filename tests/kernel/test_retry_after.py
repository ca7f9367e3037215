"""Waits in all their forms: Retry-After, fields of bodies, sentences."""

from typing import Any

import pytest

from answerback.kernel.waits import (
    LONGEST_WAIT,
    asked_in_headers,
    parse_retry_after,
    wait_in_answer,
    wait_in_field,
    wait_in_text,
)

NOW_MS = 1_750_000_000_000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("604800", 604_800.0),
        ("99999999", LONGEST_WAIT),
        ("1000000000", LONGEST_WAIT),
        ("9999999999", LONGEST_WAIT),
        ("99999999999.5", LONGEST_WAIT),
        ("99999999999999", LONGEST_WAIT),
        ("1750000060", 60.0),
        ("1750000060.5", 60.5),
        ("1750000060000", 60.0),
        ("99999999999999999999", LONGEST_WAIT),
        ("9" * 4000, LONGEST_WAIT),
        ("Sun, 15 Jun 2025 15:07:40 GMT", 60.0),
        ("7.66s", 7.66),
        ("1m30s", 90.0),
        ("2025-06-15T15:07:40Z", 60.0),
        ("Sunday, 15-Jun-25 15:07:40 GMT", 60.0),
        ("30, 30", 30.0),
        ("+30", 30.0),
        (".5", 0.5),
        ("PT1M30.5S", 90.5),
        ("pt2h", 7_200.0),
    ],
)
def test_seconds_and_moments_are_read(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW_MS) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "-5",
        "soon",
        "",
        "1.",
        "1,5",
        "PT",
        "٣",
        "1749999940",
        "1749999940000",
        "Sun, 15 Jun 2025 15:06:39 GMT",
        "Sun, 99 Jun 2025 99:99:99",
    ],
)
def test_a_senseless_wait_is_none(value: str | None) -> None:
    assert parse_retry_after(value, NOW_MS) is None


@pytest.mark.parametrize(
    ("retry_after", "reset", "seconds"),
    [
        ("60000", "58", 60.0),
        ("60000", str(NOW_MS // 1000 + 2), 60.0),
        ("1000", "1", 1.0),
        ("60", "58", 60.0),
        ("7200", "86400", 7_200.0),
        ("7200000", "1", LONGEST_WAIT),
        ("60000", "soon", 60_000.0),
        ("60000", None, 60_000.0),
        (None, "58", None),
    ],
)
def test_the_reset_of_a_limit_shows_a_wait_in_milliseconds(
    retry_after: str | None, reset: str | None, seconds: float | None
) -> None:
    assert asked_in_headers(retry_after, reset, None, NOW_MS) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 7.66s. Visit https://x to learn more.", 7.66),
        ("Please try again in 6m0s.", 360.0),
        ("try again in 1h2m3.5s", 3_723.5),
        ("Please try again in 547ms", 0.547),
        ("Please retry after 26 seconds.", 26.0),
        ("Please retry in 34.074824224s.", 34.074824224),
        ("Please wait 49263 seconds before retrying.", 49_263.0),
        ("Your quota will reset after 8h44m7s.", 31_447.0),
        ("Quota will be replenished in 2.05:23:10.", 192_190.0),
        ("Try again in 5 minutes and 10 seconds", 310.0),
        ("Please wait 10 seconds and try again", 10.0),
        ("Wait for 10 seconds, then send it again", 10.0),
        ("Rate limit exceeded. Retry after 30", 30.0),
        ("the body was cut: {'retry_after': 12.5", 12.5),
        ("Retry-After: 7, in a sentence", 7.0),
        ("Next request allowed in 12 seconds", 12.0),
        ("The limit will be lifted in 40 seconds", 40.0),
        ("The block expires in 33 seconds", 33.0),
        ("Too many requests; your rate limit expires in 2 hours", 7_200.0),
        ("Your API key expires in 30 days", None),
        ("429: the trial expires in 3 days, upgrade now", None),
        ("The upload link expires after 24 hours", None),
        ("back off for 8 seconds", 8.0),
        ("cooldown: 15s", 15.0),
        ("retry after 2 requests", None),
        ("60 requests are allowed per 60 seconds", None),
        ("you may back off; 5 s is the timeout", None),
        ("retry after 2025", 2_025.0),
        ("retry after 2025-06-15", None),
        ("retry_after: -5", None),
        ("resets at 2025-06-15T15:07:40Z", 60.0),
        ("Resets at 2025-06-15 15:07:40 UTC", 60.0),
        ("resets at 2025-06-15 17:07:40+02:00.", 60.0),
        ("resets at 2025-02-31 15:07:40 UTC", None),
        ("It will reset at 2025-06-15 23:07:40 +0800 CST. Request id: x", 60.0),
        ("You can try again at 2025-06-15 at 15:08 UTC", 80.0),
        # Zhipu's are China's time; another vendor's may be UTC.
        ("已达到 5 小时的使用上限。您的限额将在 2025-06-16 00:06:40 重置。", 3_600.0),
        ("Usage limit reached for 5 hour. Your limit will reset at 2025-06-16 00:06:40", 3_600.0),
        ("请于 2025-06-16 00:06:40 后重试", 3_600.0),
        ("Your limit will reset at 2025-06-15 16:06:40", 3_600.0),
        ("Your limit will reset at 2025-06-15 23:06:30", 0.0),
        ("Your limit will reset at 2025-02-31 23:06:30", None),
        ("您在 2025-06-16 00:06:40 用完", None),
        ("please try again later; 30 requests in 5 seconds are too many", None),
        ("Please try again later.", None),
        ("you made 20 calls in 5s", None),
        ("try again in 99999 days", None),
    ],
)
def test_a_sentence_may_say_how_long(text: str, seconds: float | None) -> None:
    assert wait_in_text(text, NOW_MS) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("retryDelay", "34.07s", 34.07),
        ("retryDelay", {"seconds": 34}, 34.0),
        ("retryDelay", {"seconds": "34", "nanos": 500_000_000}, 34.5),
        ("retryDelay", {"nanos": 250_000_000}, 0.25),
        ("retryDelay", {"seconds": {"seconds": 34}}, None),
        ("retry_after", 0.3, 0.3),
        ("Retry-After", "12", 12.0),
        ("retry_after_ms", 250, 0.25),
        ("estimated_time", 20.0, 20.0),
        ("retry_after", True, None),
        ("retry_after", -1, None),
        ("retry_after", float("nan"), None),
        ("retry_after", 10**400, None),
        ("retry_after", ["5"], None),
        ("limit", 5, None),
    ],
)
def test_a_field_may_say_how_long(name: str, value: Any, seconds: float | None) -> None:
    assert wait_in_field(name, value) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ('{"message": "You are being rate limited.", "retry_after": 0.3, "global": false}', 0.3),
        ('{"error": {"retry_after": 9}}', 9.0),
        ('{"error": {"details": [{"x": 1}, {"retryDelay": "7s"}]}}', 7.0),
        ('{"errors": [{"retry_after_secs": 6}]}', 6.0),
        ('{"a": {"retry_after": 9}, "retry_after": 8}', 8.0),
        ('{"retryAfter": "2025-06-15T15:07:40Z"}', 60.0),
        ('{"retry_after": "Sun, 15 Jun 2025 15:07:40 GMT"}', 60.0),
        ('{"retry_after": 1750000060}', 60.0),
        ('{"retry_after": "PT30S"}', 30.0),
        ('{"retry_after": -1}', None),
        ('{"retry_after": "soon", "detail": "try again in 3s"}', 3.0),
        ('{"X-RateLimit-Reset-After": 3}', 3.0),
        ('{"error": {"resets_at": 1750000060}}', 60.0),
        ('{"reset_time": "2025-06-15T15:07:40Z"}', 60.0),
        ('{"reset_at": "soon", "detail": "try again in 3s"}', 3.0),
        ('{"detail": "Try again in 60 seconds."}', 60.0),
        ("slow down: try again in 3s", 3.0),
        ('{"cut": "off', None),
        ("[" * 1000, None),
    ],
)
def test_a_receivers_answer_may_say_how_long(body: str, seconds: float | None) -> None:
    assert wait_in_answer(body, NOW_MS) == seconds


@pytest.mark.parametrize("asked", ["Wed, 30 Nov 2099 18:59:00 GMT", "2099-11-30T18:59:00Z", "9" * 20, "99999999999s"])
def test_whatever_is_too_long_for_a_wait_is_the_longest_one(asked: str) -> None:
    assert parse_retry_after(asked, NOW_MS) == LONGEST_WAIT
