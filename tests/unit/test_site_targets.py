"""What an attempt may reach: tickets for public addresses alone, and what happens where DNS or key fail."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_network

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.errors import RefusedError, UpstreamError
from glovebox.scans.model import (
    MAX_ISSUERS,
    MAX_REQUEST_BYTES,
    MAX_SHARD_HOSTS,
    MAX_TICKET,
    ScanState,
    SiteScanRequest,
    SiteTarget,
)
from glovebox.scans.state import Scan
from glovebox.services.attempts import MAX_ATTEMPT_SECONDS
from glovebox.services.site_targets import Reach, SiteTargets, ipv4_only
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import MAX_TEXT, MAX_WORD, Dns
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings
from glovebox.tickets.claims import MAX_SITE_LIFETIME, SiteClaims
from tests.fakes import PUBLIC_ADDRESS, FakeClock, FakeNames, FakeTicketKey
from tests.flow import Flow
from tests.tickets import KEYS

CLOCK = FakeClock()
NOW = int(CLOCK().timestamp())
HOST, ISSUER = "www.example.com", "issuer.example.com"
NEVER = Resolution(dns=Dns(), failure=make_failure("dns_timeout", "no answer", "dns"))
DEAF = Resolution(dns=Dns(), failure=make_failure("resolver_unreachable", "refused", "dns"))


def found(*addresses: str, **changes: object) -> Resolution:
    dns = Dns(addresses=list(addresses), ipv4="yes", ipv6="yes")
    return msgspec.structs.replace(Resolution(dns=dns), **changes)


def scan_of(*hosts: str, shard: int = 0, attempt: int = 1) -> Scan:
    moment = "2026-03-04T05:06:07Z"
    return Scan(
        scan_id=f"20260304T050607Z-0badcafe-{shard:04d}",
        state=ScanState.LAUNCHING,
        attempt=attempt,
        hosts=hosts or (HOST,),
        requested_at=moment,
        changed_at=moment,
        attempt_since=moment,
        deadline=NOW + MAX_ATTEMPT_SECONDS,
    )


TARGETS = SiteTargets(
    names=FakeNames(),
    key=FakeTicketKey(),
    gateways=("10.43.0.10:3129", "10.43.0.26:3129"),
    ipv6=False,
    issuers=(ISSUER,),
    audit=AuditSettings(),
)


def reach(answers: dict[str, Resolution] | None = None, /, **changes: object) -> Reach:
    """Where a scan of `HOST` may go."""
    targets = replace(TARGETS, names=FakeNames(answers or {}), **changes)  # type: ignore[arg-type]
    return targets.of(scan_of(), CLOCK())


def claims_of(target: SiteTarget, now: int = NOW) -> SiteClaims:
    """What the gateway reads out of the ticket."""
    claims = KEYS.verify(*target.ticket.split(":"), now=now)
    assert isinstance(claims, SiteClaims)
    return claims


def test_a_ticket_opens_the_gateway_to_one_host_s_addresses_until_the_deadline() -> None:
    [target] = reach({HOST: found("11.0.0.1", "11.0.0.2")}).targets
    claims = claims_of(target)
    assert (claims.host, claims.addresses, claims.ports) == (HOST, ["11.0.0.1", "11.0.0.2"], [80, 443])
    assert (claims.iat, claims.nbf, claims.exp) == (NOW, NOW, NOW + MAX_ATTEMPT_SECONDS)
    assert claims.scan == scan_of().scan_id


def test_ports_are_those_of_the_settings_and_of_authorities_the_usual_ones() -> None:
    audit = AuditSettings(http_port=8080, https_port=8443, extra_issuers=["pki.example.com"])
    there = reach(audit=audit)
    assert claims_of(there.targets[0]).ports == [8080, 8443]
    assert claims_of(there.issuers[0]).ports == [80, 443]
    assert there.issuers[1].host == "pki.example.com"
    assert claims_of(there.issuers[1]).ports == [8080, 8443], "of a fleet of our own"


def test_hosts_and_authorities_are_asked_about_together_and_once() -> None:
    names = FakeNames()
    there = replace(TARGETS, names=names, issuers=(ISSUER, HOST)).of(scan_of(HOST, "b.example.com"), CLOCK())
    assert names.asked == [(HOST, "b.example.com", ISSUER)]
    assert [target.host for target in there.targets] == [HOST, "b.example.com"]
    assert [target.host for target in there.issuers] == [ISSUER, HOST]


@pytest.mark.parametrize("failure", ["nxdomain", "private_address", "servfail", "dns_timeout"])
def test_a_name_without_a_public_address_gets_no_ticket_and_keeps_its_reason(failure: str) -> None:
    answer = Resolution(dns=Dns(), failure=make_failure(failure, "said", "dns"))
    [target] = reach({HOST: answer}).targets
    assert (target.ticket, target.resolution) == ("", answer)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "169.254.169.254", "127.0.0.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
)
def test_nothing_private_is_signed_whoever_resolved_it(address: str) -> None:
    with pytest.raises(RefusedError):
        reach({HOST: found(PUBLIC_ADDRESS, address)}, ipv6=True)


@given(st.ip_addresses(v=4))
def test_an_address_is_signed_or_refused_and_never_a_private_one(address: IPv4Address) -> None:
    private = [
        ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
    ]
    try:
        [target] = reach({HOST: found(str(address))}).targets
    except RefusedError:
        return
    assert claims_of(target).addresses == [str(address)]
    assert not any(address in network for network in private)


def test_a_fleet_of_one_s_own_is_signed_where_the_settings_allow_its_network() -> None:
    there = reach({HOST: found("127.1.2.3")}, audit=AuditSettings(allowed_networks=["127.0.0.0/8"]))
    assert claims_of(there.targets[0]).addresses == ["127.1.2.3"]


def test_without_ipv6_a_site_is_reached_over_ipv4_and_nothing_is_said_of_its_ipv6() -> None:
    [target] = reach({HOST: found("11.0.0.1", "2606:4700::1")}).targets
    assert target.resolution.dns.addresses == claims_of(target).addresses == ["11.0.0.1"]
    assert (target.resolution.dns.ipv4, target.resolution.dns.ipv6) == ("yes", "unknown")
    assert target.resolution.failure is None


def test_without_ipv6_a_site_that_has_nothing_else_is_our_shortcoming_and_not_down() -> None:
    [target] = reach({HOST: found("2606:4700::1")}).targets
    failure = target.resolution.failure
    assert target.ticket == ""
    assert failure is not None
    assert (failure.failure_class, failure.fault) == ("ipv6_only", "ours")


def test_a_site_without_ipv6_is_still_said_to_have_none() -> None:
    answer = Resolution(dns=Dns(addresses=["11.0.0.1"], ipv4="yes", ipv6="no"))
    assert ipv4_only(answer) == answer


def test_with_ipv6_both_families_are_signed() -> None:
    [target] = reach({HOST: found("11.0.0.1", "2606:4700::1")}, ipv6=True).targets
    assert claims_of(target).addresses == ["11.0.0.1", "2606:4700::1"]


def test_without_a_gateway_nothing_is_signed_and_no_key_is_asked_for() -> None:
    there = reach(gateways=(), key=FakeTicketKey(UpstreamError("no key")))
    assert (there.gateway, there.targets[0].ticket) == ("", "")
    assert there.targets[0].resolution.dns.addresses == [PUBLIC_ADDRESS]


def test_shards_take_turns_and_a_retry_goes_the_other_way() -> None:
    ways = {
        (shard, attempt): TARGETS.of(scan_of(shard=shard, attempt=attempt), CLOCK()).gateway
        for shard in (0, 1, 2)
        for attempt in (1, 2)
    }
    one, other = TARGETS.gateways
    assert [ways[shard, 1] for shard in (0, 1, 2)] == [one, other, one]
    assert all(ways[shard, 1] != ways[shard, 2] for shard in (0, 1, 2))


# ---------------------------------------------------------------- a dead resolver, a missing key


def test_a_resolver_that_refuses_everything_keeps_the_attempt_waiting() -> None:
    flow = Flow(issuers=())
    flow.names.answers = {HOST: DEAF}
    [scan] = flow.store.scans(flow.start(HOST))
    assert (scan.state, scan.attempt, scan.launches) == (ScanState.REQUESTED, 1, 1)
    assert "resolver is dead" in str(scan.reason)
    assert flow.tasks.orders == []
    flow.names.answers = {}
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 1}})
    assert len(flow.tasks.orders) == 1


def test_silence_about_authorities_as_well_is_the_resolver_s() -> None:
    with pytest.raises(UpstreamError, match="dead"):
        reach({HOST: NEVER, ISSUER: NEVER})


@pytest.mark.parametrize("answer", [NEVER, DEAF])
def test_silence_about_the_sites_alone_is_theirs(answer: Resolution) -> None:
    [target] = reach({HOST: answer}).targets
    assert target.resolution == answer


def test_without_a_key_the_attempt_waits_for_one() -> None:
    flow = Flow(key=FakeTicketKey(UpstreamError("no key yet")))
    [scan] = flow.store.scans(flow.start(HOST))
    assert (scan.state, scan.reason) == (ScanState.REQUESTED, "no key yet")


# ---------------------------------------------------------------- bounds


def _long_host(number: int) -> str:
    return f"{number:03d}{'a' * 60}.{'b' * 63}.{'c' * 63}.{'d' * 61}"


LONG = tuple(f"2606:4700:1111:2222:3333:4444:5555:{number:04x}" for number in range(0x1000, 0x1010))
assert len(_long_host(0)) == 253


def test_the_longest_host_with_the_most_and_longest_addresses_has_a_ticket_that_gateways_take() -> None:
    host = _long_host(0)
    targets = replace(TARGETS, names=FakeNames({host: found(*LONG)}), ipv6=True)
    [target] = targets.of(scan_of(host), CLOCK()).targets
    assert claims_of(target).addresses == list(LONG)
    assert len(target.ticket) <= MAX_TICKET


def test_more_addresses_than_a_ticket_holds_leave_the_first_ones() -> None:
    many = [f"11.0.0.{number}" for number in range(1, 33)]
    [target] = reach({HOST: found(*many)}).targets
    assert claims_of(target).addresses == target.resolution.dns.addresses == many[:16]


def test_the_longest_lifetime_is_the_longest_attempt() -> None:
    assert MAX_ATTEMPT_SECONDS <= MAX_SITE_LIFETIME


def test_a_request_about_the_most_talkative_names_can_be_read() -> None:
    said = make_failure("private_address", "x" * MAX_TEXT, "dns")
    dns = Dns(addresses=list(LONG) * 2, cnames=["a" * (MAX_WORD - 1)] * 32)
    target = SiteTarget(
        host=_long_host(0), resolution=Resolution(dns=dns, warnings=(said,)), ticket="t" * MAX_TICKET
    )
    request = SiteScanRequest(
        scan_id=scan_of().scan_id,
        attempt=1,
        scan_date="2026-03-04T05:06:07Z",
        targets=[target] * MAX_SHARD_HOSTS,
        issuers=[target] * MAX_ISSUERS,
        settings=AuditSettings(extra_roots="r" * (1 << 20)),
    )
    body = msgspec.json.encode(request)
    assert len(body) <= MAX_REQUEST_BYTES
    assert msgspec.json.decode(body, type=SiteScanRequest) == request


def test_the_request_carries_what_was_found() -> None:
    flow = Flow()
    [scan] = flow.store.scans(flow.start(HOST))
    request = flow.request(scan.scan_id)
    assert [target.host for target in request.targets] == [HOST]
    assert claims_of(request.targets[0]).scan == scan.scan_id
    assert request.gateway == flow.gateways[0]


def test_a_retry_is_signed_anew_for_what_is_missing() -> None:
    flow = Flow()
    [scan] = flow.store.scans(flow.start(HOST, "b.example.com"))
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=None))
    flow.clock.pass_seconds(120)
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
    request = flow.request(scan.scan_id, 2)
    assert request.gateway == flow.gateways[1]
    assert {claims_of(target, NOW + 120).iat for target in request.targets} == {NOW + 120}
