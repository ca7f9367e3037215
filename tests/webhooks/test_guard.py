"""Who may be called: judged when a job is accepted, and again at the connection."""

import asyncio
import socket
from ipaddress import ip_network
from typing import Any

import pytest
from hostile_urls import ANSWERS, FORBIDDEN, MALFORMED, PUBLIC

from answerback.kernel.errors import CallbackRefused
from answerback.testing.clock import FakeClock
from answerback.webhooks.sending import guard as guards
from answerback.webhooks.sending.addresses import ForbiddenAddressError
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.sending.guard import AddressGuard
from answerback.webhooks.sending.lookup import Requester
from answerback.webhooks.sending.sender import WebhookSender


class Dns:
    """Answers as written down, reads numbers as the system's resolver does, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.asked: list[str] = []

    async def __call__(self, host: str, requester: Requester) -> list[str]:
        self.asked.append(host)
        name = host.rstrip(".").lower()
        if name in self.answers:
            return self.answers[name]
        return [socket.inet_ntoa(socket.inet_aton(host))]


class NoCourtesy(AddressGuard):
    """A guard that only stands at the connection."""

    def check_form(self, url: str) -> None:
        pass


@pytest.fixture
def dns() -> Dns:
    return Dns()


@pytest.fixture
async def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that connections were opened to; none of them answers."""
    addresses: list[str] = []

    async def connect(_: socket.socket, address: tuple[Any, ...]) -> None:
        addresses.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
    return addresses


async def send(guard: AddressGuard, url: str) -> str:
    """What a sender says of an attempt that cannot succeed."""
    sender = WebhookSender(guard, lambda: 0, timeout_seconds=5)
    try:
        with pytest.raises(SendError) as failure:
            await sender.send("t1", url, {}, b"{}")
    finally:
        await sender.close()
    return str(failure.value)


def test_the_corpus_is_worth_its_name() -> None:
    assert len(set(FORBIDDEN + MALFORMED)) >= 160


class TestAtAcceptance:
    @pytest.mark.parametrize("url", FORBIDDEN + MALFORMED)
    async def test_a_hostile_url_is_refused_in_the_same_words_without_a_lookup(self, url: str, dns: Dns) -> None:
        guard = AddressGuard(resolve=dns)
        with pytest.raises(CallbackRefused) as refusal:
            await guard.check(url)
        assert refusal.value.field == "callback_url"
        if dns.asked:
            return

        with pytest.raises(CallbackRefused) as same:
            guard.check_unresolved(url)
        assert same.value.message == refusal.value.message

    @pytest.mark.parametrize("url", [*PUBLIC, "http://private.example/", "http://unknown.example/"])
    async def test_what_needs_a_lookup_passes_without_one(self, url: str, dns: Dns) -> None:
        AddressGuard(resolve=dns).check_unresolved(url)
        assert dns.asked == []

    @pytest.mark.parametrize("url", PUBLIC)
    async def test_a_public_url_passes(self, url: str, dns: Dns) -> None:
        await AddressGuard(resolve=dns).check(url)

    @pytest.mark.parametrize(
        ("url", "kind"),
        [
            ("http://private.example/", "it resolves to a private address"),
            ("http://[fec0::1]/", "it is a site-local address"),
            ("http://169.254.169.254/", "it is a link-local address"),
        ],
    )
    async def test_a_refusal_says_why_and_names_the_setting(self, url: str, kind: str, dns: Dns) -> None:
        with pytest.raises(CallbackRefused, match=kind) as refusal:
            await AddressGuard(resolve=dns).check(url)
        assert "CALLBACK_ALLOWED_NETWORKS" in refusal.value.message

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "127.8.9.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "here.example"]
    )
    async def test_the_service_itself_is_refused_whatever_is_open(self, host: str) -> None:
        # Given a service on port 8080 that may call loopback
        async def resolve(_: str, requester: Requester) -> list[str]:
            return ["127.0.0.1"]

        guard = AddressGuard(resolve=resolve, allow_loopback=True, own_port=8080)
        # Then no callback acts in the name of its operator, and other ports are open
        with pytest.raises(CallbackRefused, match="this service itself") as refusal:
            await guard.check(f"http://{host}:8080/v1/keys")
        assert "CALLBACK_ALLOWED_NETWORKS" not in refusal.value.message
        assert "this service itself" in await send(guard, f"http://{host}:8080/v1/keys")
        await guard.check(f"http://{host}:8081/")

    @pytest.mark.parametrize("host", ["10.0.0.5", "[::ffff:10.0.0.5]"])
    async def test_so_is_the_address_that_it_listens_on(self, host: str) -> None:
        guard = AddressGuard([ip_network("10.0.0.0/8")], own_port=8080, own_host="10.0.0.5")

        with pytest.raises(CallbackRefused, match="this service itself"):
            await guard.check(f"http://{host}:8080/webhook")
        await guard.check("http://10.0.0.6:8080/webhook")

    @pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "[64:ff9b::7f00:1]", "any.example"])
    async def test_so_is_an_address_that_leads_to_loopback(self, host: str) -> None:
        async def resolve(_: str, requester: Requester) -> list[str]:
            return ["0.0.0.0"]

        guard = AddressGuard([ip_network("0.0.0.0/0"), ip_network("::/0")], resolve=resolve, own_port=8080)

        with pytest.raises(CallbackRefused, match="this service itself"):
            await guard.check(f"http://{host}:8080/v1/keys")
        assert "this service itself" in await send(guard, f"http://{host}:8080/v1/keys")

    @pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
    async def test_so_is_a_port_that_a_url_need_not_name(self, scheme: str, port: int) -> None:
        guard = AddressGuard(allow_loopback=True, own_port=port)

        for url in (f"{scheme}://127.0.0.1/", f"{scheme}://localhost:/", f"{scheme}://[::1]:{port}/"):
            with pytest.raises(CallbackRefused, match=r"this service itself|a port in digits"):
                await guard.check(url)
        with pytest.raises(CallbackRefused, match="this service itself"):
            guard.check_unresolved(f"{scheme}://127.0.0.1/")

    async def test_another_machine_may_listen_on_the_same_port(self) -> None:
        await AddressGuard(own_port=8080).check("http://203.0.114.1:8080/")

    @pytest.mark.parametrize("host", ["unknown.example", "empty.example"])
    async def test_a_name_without_an_address_passes_for_now(self, host: str, dns: Dns) -> None:
        await AddressGuard(resolve=dns).check(f"http://{host}/")

    async def test_a_name_that_takes_too_long_passes_for_now(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guards, "LOOKUP_SECONDS", 0.01)

        async def never(_: str, requester: Requester) -> list[str]:
            await asyncio.Event().wait()
            return []

        await AddressGuard(resolve=never).check("http://slow.example/")


class TestAtTheConnection:
    @pytest.mark.parametrize("url", FORBIDDEN + MALFORMED)
    async def test_a_hostile_url_is_never_dialled(self, url: str, dns: Dns, dialled: list[str]) -> None:
        await send(AddressGuard(resolve=dns), url)
        assert dialled == []

    @pytest.mark.parametrize("url", FORBIDDEN)
    async def test_nor_is_it_when_nobody_looked_at_the_url(self, url: str, dns: Dns, dialled: list[str]) -> None:
        await send(NoCourtesy(resolve=dns), url)
        assert dialled == []

    @pytest.mark.parametrize("url", PUBLIC)
    async def test_a_public_url_is_dialled(self, url: str, dns: Dns, dialled: list[str]) -> None:
        assert await send(AddressGuard(resolve=dns), url) == "the connection was refused"
        assert dialled

    async def test_a_name_that_changes_its_mind_after_acceptance_is_not_dialled(
        self, dns: Dns, dialled: list[str]
    ) -> None:
        # Given a name that was public when the job was accepted
        guard = AddressGuard(resolve=dns)
        await guard.check("http://public.example/")
        # When it points inside by the time of the callback
        dns.answers["public.example"] = ["169.254.169.254"]
        # Then the attempt is refused, though the verdict of the acceptance is still remembered
        await guard.check("http://public.example/")
        assert "link-local" in await send(guard, "http://public.example/")
        assert dialled == []

    async def test_the_socket_is_the_last_to_judge(self, dialled: list[str]) -> None:
        # Given a lookup that somehow lets a forbidden address through
        class Negligent(AddressGuard):
            async def addresses(self, host: str, requester: Requester, port: int | None = None) -> list[str]:
                return ["10.0.0.7"]

        # Then the connection is refused all the same
        assert "may not be called" in await send(Negligent(), "http://public.example/")
        assert dialled == []

    async def test_one_lookup_serves_the_verdict_and_the_connection(self, dns: Dns, dialled: list[str]) -> None:
        dns.answers["single.example"] = ["93.184.215.14"]
        await send(AddressGuard(resolve=dns), "http://single.example/")
        assert dns.asked == ["single.example"]
        assert dialled == ["93.184.215.14"]


class TestWhatAnOperatorOpens:
    @pytest.mark.parametrize(
        ("network", "opened"),
        [
            ("10.0.0.0/8", "10.0.0.7"),
            ("10.0.0.0/8", "::ffff:10.0.0.7"),
            ("10.0.0.0/8", "64:ff9b::10.0.0.7"),
            ("::ffff:10.0.0.0/104", "10.0.0.7"),
            ("fd00::/8", "fd12::7"),
            ("fe80::/10", "fe80::1%eth0"),
            ("169.254.0.0/16", "169.254.169.254"),
        ],
    )
    def test_a_named_network_may_be_called(self, network: str, opened: str) -> None:
        AddressGuard([ip_network(network)]).verify(opened)
        with pytest.raises(ForbiddenAddressError):
            AddressGuard().verify(opened)

    @pytest.mark.parametrize(
        ("network", "closed"),
        [
            ("10.0.0.0/8", "192.168.0.1"),
            ("10.0.0.0/8", "::ffff:192.168.0.1"),
            ("fd00::/8", "fe80::1"),
            ("fd00::/8", "fd00::5efe:169.254.169.254"),
            ("64:ff9b:1::/48", "64:ff9b:1::a9fe:a9fe"),
            ("2001::/32", "2001:0:5db8:d70e:8000:63bf:5601:5601"),
            ("0.0.0.0/0", "::1"),
        ],
    )
    def test_the_others_stay_closed(self, network: str, closed: str) -> None:
        with pytest.raises(ForbiddenAddressError):
            AddressGuard([ip_network(network)]).verify(closed)

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "app.localhost", "loop.example"])
    async def test_loopback_opens_with_a_service_that_listens_there(self, host: str, dns: Dns) -> None:
        await AddressGuard(allow_loopback=True, resolve=dns).check(f"http://{host}:8080/")

    async def test_loopback_opens_nothing_else(self, dns: Dns) -> None:
        guard = AddressGuard(allow_loopback=True, resolve=dns)
        for host in ("private.example", "0.0.0.0", "metadata", "169.254.169.254"):
            with pytest.raises(CallbackRefused):
                await guard.check(f"http://{host}/")

    async def test_a_metadata_name_stays_closed_wherever_it_points(self, dns: Dns) -> None:
        dns.answers["metadata.google.internal"] = ["10.0.0.7"]
        with pytest.raises(CallbackRefused, match="metadata"):
            await AddressGuard([ip_network("0.0.0.0/0")], resolve=dns).check("http://metadata.google.internal/")


class TestMemory:
    async def test_a_host_is_looked_up_once_in_a_while(self, dns: Dns, clock: FakeClock) -> None:
        guard = AddressGuard(resolve=dns, monotonic=clock.monotonic)
        for path in ("a", "b", "c"):
            await guard.check(f"http://public.example/{path}")
        assert len(dns.asked) == 1
        clock.advance(31)
        await guard.check("http://public.example/a")
        assert len(dns.asked) == 2

    async def test_a_refusal_is_remembered_as_well(self, dns: Dns) -> None:
        guard = AddressGuard(resolve=dns)
        for _ in range(3):
            with pytest.raises(CallbackRefused):
                await guard.check("http://private.example/")
        assert len(dns.asked) == 1

    async def test_callers_at_once_share_one_lookup_and_one_of_them_may_leave(self) -> None:
        # Given a slow name that several callers ask about
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        asked: list[str] = []
        resolving = asyncio.Event()

        async def resolve(host: str, requester: Requester) -> list[str]:
            asked.append(host)
            resolving.set()
            return await answer

        guard = AddressGuard(resolve=resolve)
        callers = [asyncio.create_task(guard.check("http://slow.example/")) for _ in range(5)]
        await resolving.wait()
        # When the first of them gives up
        callers[0].cancel()
        answer.set_result(["10.0.0.7"])
        # Then the others still hear the verdict
        heard = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(each) for each in heard] == [asyncio.CancelledError] + [CallbackRefused] * 4
        assert asked == ["slow.example"]

    async def test_hosts_beyond_the_bound_are_forgotten(self, dns: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guards, "MAX_REMEMBERED", 2)
        guard = AddressGuard(resolve=dns)
        dns.answers |= {f"{n}.example": ["93.184.215.14"] for n in range(3)}
        for n in (0, 1, 2, 0):
            await guard.check(f"http://{n}.example/")
        assert dns.asked == ["0.example", "1.example", "2.example", "0.example"]

    async def test_closing_ends_what_is_under_way(self) -> None:
        async def never(_: str, requester: Requester) -> list[str]:
            await asyncio.Event().wait()
            return []

        guard = AddressGuard(resolve=never)
        caller = asyncio.create_task(guard.check("http://slow.example/"))
        await asyncio.wait([caller], timeout=0)
        await guard.close()
        with pytest.raises(asyncio.CancelledError):
            await caller


async def test_the_systems_resolver_answers_without_a_network() -> None:
    guard = AddressGuard(allow_loopback=True)
    try:
        assert list(await guard.addresses("127.0.0.1", Requester())) == ["127.0.0.1"]
    finally:
        await guard.close()
