"""Runs over sites: which hosts an order means, how they are cut into scans, what a scan's task is told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from glovebox.errors import RefusedError
from glovebox.scans.model import MAX_RUN_HOSTS, SiteScanRequest
from glovebox.scans.ports import Clock, Lists
from glovebox.scans.state import Run, Scan
from glovebox.services.attempts import MAX_ATTEMPT_SECONDS, START_SECONDS, Contents
from glovebox.services.planning import Plan, Shard
from glovebox.services.site_targets import SiteTargets
from glovebox.siteaudit.hosts import MAX_LIST_BYTES, HostList, parse_host_list, parse_hosts
from glovebox.siteaudit.settings import AuditSettings

SLOWNESS = 2.0
"""A quarter of a processor in a task is slower than the site time-outs assume."""


class ListPlace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Annotated[str, Meta(min_length=1, max_length=1_024)]
    bucket: str | None = None
    """Only to say the obvious: no other bucket than that of the lists is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    audit: AuditSettings
    lists_bucket: str
    shard_hosts: int
    enrichment: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRuns:
    """`glovebox.services.attempts.Kind` for sites, and their plans."""

    lists: Lists
    targets: SiteTargets
    settings: SiteSettings
    clock: Clock

    def plan(self, place: ListPlace | None, hosts: Sequence[str]) -> Plan:
        """Raises InputError for a list that cannot be used, RefusedError for a foreign bucket."""
        names = self._names(place, hosts)
        size = self.settings.shard_hosts
        starts = range(0, len(names.hosts), size)
        return Plan(
            kind="site",
            # The names count, because a list that changed between two tries must not be mixed with what the
            # first one wrote.
            source=(place, names.hosts),
            shards=[Shard(hosts=names.hosts[start : start + size]) for start in starts],
            rejected=names.rejected,
            hosts=len(names.hosts),
            enrichment=self.settings.enrichment,
        )

    def seconds(self, scan: Scan) -> int:
        return attempt_seconds(len(scan.open_hosts), self.settings.audit)

    def contents(self, scan: Scan, run: Run) -> Contents:
        reach = self.targets.of(scan, self.clock())
        request = SiteScanRequest(
            scan_id=scan.scan_id,
            attempt=scan.attempt,
            scan_date=run.scan_date,
            targets=reach.targets,
            issuers=reach.issuers,
            gateway=reach.gateway,
            settings=self.settings.audit,
        )
        return Contents(msgspec.json.encode(request))

    def _names(self, place: ListPlace | None, hosts: Sequence[str]) -> HostList:
        # Names under .test exist on networks of one's own only, and those have to be allowed by the settings.
        test_names = bool(self.settings.audit.allowed_networks)
        if place is None:
            return parse_hosts(hosts, max_hosts=MAX_RUN_HOSTS, test_names=test_names)
        if place.bucket not in (None, self.settings.lists_bucket):
            raise RefusedError(
                "Host lists are read from the bucket of the lists only.", fix="Upload the list there."
            )
        data = self.lists.read(place.key, MAX_LIST_BYTES)
        return parse_host_list(data, max_hosts=MAX_RUN_HOSTS, test_names=test_names)


def attempt_seconds(hosts: int, settings: AuditSettings) -> int:
    """How long an attempt over so many hosts may take, start and upload included."""
    rounds = math.ceil(hosts / settings.concurrency)
    return min(MAX_ATTEMPT_SECONDS, START_SECONDS + math.ceil(rounds * settings.site_timeout * SLOWNESS))
