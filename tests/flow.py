"""The services together on fakes: what the events of a whole run do, in any order, as often as one likes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from glovebox.findings.store import FindingStore
from glovebox.registry.shards import Shards
from glovebox.scans.model import Manifest, SiteScanRequest, handoff_key, manifest_key, report_key
from glovebox.scans.repositories import RepositoryScanner
from glovebox.services.account_runs import AccountRuns
from glovebox.services.attempts import Attempts
from glovebox.services.ingest import Ingest
from glovebox.services.launch import Launch
from glovebox.services.notify import Notify
from glovebox.services.publish import Publish
from glovebox.services.recorded_reports import RecordedReports
from glovebox.services.repository_runs import RepositoryRuns
from glovebox.services.site_reports import SiteReports
from glovebox.services.site_runs import SiteRuns, SiteSettings
from glovebox.services.site_targets import SiteTargets
from glovebox.services.watch import Watch
from glovebox.siteaudit.record import SiteRecord, to_json
from glovebox.siteaudit.settings import AuditSettings
from tests.fakes import (
    FakeAuthorities,
    FakeClaims,
    FakeClock,
    FakeHandOff,
    FakeLauncher,
    FakeLists,
    FakeNames,
    FakePublication,
    FakeRegistry,
    FakeResults,
    FakeScanStore,
    FakeSites,
    FakeSnapshots,
    FakeTasks,
    FakeTicketKey,
    FakeTopic,
    FakeUploads,
)
from tests.findings import small_findings
from tests.records import good_record
from tests.registry import SCANNING, FakeTargets

Event = dict[str, object]


@dataclass
class Flow:
    """One box: the services of a deployment around the same fakes."""

    shard_hosts: int = 2
    enrichment: bool = False
    audit: AuditSettings = field(default_factory=AuditSettings)
    gateways: tuple[str, ...] = ("10.43.0.10:3129", "10.43.0.26:3129")
    ipv6: bool = False
    regions: tuple[str, ...] = ("eu-central-1", "eu-west-1", "us-east-1")
    own_region: str = "eu-west-1"
    regions_per_scan: int = 4
    service_parts: int = 1
    issuers: tuple[str, ...] = ("issuer.example.com",)
    names: FakeNames = field(default_factory=FakeNames)
    key: FakeTicketKey = field(default_factory=FakeTicketKey)
    clock: FakeClock = field(default_factory=FakeClock)
    store: FakeScanStore = field(default_factory=FakeScanStore)
    hand_off: FakeHandOff = field(default_factory=FakeHandOff)
    tasks: FakeTasks = field(default_factory=FakeTasks)
    lists: FakeLists = field(default_factory=FakeLists)
    launcher: FakeLauncher = field(default_factory=FakeLauncher)
    results: FakeResults = field(default_factory=FakeResults)
    sites: FakeSites = field(default_factory=FakeSites)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    publication: FakePublication = field(default_factory=FakePublication)
    topic: FakeTopic = field(default_factory=FakeTopic)
    findings: FindingStore = field(default_factory=small_findings)
    targets: FakeTargets = field(default_factory=FakeTargets)
    claims: FakeClaims = field(default_factory=FakeClaims)
    authorities: FakeAuthorities = field(default_factory=FakeAuthorities)
    snapshots: FakeSnapshots = field(default_factory=FakeSnapshots)
    scanners: tuple[RepositoryScanner, ...] = ("trivy", "trufflehog")

    @property
    def launch(self) -> Launch:
        sites, accounts = self.site_runs, self.account_runs
        repositories = RepositoryRuns(registry=self.targets, scanners=self.scanners, snapshots=self.snapshots)
        attempts = Attempts(
            store=self.store,
            hand_off=self.hand_off,
            uploads=FakeUploads(),
            tasks=self.tasks,
            kinds={"site": sites, "account": accounts, "repository": repositories},
            clock=self.clock,
        )
        return Launch(
            store=self.store,
            sites=sites,
            accounts=accounts,
            repositories=repositories,
            attempts=attempts,
            clock=self.clock,
            token=lambda: "0badcafe",
        )

    @property
    def site_runs(self) -> SiteRuns:
        return SiteRuns(
            lists=self.lists,
            targets=SiteTargets(
                names=self.names,
                key=self.key,
                gateways=self.gateways,
                ipv6=self.ipv6,
                issuers=self.issuers,
                audit=self.audit,
            ),
            settings=SiteSettings(
                audit=self.audit,
                lists_bucket="lists",
                shard_hosts=self.shard_hosts,
                enrichment=self.enrichment,
            ),
            clock=self.clock,
        )

    @property
    def account_runs(self) -> AccountRuns:
        return AccountRuns(
            registry=self.targets,
            scanning_account=SCANNING,
            shards=Shards(
                regions=self.regions,
                own_region=self.own_region,
                regions_per_scan=self.regions_per_scan,
                service_parts=self.service_parts,
            ),
            claims=self.claims,
            hand_off=self.hand_off,
            authorities=self.authorities,
        )

    @property
    def ingest(self) -> Ingest:
        return Ingest(
            store=self.store,
            results=self.results,
            bucket="results",
            sites=SiteReports(
                store=self.store,
                sites=self.sites,
                registry=self.registry,
                results=self.results,
                clock=self.clock,
            ),
            findings=RecordedReports(
                store=self.store,
                findings=self.findings,
                results=self.results,
                clock=self.clock,
                sleep=self.clock.pass_seconds,
            ),
            clock=self.clock,
        )

    @property
    def watch(self) -> Watch:
        return Watch(
            store=self.store,
            hand_off=self.hand_off,
            tasks=self.tasks,
            launcher=self.launcher,
            clock=self.clock,
        )

    @property
    def publish(self) -> Publish:
        return Publish(store=self.store, sites=self.sites, publication=self.publication, clock=self.clock)

    @property
    def notify(self) -> Notify:
        return Notify(
            store=self.store,
            sites=self.sites,
            findings=self.findings,
            registry=self.targets,
            topic=self.topic,
            page_url="https://audit.example.org",
            clock=self.clock,
        )

    def start(self, *hosts: str) -> str:
        """The id of a new run over these hosts."""
        return self.launch.handle({"hosts": list(hosts)}).run_id

    def request(self, scan_id: str, attempt: int = 1) -> SiteScanRequest:
        """What the task of this attempt was given."""
        return msgspec.json.decode(
            self.hand_off.objects[handoff_key(scan_id, attempt, "request.json")], type=SiteScanRequest
        )

    def records(self, scan_id: str, attempt: int = 1) -> list[SiteRecord]:
        """Good records for every host of the attempt's request."""
        request = self.request(scan_id, attempt)
        return [good_record(host, scan_date=request.scan_date) for host in request.hosts]

    def upload(
        self,
        scan_id: str,
        lines: Sequence[bytes | SiteRecord],
        attempt: int = 1,
        /,
        **manifest: object,
    ) -> Event:
        """Put report and manifest as an honest outlet would, `manifest` changed; the event that follows."""
        body = b"".join((line if isinstance(line, bytes) else to_json(line)) + b"\n" for line in lines)
        self.results.upload(report_key(scan_id, attempt), body)
        told = manifest_of(scan_id, attempt, body, **{"report_lines": len(lines), **manifest})
        return self.announce(scan_id, told, attempt)

    def announce(self, scan_id: str, manifest: Manifest | bytes, attempt: int = 1) -> Event:
        body = manifest if isinstance(manifest, bytes) else msgspec.json.encode(manifest)
        key = manifest_key(scan_id, attempt)
        return created(key, self.results.upload(key, body))

    def task_event(
        self, scan_id: str, status: str, attempt: int = 1, outlet: int | None = 0, arn: str | None = None
    ) -> Event:
        """ECS's event about the task of this attempt."""
        token = f"{scan_id}-{attempt}"
        task_arn = arn or next(
            (f"arn:aws:ecs:task/{order.token}" for order in self.tasks.orders if order.started_by == token),
            "",
        )
        return {
            "detail-type": "ECS Task State Change",
            "detail": {
                "lastStatus": status,
                "taskArn": task_arn,
                "startedBy": token,
                "stoppedReason": "Essential container in task exited",
                "containers": [{"name": "scanner", "exitCode": 0}, {"name": "outlet", "exitCode": outlet}],
            },
        }

    def finish(self, run_id: str) -> None:
        """Every scan's task does its work."""
        for scan in self.store.scans(run_id):
            if not scan.state.ended:
                self.ingest.handle(self.upload(scan.scan_id, self.records(scan.scan_id)))

    def lose(self, run_id: str, shard: int) -> None:
        """Both tasks of a scan die."""
        scan = self.store.scans(run_id)[shard]
        for attempt in (1, 2):
            self.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": attempt}})
            self.watch.handle(self.task_event(scan.scan_id, "STOPPED", attempt, outlet=None))

    def stream(self, run_id: str, scan_id: str = "run") -> Event:
        return stream_event((run_id, scan_id))


def manifest_of(scan_id: str, attempt: int, body: bytes, /, **changed: object) -> Manifest:
    """What an honest outlet says of the report `body` and of a scanner that ended well."""
    told = Manifest(
        scan_id=scan_id,
        attempt=attempt,
        report_uploaded=True,
        report_bytes=len(body),
        report_sha256=hashlib.sha256(body).hexdigest(),
        scanner_exit=0,
    )
    return msgspec.structs.replace(told, **changed)


def created(key: str, version_id: str, bucket: str = "results") -> Event:
    """EventBridge's event about a new object."""
    return {"detail": {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version_id}}}


def stream_event(*keys: tuple[str, str]) -> Event:
    """The scans table's stream saying that these items changed."""
    return {
        "Records": [
            {"dynamodb": {"Keys": {"runId": {"S": run_id}, "scanId": {"S": scan_id}}}}
            for run_id, scan_id in keys
        ]
    }
