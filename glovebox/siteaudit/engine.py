"""The site audit: many sites at once, one record each, whatever happens.

async for record in audit_sites(hosts, scan_date=..., settings=AuditSettings(), network=network): ...

Where names come from and how connections are opened is the `network`'s business: a direct one resolves and
connects straight out, a given one knows what the request says and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import UTC, datetime

from glovebox.siteaudit.assemble import Findings, assemble
from glovebox.siteaudit.examine import Examiner
from glovebox.siteaudit.network import Network
from glovebox.siteaudit.record import SiteRecord, from_json, to_json
from glovebox.siteaudit.settings import AuditSettings

_log = logging.getLogger(__name__)


async def audit_sites(
    hosts: Sequence[str], *, scan_date: str, settings: AuditSettings, network: Network
) -> AsyncGenerator[SiteRecord, None]:
    """One record for each of `hosts`, in the order in which the sites finish.

    `hosts` are canonical names (see `hosts.parse_host_list`), `scan_date` is UTC with a Z.
    `settings.concurrency` sites are under way at once; leaving the loop early ends them.
    """
    names = iter(hosts)
    records: asyncio.Queue[SiteRecord | Exception] = asyncio.Queue()
    async with Examiner.open(settings, network, listed=frozenset(hosts)) as examiner:
        workers = [
            asyncio.create_task(_work(names, examiner, scan_date, settings, records))
            for _ in range(min(settings.concurrency, len(hosts)))
        ]
        try:
            for _ in hosts:
                record = await records.get()
                if isinstance(record, Exception):
                    raise record
                yield record
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def _work(
    names: Iterator[str],
    examiner: Examiner,
    scan_date: str,
    settings: AuditSettings,
    records: asyncio.Queue[SiteRecord | Exception],
) -> None:
    try:
        for name in names:
            await records.put(await _audit(name, examiner, scan_date, settings))
    except Exception as error:  # noqa: BLE001 - raised where the records are awaited: nobody waits in vain
        await records.put(error)


async def _audit(fqdn: str, examiner: Examiner, scan_date: str, settings: AuditSettings) -> SiteRecord:
    """The record of one site; what we did not foresee stands there as `internal_error`."""
    findings = Findings(fqdn=fqdn, scan_date=scan_date, audited_at=datetime.now(UTC))
    began = time.perf_counter()
    patience = asyncio.timeout(settings.site_timeout)
    try:
        async with patience:
            await examiner.examine(findings)
    except Exception as error:  # noqa: BLE001 - the boundary between one site and the run, see `_defect`
        if patience.expired():
            detail = f"{settings.site_timeout:g} s were not enough; what is known stands here"
            findings.fail("site_timeout", detail)
        else:
            _defect(findings, error)
    examiner.conclude(findings)
    return _record(findings, (time.perf_counter() - began) * 1_000)


def _record(findings: Findings, duration_ms: float) -> SiteRecord:
    """The findings as a record that its readers will accept: they hold it against the same limits."""
    try:
        return from_json(to_json(assemble(findings, duration_ms=duration_ms)))
    except Exception as error:  # noqa: BLE001 - as above: not even a record that cannot be made ends the run
        bare = Findings(fqdn=findings.fqdn, scan_date=findings.scan_date, audited_at=findings.audited_at)
        _defect(bare, error)
        return assemble(bare, duration_ms=duration_ms)


def _defect(findings: Findings, error: Exception) -> None:
    """A defect of ours costs one site its audit and not the run, and never in silence.

    It is logged whole, stands on the record with its type, and fails the run's exit code.
    """
    _log.error("internal error", exc_info=error, extra={"fqdn": findings.fqdn})
    findings.fail("internal_error", f"{type(error).__name__}: {error}"[:500])
