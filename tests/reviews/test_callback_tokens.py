"""The tokens that let an LLM answer a review."""

from collections.abc import Callable

import pytest

from answerback.kernel.errors import Unauthorized
from answerback.reviews.tokens import CallbackTokens
from stores import Stores


@pytest.fixture
def tokens(stores: Stores) -> CallbackTokens:
    return CallbackTokens(stores.service_secrets)


async def test_a_token_opens_its_own_job_and_outlives_the_process(stores: Stores, tokens: CallbackTokens) -> None:
    token = await tokens.token("job_1")

    again = CallbackTokens(stores.service_secrets)
    assert await again.token("job_1") == token
    await again.check("job_1", token)


@pytest.mark.parametrize("change", [lambda _: None, lambda _: "", lambda t: t[:-1], lambda t: t + "A", str.lower])
async def test_anything_else_is_refused(tokens: CallbackTokens, change: Callable[[str], str | None]) -> None:
    token = await tokens.token("job_1")

    with pytest.raises(Unauthorized):
        await tokens.check("job_1", change(token))


async def test_the_token_of_another_job_is_refused_and_so_is_what_no_header_can_hold(tokens: CallbackTokens) -> None:
    for presented in (await tokens.token("job_2"), "\udcff"):
        with pytest.raises(Unauthorized):
            await tokens.check("job_1", presented)
