"""The public-address rule: what an audit may connect to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.errors import ConfigurationError, RefusedError
from glovebox.siteaudit.addresses import public_address

REFUSED = [
    "0.0.0.0",  # noqa: S104  # refused, not bound
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "100::1",
    "2001:db8::1",
    "3fff::1",
    "2001:2::1",
    "2001:10::1",
    "5f00::1",
    "4000::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:93.184.215.14",
    "::10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::10.0.0.1",
    "2002:a00:1::1",
    "2002:808:808::1",
    "2002:7f00:1::",
    "2001:0:a00:1::1",
    "2001:0:102:304::f5ff:fffe",
    "2a00:1450::200:5efe:a00:1",
    "2a00:1450::5efe:7f00:1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "169.253.255.255",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001:82a::200e",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_outside_the_public_internet_is_refused(address: str) -> None:
    with pytest.raises(RefusedError):
        public_address(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes_and_is_parsed(address: str) -> None:
    assert public_address(address) == ip_address(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "0x7f000001", "1.2.3.4/32", "fe80::1%eth0", "1.1.1.1\n"]
)
def test_what_is_not_plainly_an_address_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        public_address(text)


def test_an_allowed_network_lets_its_own_addresses_through_and_no_others() -> None:
    allowed = ["127.0.0.0/8", "::1/128"]
    assert public_address("127.0.0.9", allowed) == IPv4Address("127.0.0.9")
    assert public_address("::1", allowed) == IPv6Address("::1")
    for other in ("10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"):
        with pytest.raises(RefusedError):
            public_address(other, allowed)


def test_a_broken_allowed_network_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        public_address("8.8.8.8", ["127.0.0.1/8"])


@given(st.integers(0, 2**32 - 1))
def test_no_embedding_passes_where_the_ipv4_address_itself_is_refused(number: int) -> None:
    inner = IPv4Address(number)
    try:
        public_address(str(inner))
    except RefusedError:
        for outer in (
            number | 0xFFFF << 32,
            number | 0x64FF9B << 96,
            number << 80 | 0x2002 << 112,
            number << 64 | 0x20010000 << 96,
        ):
            with pytest.raises(RefusedError):
                public_address(str(IPv6Address(outer)))


@given(st.ip_addresses())
def test_whatever_passes_is_global_by_the_standard_library_too(address: IPv4Address | IPv6Address) -> None:
    try:
        public_address(str(address))
    except RefusedError:
        return
    assert address.is_global or str(address).startswith("64:ff9b:")
