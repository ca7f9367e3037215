"""Callers and their keys: what opens the service, for which tenant, and with which rights."""

import asyncio
from ipaddress import ip_network
from pathlib import Path

import pytest
from starlette.requests import Request

from answerback.accounts.auth import FRESH_SECONDS, Authenticator
from answerback.accounts.key_use import KeyUses
from answerback.accounts.model import DEFAULT_TENANT, hash_key
from answerback.accounts.ratelimit import MovingWindows, RateLimiter
from answerback.http.errors import RateLimited
from answerback.http.headers import RESPONSE_HEADERS
from answerback.kernel.errors import Forbidden, Misdirected, Unauthorized
from answerback.kernel.rate import Rate
from answerback.testing.clock import FakeClock
from databases import SqliteDatabase
from stores import Stores

HERE, ELSEWHERE = "127.0.0.1", "203.0.113.9"


@pytest.fixture
def database(path: Path) -> SqliteDatabase:
    return SqliteDatabase(path)


def request(authorization: str | None = None, client: str = HERE, host: str = "localhost", **more: str) -> Request:
    headers = {"authorization": authorization, "host": host, **more}
    return Request(
        {
            "type": "http",
            "method": "GET",
            "client": (client, 50_000),
            "headers": [(name.encode(), text.encode()) for name, text in headers.items() if text is not None],
            RESPONSE_HEADERS: [],
        }
    )


def authenticator(stores: Stores, clock: FakeClock, rate: Rate | None = None, **options: object) -> Authenticator:
    limiter = RateLimiter(MovingWindows(clock.monotonic), rate)
    return Authenticator(stores.accounts, limiter, clock, KeyUses(stores.accounts, clock), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "{}", "Bearer   {}"])
async def test_a_key_may_come_with_and_without_the_word_bearer(stores: Stores, clock: FakeClock, form: str) -> None:
    key = await stores.accounts.create_key("shop", hash_key("ab_key"))

    caller = await authenticator(stores, clock).caller(request(form.format("ab_key")))

    assert (caller.tenant_id, caller.key_id, caller.operator) == (key.tenant_id, key.id, False)


@pytest.mark.parametrize(
    "form",
    ["", "Bearer", "Bearer ", "Basic {}", "Bearer {}x", "x{}", "Bearer Bearer {}", "Bearer {},{}", "ключ"],
)
async def test_anything_else_is_no_key_and_is_not_repeated(stores: Stores, clock: FakeClock, form: str) -> None:
    await stores.accounts.create_key("shop", hash_key("ab_key"))

    with pytest.raises(Unauthorized) as refused:
        await authenticator(stores, clock).caller(request(form.replace("{}", "ab_key")))

    assert "ab_key" not in refused.value.message


async def test_the_stored_hash_of_a_key_opens_nothing(stores: Stores, clock: FakeClock) -> None:
    await stores.accounts.create_key("shop", hash_key("ab_key"))

    with pytest.raises(Unauthorized):
        await authenticator(stores, clock).caller(request(hash_key("ab_key")))


async def test_the_tokens_of_the_settings_are_keys_of_the_default_tenant(stores: Stores, clock: FakeClock) -> None:
    keys = authenticator(stores, clock, token="client", operator_token="operator")

    client, operator = [await keys.caller(request(token)) for token in ("client", "operator")]

    assert (client.tenant_id, client.operator) == (DEFAULT_TENANT, False)
    assert (operator.tenant_id, operator.operator) == (DEFAULT_TENANT, True)


async def test_a_replaced_key_leaves_its_tenant_what_it_had(stores: Stores, clock: FakeClock) -> None:
    leaked = await stores.accounts.create_key("shop", hash_key("leaked"))
    await stores.accounts.create_key("shop", hash_key("fresh"), tenant=leaked.tenant_id)
    await stores.accounts.revoke_key(leaked.id)
    keys = authenticator(stores, clock)

    assert await keys.tenant(request("fresh")) == leaked.tenant_id
    with pytest.raises(Unauthorized):
        await keys.tenant(request("leaked"))


async def test_a_key_revoked_in_another_process_is_refused_within_a_second(stores: Stores, clock: FakeClock) -> None:
    key = await stores.accounts.create_key("shop", hash_key("ab_key"))
    keys = authenticator(stores, clock)
    await keys.caller(request("ab_key"))

    await stores.accounts.revoke_key(key.id)

    clock.advance(FRESH_SECONDS - 0.001)
    await keys.caller(request("ab_key"))
    clock.advance(0.001)
    with pytest.raises(Unauthorized):
        await keys.caller(request("ab_key"))


async def test_keys_changed_in_this_process_count_at_once(stores: Stores, clock: FakeClock) -> None:
    keys = authenticator(stores, clock, token="client")
    await keys.caller(request("client"))
    await stores.accounts.create_key("shop", hash_key("ab_key"))

    keys.forget()

    assert await keys.caller(request("ab_key"))


async def test_many_requests_at_once_read_the_keys_once(
    stores: Stores, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.accounts.create_key("shop", hash_key("ab_key"))
    reads = []
    list_keys = stores.accounts.list_keys

    async def counted() -> object:
        reads.append(1)
        return await list_keys()

    monkeypatch.setattr(stores.accounts, "list_keys", counted)
    keys = authenticator(stores, clock)

    await asyncio.gather(*(keys.caller(request("ab_key")) for _ in range(50)))

    assert len(reads) == 1


# Rates.


async def test_each_key_of_a_tenant_has_a_rate_of_its_own(stores: Stores, clock: FakeClock) -> None:
    first = await stores.accounts.create_key("one", hash_key("one"))
    await stores.accounts.create_key("two", hash_key("two"), tenant=first.tenant_id)
    await stores.accounts.create_key("more", hash_key("more"), "3/minute", tenant=first.tenant_id)
    keys = authenticator(stores, clock, Rate(2, 60))

    for key, allowed in (("one", 2), ("two", 2), ("more", 3)):
        for _ in range(allowed):
            await keys.caller(request(key))
        with pytest.raises(RateLimited):
            await keys.caller(request(key))


async def test_guessing_keys_is_limited_and_takes_nothing_from_valid_keys(stores: Stores, clock: FakeClock) -> None:
    await stores.accounts.create_key("shop", hash_key("ab_key"))
    keys = authenticator(stores, clock, Rate(2, 60))

    refusals = []
    for number in range(4):
        with pytest.raises((Unauthorized, RateLimited)) as refused:
            await keys.caller(request(f"guess {number}"))
        refusals.append(refused.type)

    assert refusals == [Unauthorized, Unauthorized, RateLimited, RateLimited]
    assert await keys.caller(request("ab_key"))


async def test_polls_count_against_no_rate_and_guesses_do(stores: Stores, clock: FakeClock) -> None:
    made = authenticator(stores, clock, Rate(1, 60), token="the-key")

    for _ in range(3):
        assert await made.polling_tenant(request("Bearer the-key")) == DEFAULT_TENANT

    with pytest.raises(Unauthorized):
        await made.polling_tenant(request("Bearer a-guess"))
    with pytest.raises(RateLimited):
        await made.polling_tenant(request("Bearer another"))


async def test_without_keys_each_address_has_a_rate_of_its_own(stores: Stores, clock: FakeClock) -> None:
    keys = authenticator(stores, clock, Rate(1, 60))

    await keys.caller(request(client=HERE))
    await keys.caller(request(client=ELSEWHERE))

    with pytest.raises(RateLimited):
        await keys.caller(request(client=HERE))


# Without any key.


async def test_a_service_without_keys_serves_this_machines_callers_as_operators(
    stores: Stores, clock: FakeClock
) -> None:
    keys = authenticator(stores, clock)

    for authorization in (None, "Bearer anything"):
        caller = await keys.operator(request(authorization))
        assert (caller.tenant_id, caller.key_id) == (DEFAULT_TENANT, None)


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
async def test_callers_behind_a_proxy_that_is_not_trusted_are_no_operators_without_keys(
    stores: Stores, clock: FakeClock, header: str
) -> None:
    # Given a proxy on this machine, whose address stands for its callers', whatever address they claim to have
    forwarded = request(**{header: HERE})

    assert not (await authenticator(stores, clock).caller(forwarded)).operator
    # Then only one of TRUSTED_PROXIES is believed, whose address the server has replaced already
    elsewhere, here = ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8")
    assert not (await authenticator(stores, clock, proxies=[elsewhere]).caller(forwarded)).operator
    assert (await authenticator(stores, clock, proxies=[elsewhere, here]).caller(forwarded)).operator


@pytest.mark.parametrize(
    ("client", "host"),
    [(ELSEWHERE, "localhost"), (HERE, "relay.example")],
    ids=["through a proxy that says so", "by the name of PUBLIC_BASE_URL"],
)
async def test_callers_from_beyond_this_machine_are_no_operators_without_keys(
    stores: Stores, clock: FakeClock, client: str, host: str
) -> None:
    keys = authenticator(stores, clock, hosts=["relay.example"])

    assert not (await keys.caller(request(client=client, host=host))).operator
    with pytest.raises(Forbidden):
        await keys.operator(request(client=client, host=host))


@pytest.mark.parametrize("first_key_lives", [True, False])
async def test_the_first_key_ends_that_even_once_it_is_revoked(
    stores: Stores, clock: FakeClock, first_key_lives: bool
) -> None:
    keys = authenticator(stores, clock)
    await keys.caller(request())
    key = await stores.accounts.create_key("shop", hash_key("ab_key"))
    if not first_key_lives:
        await stores.accounts.revoke_key(key.id)
    keys.forget()

    with pytest.raises(Unauthorized):
        await keys.caller(request())


@pytest.mark.parametrize("token", ["token", "operator_token"])
async def test_so_does_a_token_of_the_settings(stores: Stores, clock: FakeClock, token: str) -> None:
    with pytest.raises(Unauthorized):
        await authenticator(stores, clock, **{token: "secret"}).caller(request())


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "localhost.", "app.localhost", "127.1.2.3", "[::1]:8"])
async def test_without_keys_the_names_of_this_machine_lead_to_the_service(
    stores: Stores, clock: FakeClock, host: str
) -> None:
    assert await authenticator(stores, clock).tenant(request(host=host)) == DEFAULT_TENANT


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "[", ""])
async def test_without_keys_no_other_name_does(stores: Stores, clock: FakeClock, host: str) -> None:
    with pytest.raises(Misdirected, match="answerback keys create"):
        await authenticator(stores, clock, hosts=["relay.example"]).tenant(request(host=host))


@pytest.mark.parametrize(
    ("origin", "served"),
    [("http://localhost", True), ("https://example.com", False), ("null", False), ("http://localhost:81", False)],
)
async def test_without_keys_pages_of_other_sites_are_refused(
    stores: Stores, clock: FakeClock, origin: str, served: bool
) -> None:
    keys = authenticator(stores, clock)

    if served:
        await keys.tenant(request(origin=origin))
    else:
        with pytest.raises(Unauthorized):
            await keys.tenant(request(origin=origin))


@pytest.mark.parametrize(
    ("site", "shown", "served"),
    [
        ("same-origin", "empty", True),
        ("none", "document", True),
        ("cross-site", "document", True),
        ("cross-site", "image", False),
        ("same-site", "script", False),
        ("same-site", "iframe", False),
    ],
)
async def test_without_keys_pages_of_other_sites_load_nothing(
    stores: Stores, clock: FakeClock, site: str, shown: str, served: bool
) -> None:
    """With what a page loads as an image or a script a browser sends no `Origin`."""
    keys = authenticator(stores, clock)
    asked = request(**{"sec-fetch-site": site, "sec-fetch-dest": shown})

    if served:
        await keys.tenant(asked)
    else:
        with pytest.raises(Unauthorized):
            await keys.tenant(asked)


async def test_with_a_key_neither_name_nor_page_matters(stores: Stores, clock: FakeClock) -> None:
    keys = authenticator(stores, clock, token="client")

    assert await keys.tenant(request("client", host="proxy.example", origin="https://example.com")) == DEFAULT_TENANT


async def test_with_auth_disabled_every_caller_is_the_default_tenant_and_no_operator(
    stores: Stores, clock: FakeClock
) -> None:
    await stores.accounts.create_key("shop", hash_key("ab_key"), operator=True)
    keys = authenticator(stores, clock, disabled=True, operator_token="operator")

    for authorization in (None, "Bearer wrong", "Bearer ab_key", "Bearer operator"):
        caller = await keys.caller(request(authorization, host="proxy.example"))
        assert (caller.tenant_id, caller.operator) == (DEFAULT_TENANT, False)


# Operators.


async def test_only_operators_pass_where_operators_are_asked_for(stores: Stores, clock: FakeClock) -> None:
    key = await stores.accounts.create_key("mine", hash_key("mine"), operator=True)
    await stores.accounts.create_key("shop", hash_key("shop"))
    keys = authenticator(stores, clock)

    assert (await keys.operator(request("mine"))).key_id == key.id
    with pytest.raises(Forbidden, match="OPERATOR_TOKEN"):
        await keys.operator(request("shop"))


async def test_only_operators_may_ask_for_a_tenant(stores: Stores, clock: FakeClock) -> None:
    shop = await stores.accounts.create_key("shop", hash_key("shop"))
    keys = authenticator(stores, clock, operator_token="operator")

    assert await keys.tenant_or_asked(request("operator"), shop.tenant_id) == shop.tenant_id
    assert await keys.tenant_or_asked(request("operator"), None) == DEFAULT_TENANT
    assert await keys.tenant_or_asked(request("shop"), None) == shop.tenant_id
    for asked in (DEFAULT_TENANT, shop.tenant_id):
        with pytest.raises(Forbidden, match="OPERATOR_TOKEN"):
            await keys.tenant_or_asked(request("shop"), asked)
