"""One SMPP connection: what ``carrier.link`` has to know of its PDUs."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway_plugins.carrier import link
from gateway_plugins.carrier.link import MOST_IN_HAND, LinkLost, NoAnswer
from gateway_plugins.smpp import pdu as smpp
from gateway_plugins.smpp.pdu import Body, Command, Empty, Framer, Pdu, Status

__all__ = ["MOST_IN_HAND", "Link", "LinkLost", "NoAnswer"]

_INCOMING = frozenset({Command.DELIVER_SM, Command.DATA_SM})


class Link(link.Link):
    """Either side's connection. enquire_link and unbind are answered here."""

    wire: ClassVar[str] = "SMPP"
    last_sequence: ClassVar[int] = smpp.LAST_SEQUENCE

    async def request(
        self, command: int, body: Body | None = None, *, seconds: float, tlvs: tuple[tuple[int, bytes], ...] = ()
    ) -> Pdu:  # fmt: skip
        """Send a request; its answer, whatever the status. Raises ``NoAnswer``, ``LinkLost``, ``PduError``."""

        def make(sequence: int) -> bytes:
            return smpp.encode(Pdu(command=command, sequence=sequence, body=body or Empty(), tlvs=tlvs))

        answer: Pdu = await self.ask(make, smpp.command_name(command), seconds)
        return answer

    def framer(self) -> Framer:
        return Framer()

    def octets(self, pdu: Pdu) -> bytes:
        return smpp.encode(pdu)

    def is_answer(self, pdu: Pdu) -> bool:
        return bool(pdu.command & smpp.RESPONSE)

    def courtesy(self, pdu: Pdu) -> tuple[Pdu, bool] | None:
        if pdu.command in (Command.ENQUIRE_LINK, Command.UNBIND):
            return smpp.response(pdu), pdu.command == Command.UNBIND
        return None

    def sorry(self, pdu: Any) -> Pdu:
        return smpp.response(pdu, status=Status.ESME_RX_T_APPN if pdu.command in _INCOMING else Status.ESME_RSYSERR)
