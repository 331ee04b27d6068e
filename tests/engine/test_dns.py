"""The resolver against a real name server on loopback, over UDP and TCP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from glovebox.farm.dns import Answer, NameServer, Rcode, serving_names
from glovebox.siteaudit.dns import MAX_ADDRESSES, Resolver
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings

pytestmark = pytest.mark.engine

MANY = tuple(f"11.0.{n // 256}.{n % 256}" for n in range(1, 60))
ZONE = {
    "both.test": Answer(addresses=("11.0.0.1", "2606:4700::1")),
    "v4.test": Answer(addresses=("11.0.0.1", "11.0.0.2", "11.0.0.1")),
    "v6.test": Answer(addresses=("2606:4700::1",)),
    "alias.test": Answer(alias="step.test"),
    "step.test": Answer(alias="both.test"),
    "loop.test": Answer(alias="pool.test"),
    "pool.test": Answer(alias="loop.test"),
    "dangling.test": Answer(alias="nowhere.test"),
    "empty.test": Answer(),
    "servfail.test": Answer(rcode=Rcode.SERVFAIL),
    "refused.test": Answer(rcode=Rcode.REFUSED),
    "formerr.test": Answer(rcode=Rcode.FORMERR),
    "silent.test": Answer(silent=True),
    "inside.test": Answer(addresses=("10.1.2.3", "fd00::1")),
    "metadata.test": Answer(addresses=("169.254.169.254",)),
    "mixed.test": Answer(addresses=("10.1.2.3", "11.0.0.1", "::ffff:169.254.169.254")),
    "halfinside.test": Answer(addresses=("127.0.0.1", "2606:4700::1")),
    "many.test": Answer(addresses=MANY),
    "loopback.test": Answer(addresses=("127.0.0.1",)),
}


@pytest.fixture
async def resolver() -> AsyncIterator[Resolver]:
    async with (
        serving_names(ZONE) as address,
        Resolver(AuditSettings(resolver=address, dns_timeout=0.6)) as resolver,
    ):
        yield resolver


class _Ipv4Only(asyncio.DatagramProtocol):
    """Answers questions for A and swallows those for AAAA."""

    def __init__(self) -> None:
        self._server = NameServer({"half.test": Answer(addresses=("11.0.0.9",))})
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.reply(data)
        if b"\x04test\x00\x00\x01" in data and reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


@asynccontextmanager
async def _serving_ipv4_only() -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Ipv4Only, ("127.0.0.1", 0))
    yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    transport.close()


async def _class_of(resolver: Resolver, name: str) -> str | None:
    resolution = await resolver.resolve(name)
    assert bool(resolution.failure) != bool(resolution.dns.addresses)
    return resolution.failure and resolution.failure.failure_class


async def test_both_families_are_found_ipv4_first(resolver: Resolver) -> None:
    resolution = await resolver.resolve("both.test")
    assert resolution.dns.addresses == ["11.0.0.1", "2606:4700::1"]
    assert (resolution.dns.ipv4, resolution.dns.ipv6) == ("yes", "yes")
    assert resolution == Resolution(dns=resolution.dns)


async def test_an_absent_family_is_no_and_repeated_addresses_count_once(resolver: Resolver) -> None:
    resolution = await resolver.resolve("v4.test")
    assert resolution.dns.addresses == ["11.0.0.1", "11.0.0.2"]
    assert (resolution.dns.ipv4, resolution.dns.ipv6) == ("yes", "no")
    assert (await resolver.resolve("v6.test")).dns.ipv4 == "no"


async def test_the_chain_of_aliases_is_recorded_in_order(resolver: Resolver) -> None:
    assert (await resolver.resolve("alias.test")).dns.cnames == ["step.test", "both.test"]


@pytest.mark.parametrize(
    ("name", "failure_class"),
    [
        ("nowhere.test", "nxdomain"),
        ("empty.test", "no_address"),
        ("loop.test", "no_address"),
        ("servfail.test", "servfail"),
        ("formerr.test", "servfail"),
        ("refused.test", "dns_refused"),
        ("silent.test", "dns_timeout"),
        ("inside.test", "private_address"),
        ("metadata.test", "private_address"),
        ("x" * 64 + ".test", "nxdomain"),
        ("a..b.test", "nxdomain"),
    ],
)
async def test_each_failure_has_its_class(resolver: Resolver, name: str, failure_class: str) -> None:
    assert await _class_of(resolver, name) == failure_class


async def test_a_loop_of_aliases_is_named_in_the_detail(resolver: Resolver) -> None:
    failure = (await resolver.resolve("loop.test")).failure
    assert failure is not None
    assert "pool.test" in failure.detail


async def test_private_addresses_beside_public_ones_are_left_out_and_said(resolver: Resolver) -> None:
    resolution = await resolver.resolve("mixed.test")
    assert resolution.dns.addresses == ["11.0.0.1"]
    assert resolution.failure is None
    assert [warning.failure_class for warning in resolution.warnings] == ["private_address"]
    assert "10.1.2.3" in resolution.warnings[0].detail
    mapped = str(ip_address("::ffff:169.254.169.254"))  # Python 3.13 writes it otherwise than 3.11 and 3.12
    assert mapped in resolution.warnings[0].detail


async def test_a_family_of_private_addresses_alone_cannot_be_audited(resolver: Resolver) -> None:
    resolution = await resolver.resolve("halfinside.test")
    assert (resolution.dns.ipv4, resolution.dns.ipv6) == ("no", "yes")


async def test_an_answer_too_long_for_udp_comes_over_tcp_and_is_capped(resolver: Resolver) -> None:
    assert (await resolver.resolve("many.test")).dns.addresses == list(MANY[:MAX_ADDRESSES])


async def test_one_family_may_fail_alone() -> None:
    async with (
        _serving_ipv4_only() as address,
        Resolver(AuditSettings(resolver=address, dns_timeout=0.6)) as resolver,
    ):
        resolution = await resolver.resolve("half.test")
    assert resolution.dns.addresses == ["11.0.0.9"]
    assert (resolution.dns.ipv4, resolution.dns.ipv6) == ("yes", "unknown")
    assert resolution.failure is None


async def test_a_name_server_that_is_not_there_is_our_own_fault() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with Resolver(AuditSettings(resolver=f"127.0.0.1:{port}", dns_timeout=0.6)) as resolver:
        failure = (await resolver.resolve("any.test")).failure
    assert failure is not None
    assert (failure.failure_class, failure.fault) == ("resolver_unreachable", "ours")


async def test_an_allowed_network_admits_a_fleet_on_loopback() -> None:
    async with serving_names(ZONE) as address:
        settings = AuditSettings(resolver=address, allowed_networks=["127.0.0.0/8"])
        async with Resolver(settings) as resolver:
            assert (await resolver.resolve("loopback.test")).dns.addresses == ["127.0.0.1"]
