"""Cancelling over HTTP."""

from pathlib import Path
from typing import Any

from whole_api import Api, whole_api


async def test_the_log_says_that_a_cancelled_messages_callback_is_held_and_behind_which(path: Path) -> None:
    message = {"callback_url": "https://203.0.114.1/hook", "session_id": "s"}
    async with whole_api(path) as api:
        first, second = [await _accepted(api, {**message, "message": text}) for text in ("one", "two")]
        # Given a message whose callback is owed
        await api("POST", f"/v1/jobs/{first}/cancel")
        # When the next one of its conversation is cancelled
        cancelled = (await api("POST", f"/v1/jobs/{second}/cancel")).json

        journal: Any = api.service.process.instruments.log
        (held,) = [fields for event, fields in journal.lines if event == "callback_held"]
        assert held == {"job": second, "delivery": cancelled["deliveries"][0]["id"], "behind": first}


async def _accepted(api: Api, message: dict[str, str]) -> str:
    return str((await api("POST", "/webhook", body=message)).json["job_id"])
