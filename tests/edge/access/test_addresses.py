"""Who a client is: nobody becomes somebody else by writing a header."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.addresses import Header, block_of, client_of, hops_of, is_trusted, parse_address, parse_networks

PROXIES = parse_networks("10.0.0.0/8, fd00::/8")
INSIDE = ["10.0.0.1", "10.9.8.7", "fd00::1"]
OUTSIDE = ["192.0.2.1", "198.51.100.7", "2001:db8::1"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:443 ", "192.0.2.1"),
        ("192.0.2.1:_port", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("192.0.2.1, 192.0.2.2", None),
        ("192.0.2.256", None),
    ],
)
def test_an_address_is_read_as_proxies_write_it(text: str, address: str | None) -> None:
    assert parse_address(text) == (None if address is None else ip_address(address))


def test_an_ipv6_address_with_a_scope_is_one() -> None:
    """As a socket names a peer on the same link."""
    address = parse_address("fe80::1%eth0")
    assert address is not None
    assert block_of(address) == "fe80::/64"


@pytest.mark.parametrize(
    ("header", "lines", "hops"),
    [
        ("x-forwarded-for", ["a, b", "c"], ["a", " b", "c"]),
        ("x-forwarded-for", [], []),
        ("forwarded", ["for=192.0.2.1;proto=https, For=10.0.0.1"], ["192.0.2.1", "10.0.0.1"]),
        ("forwarded", ['by=x; for="[2001:db8::1]:80"', "host=h"], ["[2001:db8::1]:80", ""]),
        ("forwarded", ["before=1"], [""]),
    ],
)
def test_hops_are_in_the_order_in_which_proxies_wrote_them(header: Header, lines: list[str], hops: list[str]) -> None:
    assert hops_of(header, lines) == hops


@pytest.mark.parametrize(
    ("peer", "hops", "client"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["8.8.8.8", "203.0.113.9", "10.1.1.1"], "203.0.113.9"),
        ("10.0.0.1", ["fd00::7", "10.1.1.1"], "fd00::7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9", "unknown"], "10.0.0.1"),
        ("10.0.0.1", ["unknown", "10.1.1.1"], "10.1.1.1"),
    ],
)
def test_the_rightmost_hop_that_is_not_trusted_is_the_client(peer: str, hops: list[str], client: str) -> None:
    assert client_of(ip_address(peer), hops, PROXIES) == ip_address(client)


@given(forged=st.lists(st.sampled_from([*INSIDE, *OUTSIDE, "unknown", ""])), chain=st.lists(st.sampled_from(INSIDE)))
@settings(deadline=None)  # no test asserts a speed
def test_what_a_client_writes_changes_nothing(forged: list[str], chain: list[str]) -> None:
    """Its own address was appended by the first proxy, and each proxy's by the next one."""
    hops = [*forged, "192.0.2.1", *chain]
    assert client_of(ip_address("10.0.0.1"), hops, PROXIES) == ip_address("192.0.2.1")


@given(hops=st.lists(st.text()))
@settings(deadline=None)  # no test asserts a speed
def test_a_peer_that_is_not_trusted_is_the_client_whatever_it_says(hops: list[str]) -> None:
    assert client_of(ip_address("192.0.2.1"), hops, PROXIES) == ip_address("192.0.2.1")


def test_networks_are_separated_by_commas_and_may_be_single_addresses() -> None:
    trusted = parse_networks("10.0.0.0/8,, 192.0.2.1 ")
    assert [is_trusted(ip_address(each), trusted) for each in ("10.1.2.3", "192.0.2.1", "192.0.2.2", "::1")] == [
        True,
        True,
        False,
        False,
    ]


def test_an_ipv6_address_counts_with_its_neighbours() -> None:
    """A household or a rented machine has a whole /64 (RFC 6177); IPv4 addresses count one by one."""
    blocks = [block_of(ip_address(each)) for each in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::", "2001:db8:0:2::1")]
    assert blocks == ["2001:db8:0:1::/64", "2001:db8:0:1::/64", "2001:db8:0:2::/64"]
    assert block_of(ip_address("192.0.2.1")) == "192.0.2.1"


def test_an_ipv6_network_of_mapped_addresses_is_the_ipv4_network() -> None:
    """A socket of both families shows IPv4 peers so, and they are compared as what they are."""
    assert parse_networks("::ffff:10.0.0.0/104, ::ffff:192.0.2.1") == parse_networks("10.0.0.0/8, 192.0.2.1")
    assert parse_networks("::/0, fd00::/8") != parse_networks("0.0.0.0/0, fd00::/8")
