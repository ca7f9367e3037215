"""Offers of another protocol, which are declined: the request is answered as any other (RFC 9110, section 7.8)."""

import sys

from httptools import HttpParserUpgrade, HttpRequestParser

from answerback.http.server.turns import TurnTaking


class Declining(TurnTaking):
    """Java's client offers HTTP/2 with its first request, a POST or not. Behind such a head the parser leaves off, and
    would take the body for the next request: the head is parsed again, without the offer."""

    came = b""
    """What is parsed now."""

    @property
    def offers_upgrade(self) -> bool:
        """Whether the head that has come is parsed again."""
        return self.parser.should_upgrade()

    def data_received(self, data: bytes) -> None:
        self.came = data
        super().data_received(data)
        self.came = b""

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        offer = sys.exc_info()[1]
        if not isinstance(offer, HttpParserUpgrade):
            raise AssertionError("called where the parser leaves off")
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        fields = (b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        rest = self.came[offer.args[0] :]
        self.parser = HttpRequestParser(self)
        Declining.data_received(self, b"".join([line, *fields, b"\r\n", rest]))
