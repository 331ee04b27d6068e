"""`python -m bench.gateway_audit [--hosts N] [--rounds N] [--delay MS]`: the audit, direct and tunnelled.

The container's own code, with the settings of a scan, on one farm of ordinary sites: each round audits all of
them straight out and through the real gateway in turn, so that a busy machine is busy for both.  On loopback
farm, Squid and auditor share this machine's processors, which is the hardest case for the gateway; `--delay`
gives each site a round trip, as sites on the internet have.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.gateway import cpu_seconds, gateway_process, why_not
from bench.measure import PATIENCE
from bench.nginx import PKI_ADDRESS
from bench.sites import BenchFarm
from bench.targets import Target, at_least
from containers.siteaudit.__main__ import network_of
from glovebox.errors import ConfigurationError
from glovebox.farm.identities import PKI_HOST
from glovebox.farm.running import announced
from glovebox.scans.model import SiteScanRequest, SiteTarget
from glovebox.siteaudit.engine import audit_sites
from glovebox.siteaudit.loop import audit_runner
from glovebox.siteaudit.record import Dns
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings
from tests.perimeter.gateway import Gateway, build_image, site_claims

HOSTS: Final = 400
ROUNDS: Final = 3
FAR_CONCURRENCY: Final = 40
"""Sites at once where they are far away: the delaying relay takes processor time as well."""
PROMISE: Final = "site audit through the gateway: at least 70 % of its direct rate"


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One audit of all hosts, as its process prints it."""

    hosts_per_second: float
    cpu_ms: float
    """Of the auditor, a host."""
    connections: float
    """A host."""
    failed: int
    """Records with a failure: there must be none."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over the rounds; processor time is milliseconds a host."""

    hosts: int
    delay_ms: float
    direct_per_second: float
    tunnelled_per_second: float
    ratio: float
    """The median of the rounds' own ratios."""
    direct_cpu_ms: float
    tunnelled_cpu_ms: float
    squid_cpu_ms: float
    helpers_cpu_ms: float
    connections: float
    failed: int


def target(figures: Figures) -> Target:
    return at_least(PROMISE, figures.ratio * 100, 70)


def measure(*, hosts: int = HOSTS, rounds: int = ROUNDS, delay_ms: float = 0.0) -> Figures:
    """Raises ConfigurationError where farm or gateway do not come up; ask `bench.gateway.why_not` before."""
    build_image()
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as temporary:
        folder = Path(temporary)
        with announced("bench.farm", folder / "farm", [str(hosts)]) as line:
            farm = msgspec.json.decode(line, type=BenchFarm)
            with _far(farm, folder, delay_ms) as settings, gateway_process() as (gateway, process):
                direct, through = folder / "direct.json", folder / "through.json"
                direct.write_bytes(msgspec.json.encode(_request(farm, settings, None)))
                through.write_bytes(msgspec.json.encode(_request(farm, settings, gateway)))
                taken = [_round(direct, through, process, hosts) for _ in range(rounds)]
    middle = {
        name: median(getattr(each, name) for each in taken)
        for name in Figures.__struct_fields__
        if name not in ("hosts", "delay_ms", "failed")
    }
    failed = max(each.failed for each in taken)
    return Figures(hosts=hosts, delay_ms=delay_ms, failed=failed, **middle)


def _round(direct: Path, through: Path, process: int, hosts: int) -> Figures:
    plain = _audit(direct)
    before = cpu_seconds(process)
    tunnelled = _audit(through)
    after = cpu_seconds(process)
    squid, helpers = ((now - then) / hosts * 1_000 for now, then in zip(after, before, strict=True))
    return Figures(
        hosts=hosts,
        delay_ms=0.0,
        direct_per_second=plain.hosts_per_second,
        tunnelled_per_second=tunnelled.hosts_per_second,
        ratio=tunnelled.hosts_per_second / plain.hosts_per_second,
        direct_cpu_ms=plain.cpu_ms,
        tunnelled_cpu_ms=tunnelled.cpu_ms,
        squid_cpu_ms=squid,
        helpers_cpu_ms=helpers,
        connections=tunnelled.connections,
        failed=plain.failed + tunnelled.failed,
    )


@contextmanager
def _far(farm: BenchFarm, folder: Path, delay_ms: float) -> Iterator[AuditSettings]:
    """The settings of a scan on the farm, which is `delay_ms` away."""
    settings = farm.settings
    if not delay_ms:
        yield settings
        return
    addresses = sorted({site.address for site in farm.sites})
    places = [f"{each}:{port}" for each in addresses for port in (settings.http_port, settings.https_port)]
    with announced("bench.far", folder / "far", [str(delay_ms), *places]):
        yield msgspec.structs.replace(
            settings,
            http_port=settings.http_port + 1,
            https_port=settings.https_port + 1,
            concurrency=FAR_CONCURRENCY,
        )


def _request(farm: BenchFarm, settings: AuditSettings, gateway: Gateway | None) -> SiteScanRequest:
    """As `launch` writes it, with the farm's authority as the issuer; without `gateway` straight out."""
    ports = sorted({farm.settings.http_port, settings.http_port, settings.https_port})

    def target(host: str, address: str) -> SiteTarget:
        ticket = ""
        if gateway is not None:
            signed = gateway.signer.sign(site_claims([address], host=host, ports=ports))
            ticket = f"{signed.user}:{signed.password}"
        return SiteTarget(host=host, resolution=Resolution(dns=Dns(addresses=[address])), ticket=ticket)

    return SiteScanRequest(
        scan_id="bench",
        attempt=1,
        scan_date="2026-01-02T03:04:05Z",
        targets=[target(site.host, site.address) for site in farm.sites],
        issuers=[target(PKI_HOST, PKI_ADDRESS)],
        gateway=f"{gateway.places.gateway}:3129" if gateway else "",
        settings=settings,
    )


def _audit(request: Path) -> Audit:
    """In a process of its own.  Raises ConfigurationError where it does not end well."""
    command = [sys.executable, "-m", "bench.gateway_audit", "--request", str(request)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise ConfigurationError(f"The audit did not end: {done.stderr.decode()[-1_000:]}")
    return msgspec.json.decode(done.stdout, type=Audit)


async def _run(request: SiteScanRequest) -> Audit:
    network = network_of(request)
    failed, connections = 0, 0
    began, spent = time.perf_counter(), time.process_time()
    records = audit_sites(
        request.hosts, scan_date=request.scan_date, settings=request.settings, network=network
    )
    async for record in records:
        connections += record.connections
        failed += record.failure_class is not None
    hosts = len(request.hosts)
    return Audit(
        hosts_per_second=hosts / (time.perf_counter() - began),
        cpu_ms=(time.process_time() - spent) / hosts * 1_000,
        connections=connections / hosts,
        failed=failed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_audit", description=__doc__)
    parser.add_argument("--hosts", type=int, default=HOSTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds of a round trip to each site")
    parser.add_argument("--request", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.request:
        request = msgspec.json.decode(options.request.read_bytes(), type=SiteScanRequest)
        with audit_runner() as runner:
            print(msgspec.json.encode(runner.run(_run(request))).decode())
        return 0
    lacking = why_not()
    if lacking:
        print(f"not measured: {lacking}")
        return 0
    figures = measure(hosts=options.hosts, rounds=options.rounds, delay_ms=options.delay)
    print(msgspec.json.format(msgspec.json.encode(figures), indent=2).decode())
    verdict = target(figures)
    print(f"{verdict.promise}: {verdict.measured} {verdict.verdict}")
    return 0 if verdict.verdict == "PASS" and not figures.failed else 1


if __name__ == "__main__":
    sys.exit(main())
