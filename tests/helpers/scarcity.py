"""A process that seems to have no descriptor left for an outgoing connection."""

import pytest

from answerback.http import descriptors


def without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: (1, 1))
