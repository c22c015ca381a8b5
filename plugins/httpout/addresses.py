"""Which addresses a transport may connect to. Pure.

Whoever can write a URL into a configuration or change a name in DNS must not be able to turn the gateway against the hosts
beside it: loopback, private, link-local and other special networks are closed unless conf opens them by name.
Source of the special networks: IANA's registries for IPv4 and IPv6 as Python's ``ipaddress`` holds them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def network(text: str) -> Network:
    """``10.0.0.0/8`` or a single address. Raises ``ValueError``."""
    return ipaddress.ip_network(text)


def permitted(addresses: Iterable[str], opened: Sequence[Network]) -> list[str]:
    """Those of ``addresses`` that may be spoken to, in their order."""
    return [text for text in addresses if _may(text, opened)]


def _may(text: str, opened: Sequence[Network]) -> bool:
    try:
        # A zone ("fe80::1%eth0") is cut off: what it names is link-local all the same.
        address = _plain(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    if any(address in one for one in opened if one.version == address.version):
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does: such an address leads to the same host."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address
