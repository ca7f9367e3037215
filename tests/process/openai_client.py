"""The official `openai` package, used as anybody would; prints what it saw. Arguments: base URL, key."""

import json
import sys
from collections.abc import Callable
from typing import Any

import openai

url, key = sys.argv[1:]
client = openai.OpenAI(base_url=url, api_key=key, max_retries=0, _strict_response_validation=True)
MODEL = "fake"


def raised(call: Callable[[], Any]) -> list[Any]:
    """The typed exception that came out."""
    try:
        call()
    except openai.APIError as error:
        return [type(error).__name__, getattr(error, "status_code", None), error.code]
    return []


def ask(text: str, **more: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}], **more)


def respond(text: Any, **more: Any) -> Any:
    return client.responses.create(model=MODEL, input=text, **more)


def chats() -> dict[str, Any]:
    chunks = list(ask("streams", stream=True, stream_options={"include_usage": True}))
    embedded = client.embeddings.create(model=MODEL, input=["a", "b"], encoding_format="float")
    return {
        "chat": ask("asks").choices[0].message.content,
        "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
        "usage": chunks[-1].usage.total_tokens > 0,
        "models": [model.id for model in client.models.list()],
        "model": client.models.retrieve("vendor/large:free").id,
        "embedded": len(embedded.data),
        "completed": client.completions.create(model=MODEL, prompt="so").choices[0].text,
    }


def responses() -> dict[str, Any]:
    first = respond("responds")
    with client.responses.stream(model=MODEL, input="thinks", previous_response_id=first.id) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    background = respond("leaves", background=True, stream=True)
    created = next(iter(background))
    background.close()
    rest = list(client.responses.retrieve(created.response.id, stream=True, starting_after=created.sequence_number))
    hanging = respond("hangs", background=True)
    items = client.responses.input_items.list(final.id, order="asc")
    seen = {
        "response": first.output_text,
        "fetched": client.responses.retrieve(first.id) == first,
        "items": [item.type for item in final.output],
        "last": kinds[-1],
        "resumed": rest[-1].response.output_text,  # type: ignore[union-attr]
        "input": [getattr(item, "role", None) for item in items.data],
        "cancelled": client.responses.cancel(hanging.id).status,
    }
    client.responses.delete(first.id)
    return seen | {"deleted": raised(lambda: client.responses.retrieve(first.id))}


def conversations() -> dict[str, Any]:
    said: Any = [{"role": "user", "content": "kept"}]
    conversation = client.conversations.create(items=said, metadata={"a": "b"})
    added = client.conversations.items.create(conversation.id, items=said)
    respond("takes a turn", conversation=conversation.id)
    listed = list(client.conversations.items.list(conversation.id, limit=2))
    item = client.conversations.items.retrieve(str(added.data[0].id), conversation_id=conversation.id)
    seen = {
        "turns": [getattr(each, "role", None) for each in listed],
        "item": item.type,
        "shortened": client.conversations.items.delete(str(item.id), conversation_id=conversation.id).id
        == conversation.id,
        "changed": client.conversations.update(conversation.id, metadata={"c": "d"}).metadata,
        "gone": client.conversations.delete(conversation.id).deleted,
    }
    return seen | {"unknown conversation": raised(lambda: client.conversations.retrieve(conversation.id))}


def webhooks() -> dict[str, Any]:
    """Before 3.16 the package only verifies."""
    hooks: Any = client.webhooks
    if not hasattr(hooks, "create"):
        return {}
    made = hooks.create(name="shop", url="http://127.0.0.1:9/x", event_types=["response.completed"])
    seen = {
        "endpoint": hooks.retrieve(made.id).name,
        "renamed": hooks.update(made.id, name="other").name,
        "rotated": hooks.rotate_secret(made.id).signing_secret != made.signing_secret,
        "endpoints": [each.id == made.id for each in hooks.list()],
        "types": "response.completed" in hooks.event_types.list().data,
        "unreachable": raised(lambda: hooks.test(made.id, event_type="response.completed")),
        "endpoint gone": hooks.delete(made.id).deleted,
    }
    return seen | {"unknown endpoint": raised(lambda: hooks.retrieve(made.id))}


def errors() -> dict[str, Any]:
    stranger = openai.OpenAI(base_url=url, api_key="wrong", max_retries=0)
    keyed = {"extra_headers": {"Idempotency-Key": "once"}}
    respond("once", **keyed)
    wrong: Any = [{"type": "song"}]
    return {
        "unknown": raised(lambda: client.models.retrieve("vendor/none")),
        "limited": raised(lambda: ask("429")),
        "failed": raised(lambda: ask("500")),
        "refused": raised(lambda: respond("404")),
        "broken": raised(lambda: list(ask("broken", stream=True))),
        "cut": list(respond("broken", stream=True))[-1].type,
        "wrong": raised(lambda: respond(wrong)),
        "conflict": raised(lambda: respond("twice", **keyed)),
        "late": raised(lambda: client.with_options(timeout=0.3).responses.create(model=MODEL, input="hangs")),
        "stranger": raised(stranger.models.list),
    }


seen = {**chats(), **responses(), **conversations(), **webhooks(), **errors()}
sys.stdout.write(json.dumps(seen))
