"""The site audit through the real gateway: the record says what it says straight out; refusals are ours.

Where a record may differ, it stands in `RESET` with its reason; nothing else may, but for times.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from glovebox.farm.identities import PKI_HOST
from glovebox.farm.running import Farm, running_farm
from glovebox.farm.traits import TRAITS
from glovebox.siteaudit import gateway as connecting
from glovebox.siteaudit.connect import ConnectError, Endpoint
from glovebox.siteaudit.direct import direct_network
from glovebox.siteaudit.engine import audit_sites
from glovebox.siteaudit.gateway import GatewayConnector
from glovebox.siteaudit.loop import audit_runner
from glovebox.siteaudit.network import Network, given_network
from glovebox.siteaudit.record import SiteRecord
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings
from glovebox.tickets.proxy import ProxyTicket
from squid.render import render
from squid.settings import PRIVATE_DESTINATIONS
from tests.perimeter.gateway import Gateway, running_gateway, site_claims

pytestmark = pytest.mark.squid

DATE = "2026-01-02T03:04:05Z"
TIMES = frozenset({"auditedAt", "durationMs", "requestTime", "date", "Date"})
"""Fields that say when, and headers that servers fill with the time."""
RESET = {
    "reset-on-accept.fleet.test",
    "reset-on-hello.fleet.test",
    "reset-in-handshake.fleet.test",
}
"""Sites that reset connections: Squid ends a tunnel in one way only, so they are seen as closing them."""
COUNTING = ("rate-limited.fleet.test",)
"""Hosts that slow down whoever comes often: the second audit of them waits for the first."""
CLOSED = {"tls": "tls_connection_closed", "http": "http_connection_closed"}

Records = Mapping[str, SiteRecord]


@dataclass(frozen=True)
class Both:
    """The fleet's records, straight out and through the gateway."""

    direct: Records
    tunnelled: Records


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    with running_farm() as running:
        yield running


@pytest.fixture(scope="module")
def open_gateway(gateway_image: None, farm: Farm) -> Iterator[Gateway]:
    """Lets all of loopback through, and gives a site as long to accept as the fleet's settings do."""
    with running_gateway(
        private_destinations=("169.254.0.0/16",), connect_seconds=round(farm.settings.connect_timeout)
    ) as running:
        yield running


def colon(ticket: ProxyTicket) -> str:
    return f"{ticket.user}:{ticket.password}"


@pytest.fixture(scope="module")
def both(farm: Farm, open_gateway: Gateway) -> Both:
    """Side by side, as most of the time goes on hosts that wait; one after the other where a host counts."""
    with audit_runner() as runner:
        return runner.run(_audit_twice(farm, open_gateway))


async def _audit_twice(farm: Farm, gateway: Gateway) -> Both:
    async with direct_network(farm.settings) as network:
        known = {host: await network.resolve(host) for host in (*farm.hosts, PKI_HOST)}
        tunnelled = _tunnelled(farm, gateway, known)
        others = [host for host in farm.hosts if host not in COUNTING]
        direct, through = await asyncio.gather(
            _audit(farm, network, farm.hosts), _audit(farm, tunnelled, others)
        )
        return Both(direct, through | await _audit(farm, tunnelled, COUNTING))


def _tunnelled(farm: Farm, gateway: Gateway, known: Mapping[str, Resolution]) -> Network:
    ports = [farm.settings.http_port, farm.settings.https_port]
    tickets = {
        host: colon(gateway.signer.sign(site_claims(resolution.dns.addresses, host=host, ports=ports)))
        for host, resolution in known.items()
        if resolution.dns.addresses
    }
    connector = GatewayConnector(farm.settings, f"{gateway.places.gateway}:3129", tickets)
    return given_network(connector, known, ports=frozenset(ports))


async def _audit(farm: Farm, network: Network, hosts: Sequence[str]) -> dict[str, SiteRecord]:
    records = audit_sites(hosts, scan_date=DATE, settings=farm.settings, network=network)
    return {record.fqdn: record async for record in records}


def fields(record: SiteRecord) -> dict[str, Any]:
    """Every field by its path, but for times and for the words of a connection that came too late."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            # Straight out, we tell of a late connection in other words than the system does.
            words = {"detail"} if value.get("failureClass") == "connect_timeout" else set()
            for key, each in value.items():
                if key not in TIMES | words:
                    yield from walk(each, f"{path}.{key}")
        elif isinstance(value, list):
            yield f"{path} has", len(value)
            for number, each in enumerate(value):
                yield from walk(each, f"{path}[{number}]")
        else:
            yield path, value

    return dict(walk(msgspec.to_builtins(record), ""))


def differing(both: Both, host: str) -> dict[str, tuple[Any, Any]]:
    direct, tunnelled = fields(both.direct[host]), fields(both.tunnelled[host])
    return {
        path: (direct.get(path), tunnelled.get(path))
        for path in sorted({*direct, *tunnelled})
        if direct.get(path) != tunnelled.get(path)
    }


@pytest.mark.parametrize("host", sorted({trait.host for trait in TRAITS} - RESET))
def test_the_record_is_the_one_of_an_audit_straight_out(host: str, both: Both) -> None:
    if host not in both.direct:
        pytest.skip("this machine has no IPv6 loopback")
    assert differing(both, host) == {}


@pytest.mark.parametrize("host", sorted(RESET))
def test_a_reset_is_seen_as_a_close_and_changes_nothing_else(host: str, both: Both) -> None:
    differences = differing(both, host)
    classes = {pair for path, pair in differences.items() if path.endswith("failureClass")}
    assert classes <= {("connection_reset", seen) for seen in CLOSED.values()}
    assert classes
    told = ("failureClass", "stage", "fix", "detail")
    assert [path for path in differences if not path.endswith(told)] == []


def test_every_host_was_audited_and_nothing_was_our_fault(farm: Farm, both: Both) -> None:
    assert set(both.tunnelled) == set(farm.hosts)
    ours = [
        (record.fqdn, failure.failure_class, failure.detail)
        for record in both.tunnelled.values()
        for failure in record.failures
        if failure.fault == "ours"
    ]
    assert ours == []


def test_every_connection_was_a_tunnel_in_the_ledger(farm: Farm, both: Both, open_gateway: Gateway) -> None:
    """With the scan's name: the fleet's 117 hosts asked nobody else, and nothing was refused."""
    opened = sum(record.connections for record in both.tunnelled.values())
    lines = [line for line in open_gateway.ledger() if line["listener"] == "3129" and line["scan"] != "-"]
    assert opened > 1_000
    assert len([line for line in lines if line["reason"] == "allowed"]) >= opened
    assert {line["scan"] for line in lines} == {"scan-under-test"}


# ---------------------------------------------------------------- one tunnel


class _Nothing(asyncio.Protocol):
    pass


def outcome(
    gateway: Gateway,
    ticket: str,
    address: str,
    port: int,
    *,
    settings: AuditSettings | None = None,
    proxy: str = "",
) -> tuple[str, str]:
    """The class and detail with which one connection through the gateway fails; empty for none."""

    async def connect() -> tuple[str, str]:
        connector = GatewayConnector(
            settings or AuditSettings(), proxy or f"{gateway.places.gateway}:3129", {"www.site.test": ticket}
        )
        try:
            async with connector.connection(_Nothing, Endpoint("www.site.test", address, port)):
                return "", ""
        except ConnectError as error:
            return error.failure_class, error.detail

    return asyncio.run(connect())


def ticket_for(gateway: Gateway, address: str, port: int, **changes: Any) -> str:
    return colon(gateway.signer.sign(site_claims([address], ports=[port], **changes)))


@pytest.fixture(scope="module")
def closed(open_gateway: Gateway) -> Iterator[tuple[str, int]]:
    """An address and port at which nobody listens, and nobody else will."""
    with socket.socket() as bound:
        bound.bind((open_gateway.places.evil, 0))
        yield bound.getsockname()


def test_a_site_that_refuses_is_told_from_a_gateway_that_does(
    open_gateway: Gateway, closed: tuple[str, int]
) -> None:
    ticket = ticket_for(open_gateway, *closed)
    assert outcome(open_gateway, ticket, *closed) == ("connection_refused", "[Errno 111] Connection refused")


def test_a_site_that_drops_packets_is_late_before_we_give_the_gateway_up(open_gateway: Gateway) -> None:
    with socket.socket() as full, socket.socket() as first:
        full.bind((open_gateway.places.evil, 0))
        full.listen(0)
        first.setblocking(False)
        first.connect_ex(full.getsockname())
        where = full.getsockname()
        failure_class, _ = outcome(open_gateway, ticket_for(open_gateway, *where), *where)
    assert failure_class == "connect_timeout"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"addresses": ["192.0.2.1"]}, "judge foreign_address"),
        ({"ports": [9]}, "judge foreign_port"),
        ({"iat": -900, "nbf": -900, "exp": -60}, "ticket ticket_expired"),
    ],
    ids=["another host's", "another port's", "expired"],
)
def test_a_ticket_for_something_else_opens_nothing(
    open_gateway: Gateway, closed: tuple[str, int], changes: dict[str, Any], word: str
) -> None:
    now = int(time.time())
    timed = {name: now + value if isinstance(value, int) else value for name, value in changes.items()}
    claims = msgspec.structs.replace(site_claims([closed[0]], ports=[closed[1]]), **timed)
    failure_class, detail = outcome(open_gateway, colon(open_gateway.signer.sign(claims)), *closed)
    assert failure_class == "egress_denied"
    assert word in detail


def test_a_ticket_signed_by_another_opens_nothing(open_gateway: Gateway, closed: tuple[str, int]) -> None:
    user, _, signature = ticket_for(open_gateway, *closed).partition(":")
    forged = f"{user}:{signature[::-1].swapcase()}"
    failure_class, detail = outcome(open_gateway, forged, *closed)
    assert failure_class == "egress_denied"
    assert "ticket" in detail


def test_a_private_address_opens_nothing_whatever_the_ticket_says(gateway: Gateway) -> None:
    where = gateway.places.private, 443
    failure_class, detail = outcome(gateway, ticket_for(gateway, *where), *where)
    assert (failure_class, "private" in detail) == ("egress_denied", True)


def test_too_many_connections_of_one_client_are_refused_as_ours(gateway: Gateway) -> None:
    where = gateway.places.origin, 443
    try:
        gateway.reload(replace(gateway.settings, client_connections=1))
        with socket.create_connection((gateway.places.gateway, 3129)):
            failure_class, _ = outcome(gateway, ticket_for(gateway, *where), *where)
    finally:
        gateway.settle()
    assert failure_class in ("egress_denied", "proxy_error")


def test_a_gateway_that_is_down_is_our_fault(open_gateway: Gateway, closed: tuple[str, int]) -> None:
    ticket = ticket_for(open_gateway, *closed)
    down = f"{closed[0]}:{closed[1]}"
    assert outcome(open_gateway, ticket, *closed, proxy=down)[0] == "proxy_error"


def test_a_gateway_that_hangs_is_our_fault(
    gateway_image: None, closed: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its judge takes questions and never answers."""
    monkeypatch.setattr(connecting, "GRACE_SECONDS", 0.5)
    with running_gateway(judge_command=("/usr/bin/tail", "-f", "/dev/null")) as hanging:
        ticket = ticket_for(hanging, *closed)
        failure_class, detail = outcome(hanging, ticket, *closed, settings=AuditSettings(connect_timeout=0.5))
    assert (failure_class, detail) == ("proxy_error", "the gateway said nothing within 1 s")


# ---------------------------------------------------------------- the setting for test networks


def test_a_configuration_that_lets_private_destinations_through_says_so_at_its_head(gateway: Gateway) -> None:
    assert "TEST NETWORK" in render(gateway.settings).splitlines()[0]
    usual = replace(gateway.settings, private_destinations=PRIVATE_DESTINATIONS)
    assert "TEST NETWORK" not in render(usual)
