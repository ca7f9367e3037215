"""Ways for a stream, and for a whole answer, to break."""

import json
import random
from collections.abc import Callable
from typing import Any

from aiohttp import web

from answerback.testing import replies
from answerback.testing.completions import encoded
from answerback.testing.replies import Call, Reply
from troubles import chunk, sse

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

BESIDE: tuple[dict[str, Any], ...] = (
    {"x_groq": {"id": "r", "error": "over capacity"}},
    {"base_resp": {"status_code": 1002, "status_msg": "scripted"}},
    {"errors": [{"message": "scripted"}]},
    {"status": "failed"},
)
"""What stands beside choices where the upstream broke them off."""

Fault = Callable[[random.Random], Reply]


def good(rng: random.Random) -> list[Any]:
    """A whole answer; the last two are its end and its usage."""
    words = [chunk(f"word{n} ") for n in range(rng.randrange(1, 12))]
    return [chunk(""), *words, chunk(None, "stop"), chunk(None) | {"choices": [], "usage": USAGE}]


def cut(rng: random.Random) -> Reply:
    """Anywhere before its end has come, by a closed connection or a body that is over."""
    before = sse(*good(rng)[:-1], done=False)
    return replies.stream(before[: rng.randrange(len(before))], rng.choice(["whole", "broken"]))


def no_finish_reason(rng: random.Random) -> Reply:
    *words, _, usage = good(rng)
    return replies.stream(sse(*words, usage, done=rng.random() < 0.5))


def error_chunk(rng: random.Random) -> Reply:
    documents = good(rng)
    said = {"code": rng.choice([429, 500, 502, "server_error", None]), "message": "scripted"}
    beside = chunk(None, "stop", **rng.choice(BESIDE))
    broken = rng.choice([{"error": said}, chunk("", error=said), chunk("", "error"), beside])
    documents.insert(rng.randrange(len(documents)), broken)
    return replies.stream(sse(*documents))


def garbage(rng: random.Random) -> Reply:
    documents = good(rng)
    whole = json.dumps(documents[1])
    noise = rng.choice(
        ["<html>busy</html>", whole[: rng.randrange(1, len(whole))], "null", "[]", "{}", "\ufffd\x01", "0"]
    )
    documents.insert(rng.randrange(len(documents)), noise)
    return replies.stream(sse(*documents))


def stall(rng: random.Random) -> Reply:
    """Beyond the timeout, before its end has come."""
    *words, _, _ = good(rng)
    return replies.stream(sse(*words[: rng.randrange(len(words) + 1)], done=False), "never")


def one_of_two(rng: random.Random) -> Reply:
    """Two answers are under way, one ends."""
    documents = good(rng)
    other = chunk("other")
    other["choices"][0]["index"] = 1
    documents.insert(rng.randrange(1, len(documents) - 2), other)
    return replies.stream(sse(*documents))


def two_ends(rng: random.Random) -> Reply:
    """It goes on after its end, or ends at each piece, and breaks before the last one has come."""
    words = [chunk(f"word{n} ") for n in range(rng.randrange(2, 12))]
    place = rng.randrange(1, len(words))
    if rng.random() < 0.5:
        documents = [*words[:place], chunk(None, "stop"), *words[place:]]
    else:
        documents = [chunk(f"word{n} ", "stop") for n in range(len(words))]
    return replies.stream(sse(*documents, done=False), "broken")


def ends_twice(rng: random.Random) -> Reply:
    """It ends, and then the upstream says that it broke off."""
    *words, end, usage = good(rng)
    failed = chunk(None, rng.choice(["error", "network_error", "abort"]))
    return replies.stream(sse(*words, end, failed, usage))


STREAMS: tuple[Fault, ...] = (
    cut,
    cut,
    cut,
    no_finish_reason,
    error_chunk,
    error_chunk,
    garbage,
    garbage,
    stall,
    one_of_two,
    two_ends,
    ends_twice,
)


def whole(rng: random.Random) -> dict[str, Any]:
    said = {"role": "assistant", "content": " ".join(f"word{n}" for n in range(rng.randrange(1, 40)))}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "fake", "choices": [choice], "usage": USAGE}


def cut_whole(rng: random.Random) -> Reply:
    """Anywhere, by a closed connection or a body that is over."""
    data = encoded(whole(rng))
    kept, broken = data[: rng.randrange(len(data))], rng.random() < 0.5

    async def reply(request: web.BaseRequest, _: Call) -> web.StreamResponse:
        length = len(data) if broken else len(kept)
        headers = {"Content-Type": "application/json", "Content-Length": str(length)}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(kept)
        if broken and request.transport is not None:
            request.transport.close()
        return response

    return reply


def without_reason(rng: random.Random) -> Reply:
    document = whole(rng)
    choice = document["choices"][0]
    choice["finish_reason"] = None
    if rng.random() < 0.5:
        del choice["finish_reason"]
    return replies.raw(encoded(document))


def error_within(rng: random.Random) -> Reply:
    document, said = whole(rng), {"code": rng.choice([429, 500, "server_error", None]), "message": "scripted"}
    choice = document["choices"][0]
    match rng.randrange(5):
        case 0:
            document = {"error": said}
        case 1:
            document["error"] = said
        case 2:
            choice["error"] = said
        case 3:
            document |= rng.choice(BESIDE)
        case _:
            choice["finish_reason"] = rng.choice(["error", "network_error", "abort"])
    return replies.raw(encoded(document))


def garbage_whole(rng: random.Random) -> Reply:
    data = encoded(whole(rng))
    place = rng.randrange(1, len(data) - 1)
    noise = rng.choice([b"<html>busy</html>", b"\xff\xfe\x00", b"}{", b'"'])
    return replies.raw(rng.choice([data[:place] + noise, noise, b"null", b"[]", b"{}", b"0", b""]))


def stall_whole(_: random.Random) -> Reply:
    return replies.hang()


def one_of_two_whole(rng: random.Random) -> Reply:
    """Two answers, of which one has no end."""
    document = whole(rng)
    document["choices"].append({"index": 1, "message": {"role": "assistant", "content": "other"}})
    return replies.raw(encoded(document))


WHOLE: tuple[Fault, ...] = (
    cut_whole,
    cut_whole,
    cut_whole,
    without_reason,
    error_within,
    error_within,
    garbage_whole,
    garbage_whole,
    stall_whole,
    one_of_two_whole,
)
