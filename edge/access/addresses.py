"""Finds a client's address, also behind proxies.

The peer of a connection is believed; a header is not, unless the peer is in a network that the operator trusts. A proxy
appends the address of its own peer, so the chain is read from its right end: the first hop that is no trusted proxy is
the client. Everything left of it was sent by the client itself, and is never read.

References: RFC 7239 for ``Forwarded``; ``X-Forwarded-For`` is a custom with no standard.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Header = Literal["x-forwarded-for", "forwarded"]

# What a provider gives to one household or machine (RFC 6177); inside it addresses cost nothing.
_HOUSEHOLD_BITS: Final = 64
# What comes before an IPv4 address in the IPv6 address that stands for it (RFC 4291 section 2.5.5.2).
_MAPPED_BITS: Final = 96
# "for=" and a token or a quoted string (RFC 7239 section 4); a hop's other parameters do not matter here.
_FOR: Final = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;"\s]*))', re.IGNORECASE)
# An address with a port, as some proxies write it and RFC 7239 allows: [2001:db8::1]:443, 192.0.2.1:443.
_BRACKETED: Final = re.compile(r"\[([^\]]*)\](?::\w+)?")
_WITH_PORT: Final = re.compile(r"([0-9.]+):\w+")


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read networks separated by commas; a single address is a network, too. Raises :class:`ValueError`."""
    return tuple(_unmapped(ip_network(part.strip())) for part in text.split(",") if part.strip())


def _unmapped(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one stands for, if it does: addresses are compared as such, too."""
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS and network.network_address.ipv4_mapped:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - _MAPPED_BITS))
    return network


def parse_address(text: str) -> Address | None:
    """Read an address, with a port or without; None when it is none, as ``unknown`` or ``_hidden`` are."""
    text = text.strip()
    if match := _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text):
        text = match[1]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket that takes both families shows IPv4 peers like this (RFC 4291 section 2.5.5.2).
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def hops_of(header: Header, values: Iterable[str]) -> list[str]:
    """Return the hops that a header's lines name, the nearest last."""
    elements = [element for value in values for element in value.split(",")]
    if header == "x-forwarded-for":
        return elements
    return [(found[1] or found[2]) if (found := _FOR.search(element)) else "" for element in elements]


def is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    """Tell whether an address is in one of these networks."""
    return any(address in network for network in trusted)


def client_of(peer: Address, hops: Sequence[str], trusted: Sequence[Network]) -> Address:
    """Return the nearest address that is no trusted proxy; the farthest one known when all are."""
    nearest = peer
    for hop in reversed(hops):
        if not is_trusted(nearest, trusted):
            break
        address = parse_address(hop)
        if address is None:
            # A proxy that will not say who asked it answers for them itself.
            break
        nearest = address
    return nearest


def block_of(address: Address) -> str:
    """Return what the limits count as one address: an IPv4 address, or the /64 of an IPv6 one."""
    if isinstance(address, IPv4Address):
        return str(address)
    rest = address.max_prefixlen - _HOUSEHOLD_BITS
    return f"{IPv6Address(int(address) >> rest << rest)}/{_HOUSEHOLD_BITS}"
