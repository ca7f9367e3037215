"""A page that the service could not bring says so, and comes by itself once it can."""

from browsing import Visitor


async def test_a_page_that_could_not_be_loaded_comes_once_the_service_answers(visitor: Visitor) -> None:
    visitor.expected.append("ERR_INTERNET_DISCONNECTED")
    page = await visitor.open("/console/jobs")
    await page.get_by_role("heading", name="Jobs", exact=True).wait_for()
    await page.context.set_offline(True)

    await visitor.role("link", "Models").click()
    await visitor.sees("The service cannot be reached")
    await page.context.set_offline(False)

    await page.get_by_role("heading", name="Models", exact=True).wait_for()
