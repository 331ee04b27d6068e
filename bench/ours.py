"""`python -m bench.ours suites|audit FARM_FILE [COUNT]`: our engine in a process of its own.

Prints one line of JSON: how many sites, how many of them with exactly the right suites, and
what else was wrong.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.sites import MIX, BenchFarm, Site
from glovebox.siteaudit.connect import DirectConnector, Endpoint
from glovebox.siteaudit.direct import audit_directly
from glovebox.siteaudit.loop import audit_runner
from glovebox.siteaudit.record import TlsReport
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.tls.probe import probe_tls

Outcome = tuple[str, TlsReport | None, str | None]
"""Host, what was found, and the failure class."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How right the answers were."""

    sites: int
    right: int
    wrong: list[str]
    """The first few, in words."""


async def run(mode: str, farm: BenchFarm, count: int) -> Summary:
    """Audit the first `count` sites, without groups.

    `suites` also leaves out what the peers' suite tests leave out: hellos without a name, and fallbacks.
    """
    chosen = farm.sites[:count]
    kinds = {each.host: MIX[each.kind].suites for each in chosen}
    settings = msgspec.structs.replace(farm.settings, test_groups=False, test_behaviour=mode != "suites")
    outcomes = _suites(chosen, settings) if mode == "suites" else _audit(chosen, settings)
    right, wrong = 0, list[str]()
    async for host, report, failure in outcomes:
        found = {
            version.version: {suite.name for suite in version.suites}
            for version in (report.versions if report else [])
            if version.supported == "yes"
        }
        if found == kinds[host] and failure is None:
            right += 1
        else:
            wrong.append(f"{host}: {failure or 'other suites'}")
    return Summary(sites=len(chosen), right=right, wrong=wrong[:10])


async def _suites(chosen: list[Site], settings: AuditSettings) -> AsyncIterator[Outcome]:
    """Versions and suites alone."""
    connector = DirectConnector(settings)
    places = asyncio.Semaphore(settings.concurrency)

    async def probe(site: Site) -> Outcome:
        async with places:
            endpoint = Endpoint(site.host, site.address, settings.https_port)
            found = await probe_tls(endpoint, connector=connector, settings=settings)
            return site.host, found.report, found.failure.failure_class if found.failure else None

    for done in asyncio.as_completed([probe(site) for site in chosen]):
        yield await done


async def _audit(chosen: list[Site], settings: AuditSettings) -> AsyncIterator[Outcome]:
    """Everything: names, both chains of redirects, suites, certificate, revocation, page, headers."""
    date = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    async for record in audit_directly([site.host for site in chosen], scan_date=date, settings=settings):
        yield record.fqdn, record.tls, record.failure_class


def main(arguments: list[str]) -> None:
    mode, path, *rest = arguments
    farm = msgspec.json.decode(Path(path).read_bytes(), type=BenchFarm)
    count = int(rest[0]) if rest else len(farm.sites)
    with audit_runner() as runner:
        summary = runner.run(run(mode, farm, count))
    print(msgspec.json.encode(summary).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
