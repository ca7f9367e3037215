"""What instructs a model among the messages: most upstreams take it in one message in front, and nowhere else."""

from collections.abc import Sequence

from answerback.kernel.json import Json

INSTRUCTING = ("system", "developer")
"""Roles of such messages."""

IN_PLACE = "instructions in place"
"""Stands among a request's optional fields where instructions may stand between its messages: without it they are
folded."""


def folded(messages: Sequence[Json]) -> Sequence[Json]:
    """The messages with all instructions, which are texts, in one in front; the same ones where they are so already."""
    texts = [said["content"] for said in messages if said["role"] in INSTRUCTING]
    if not texts or (len(texts) == 1 and messages[0]["role"] == "system"):
        return messages
    others = [said for said in messages if said["role"] not in INSTRUCTING]
    return [{"role": "system", "content": "\n\n".join(texts)}, *others]
