"""The keys that every mail channel has for evidence of the sender; apart from the code that gathers it."""

from __future__ import annotations

from gateway.api import Field

AUTHSERV_IDS = Field(
    (), description="authserv-ids of relays of ours whose Authentication-Results are believed (they must remove forged ones)"
)
DNS_SERVERS = Field(
    (), description="resolvers (address or address:port) that are asked for SPF, DKIM and DMARC; empty: nobody is asked"
)
DNS_SECONDS = Field(3.0, gt=0, le=8, description="how long all questions about one mail may take")
RELAYS = Field((), description="addresses or networks of relays of ours: SPF is not asked of them; private ones never are")
