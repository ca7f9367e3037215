"""A background response is streamed by one process, and answered by others, of which one is killed."""

from processes import fleet, settings

from answerback.testing import FakeLLM, Receiver
from serving import client_of
from streamed_responses import WORDS, numbers, rest, spelt, text_of


async def test_a_reader_sees_nothing_of_a_worker_that_is_killed(
    postgres_url: str, llm: FakeLLM, receiver: Receiver
) -> None:
    half = WORDS[:6]
    llm.on("survive", spelt(half, whole=False), spelt(WORDS))
    environment = settings(llm, database_url=postgres_url, lease_seconds=1)
    async with fleet(environment, receiver) as shop, client_of(shop.service) as client:
        events = []
        async for event in await client.responses.create(model="fake", input="survive", background=True, stream=True):
            events.append(event)
            if event.type == "response.output_text.delta" and text_of(events) == "".join(half):
                await shop.worker.kill()
                await shop.worker.start()

        assert numbers(events) == list(range(len(events)))
        assert text_of(events) == "".join(WORDS) == events[-1].response.output_text
        assert await rest(client, events[0].response.id) == events
