"""Who a receiver is, is checked by its certificate; where it is, by the guard."""

import ssl
from pathlib import Path

import pytest
from sending import BODY, sending

from answerback.testing.receiver import Receiver
from answerback.webhooks.sending.errors import SendError
from answerback.webhooks.sending.sender import WebhookSender
from certificates import self_signed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "hooks.pem", "DNS:hooks.test")


@pytest.mark.starts_processes
class TestTls:
    @pytest.fixture
    def server(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        return context

    async def test_an_unknown_certificate_is_not_believed(self, server: ssl.SSLContext, sender: WebhookSender) -> None:
        async with Receiver(tls=server) as receiver:
            with pytest.raises(SendError, match="TLS certificate is not valid"):
                await sender.send("t1", f"https://hooks.test:{receiver.port}/", {}, BODY)
            assert receiver.callbacks == ()

    async def test_the_name_is_checked_and_sent_though_the_address_was_resolved(
        self, server: ssl.SSLContext, certificate: Path
    ) -> None:
        # Given a receiver whose certificate is trusted
        names: list[str | None] = []
        server.sni_callback = lambda _, name, __: names.append(name)
        async with (
            Receiver(tls=server) as receiver,
            sending(tls=ssl.create_default_context(cafile=certificate)) as sender,
        ):
            # Then its own name is let through, in SNI and Host
            assert (await sender.send("t1", f"https://hooks.test:{receiver.port}/", {}, BODY)).status == 200
            assert names == ["hooks.test"]
            assert receiver.callbacks[0].headers["host"] == f"hooks.test:{receiver.port}"
            # And another name is not
            with pytest.raises(SendError, match="TLS certificate is not valid"):
                await sender.send("t1", f"https://other.test:{receiver.port}/", {}, BODY)

    async def test_a_server_that_does_not_speak_tls(self, sender: WebhookSender, receiver: Receiver) -> None:
        with pytest.raises(SendError, match="does not speak TLS: the callback URL should begin with http://"):
            await sender.send("t1", f"https://hooks.test:{receiver.port}/", {}, BODY)
