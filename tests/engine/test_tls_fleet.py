"""On every host of the fleet the prober finds what the host was set up with (under uvloop, as in use)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_network

import msgspec
import pytest
import uvloop

from glovebox.farm.fleet import NETWORK
from glovebox.farm.model import Plain, Trait
from glovebox.farm.running import Farm, running_farm
from glovebox.farm.traits import TRAITS, handshakes, suites
from glovebox.siteaudit.connect import DirectConnector, Endpoint
from glovebox.siteaudit.tls.observation import TlsObservation
from glovebox.siteaudit.tls.probe import probe_tls

pytestmark = pytest.mark.engine

HOSTS = [*suites.TRAITS, *handshakes.TRAITS]
SPEAKING = [trait for trait in HOSTS if not isinstance(trait.https, Plain)]
"""Hosts with a TLS server somewhere behind port 443."""


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    with running_farm(only=[trait.name for trait in HOSTS]) as running:
        yield running


def _address(farm: Farm, trait: Trait) -> str:
    """Addresses are given out in order."""
    present = [host for host in TRAITS if host.host in farm.hosts and host.dns is None]
    first = int(ip_network(NETWORK).network_address) + 0x101
    return socket.inet_ntoa((first + present.index(trait)).to_bytes(4, "big"))


def _probe(farm: Farm, trait: Trait) -> tuple[TlsObservation, int]:
    settings = msgspec.structs.replace(farm.settings, handshake_timeout=1.5)
    connector = DirectConnector(settings)
    endpoint = Endpoint(trait.host, _address(farm, trait), settings.https_port)
    observation = uvloop.run(probe_tls(endpoint, connector=connector, settings=settings))
    return observation, connector.count(trait.host)


@pytest.mark.parametrize("trait", SPEAKING, ids=lambda trait: trait.name)
def test_versions_suites_groups_and_orders_are_exact(farm: Farm, trait: Trait) -> None:
    observation, connections = _probe(farm, trait)
    report, expects = observation.report, trait.expects
    if trait.name == "reset-in-handshake":
        assert observation.failure is not None
        assert observation.failure.failure_class == "connection_reset"
        return
    supported = [version for version in report.versions if version.supported == "yes"]
    if expects.suites is not None:
        found = {version.version: frozenset(suite.name for suite in version.suites) for version in supported}
        assert found == dict(expects.suites)
    if expects.groups is not None:
        assert frozenset(report.groups) == expects.groups
    if expects.key_exchanges is not None:
        assert {
            suite.key_exchange for version in supported for suite in version.suites
        } == expects.key_exchanges
    if expects.server_preference is not None:
        assert {version.server_preference for version in supported} == {expects.server_preference}
    assert report.client_certificate == (expects.client_certificate or "none")
    assert report.rate_limited == bool(expects.rate_limited)
    assert report.complete
    assert observation.chain
    if expects.failure == "no_common_version":
        assert observation.failure is not None
        assert observation.usable_versions == ()
    else:
        assert observation.failure is None
        assert observation.usable_versions
    if trait.name in {"modern", "intermediate", "client-order", "needs-name"}:
        assert connections <= 16


@pytest.mark.parametrize(
    "trait", [host for host in HOSTS if host not in SPEAKING], ids=lambda trait: trait.name
)
def test_a_host_without_tls_gets_its_failure_class_and_no_false_answers(farm: Farm, trait: Trait) -> None:
    observation, connections = _probe(farm, trait)
    assert observation.failure is not None
    assert observation.failure.failure_class == trait.expects.failure
    assert observation.failure.detail
    assert not observation.report.complete
    assert observation.chain == ()
    assert {version.supported for version in observation.report.versions} <= {"unknown", "no"}
    assert connections <= 8


def test_the_question_without_a_name_tells_whether_the_name_is_needed(farm: Farm) -> None:
    by_name = {trait.name: trait for trait in HOSTS}
    assert _probe(farm, by_name["needs-name"])[0].report.sni == "needed"
    assert _probe(farm, by_name["intermediate"])[0].report.sni == "not_needed"
