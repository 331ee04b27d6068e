"""Stand-ins for the world around the services: plain dictionaries that keep the adapters' promises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, Literal

from msgspec.structs import replace

from glovebox.errors import ConflictError, NotFoundError, UpstreamError
from glovebox.scans.model import UploadForm, run_id_of
from glovebox.scans.ports import StoredVersion, TaskOrder
from glovebox.scans.repositories import Snapshot, SnapshotAnswer, SnapshotFailure, SnapshotOrder
from glovebox.scans.state import Run, Scan
from glovebox.siteaudit.record import Dns
from glovebox.siteaudit.resolution import Resolution
from glovebox.sites.item import SiteItem, SiteSummary
from glovebox.sites.ports import Page, PublishedFile, RegistryName
from glovebox.tickets.signer import Signer
from tests.tickets import SIGNER


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)) -> None:
        self.time = now

    def __call__(self) -> datetime:
        return self.time

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class FakeScanStore:
    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.all_scans: dict[str, Scan] = {}
        self.once: dict[str, str] = {}
        self.writes = 0

    def create(self, run: Run, scans: Sequence[Scan], *, once: str = "") -> None:
        for scan in scans:
            self.all_scans.setdefault(scan.scan_id, replace(scan, revision=1))
        if run.run_id in self.runs or once in self.once:
            raise ConflictError("exists")
        self.runs[run.run_id] = replace(run, revision=1)
        if once:
            self.once[once] = run.run_id

    def created_once(self, once: str) -> str | None:
        return self.once.get(once)

    def run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise NotFoundError("no run")
        return self.runs[run_id]

    def scan(self, scan_id: str) -> Scan:
        if scan_id not in self.all_scans:
            raise NotFoundError("no scan")
        return self.all_scans[scan_id]

    def scans(self, run_id: str) -> Sequence[Scan]:
        return [scan for scan_id, scan in sorted(self.all_scans.items()) if run_id_of(scan_id) == run_id]

    def open_runs(self) -> Sequence[str]:
        return [run_id for run_id, run in self.runs.items() if run.published_at is None]

    def replace(self, before: Scan, after: Scan) -> None:
        if self.all_scans[before.scan_id].revision != before.revision:
            raise ConflictError("changed")
        self.all_scans[before.scan_id] = replace(after, revision=before.revision + 1)
        run = self.runs[run_id_of(before.scan_id)]
        self.runs[run.run_id] = replace(run, pending=run.pending - before.open_steps + after.open_steps)
        self.writes += 1

    def replace_run(self, before: Run, after: Run) -> None:
        now = self.runs[before.run_id]
        if (now.revision, now.pending) != (before.revision, before.pending):
            raise ConflictError("changed")
        self.runs[before.run_id] = replace(after, revision=before.revision + 1)
        self.writes += 1


@dataclass
class FakeHandOff:
    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, body: bytes, content_type: str) -> None:
        self.objects[key] = body

    def readable_url(self, key: str, seconds: int) -> str:
        return f"https://handoff.invalid/{key}?seconds={seconds}"

    def arn(self, key: str) -> str:
        return f"arn:aws:s3:::handoff/{key}"

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)


class FakeUploads:
    def form(self, key: str, *, content_type: str, max_bytes: int, seconds: int) -> UploadForm:
        fields = {"key": key, "Content-Type": content_type, "max": str(max_bytes), "seconds": str(seconds)}
        return UploadForm(url="https://results.invalid/", fields=fields)


@dataclass
class FakeTasks:
    """`errors` are raised one by one before anything starts."""

    errors: list[Exception] = field(default_factory=list)
    orders: list[TaskOrder] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def start(self, order: TaskOrder) -> str:
        if self.errors:
            raise self.errors.pop(0)
        self.orders.append(order)
        return f"arn:aws:ecs:task/{order.token}"

    def stop(self, task_arn: str, reason: str) -> None:
        self.stopped.append(task_arn)


PUBLIC_ADDRESS = "93.184.216.34"


@dataclass
class FakeNames:
    """Every name has one public address, unless `answers` says otherwise."""

    answers: dict[str, Resolution] = field(default_factory=dict)
    asked: list[Sequence[str]] = field(default_factory=list)
    error: Exception | None = None

    def resolve(self, hosts: Sequence[str]) -> Mapping[str, Resolution]:
        if self.error:
            raise self.error
        self.asked.append(hosts)
        usual = Resolution(dns=Dns(addresses=[PUBLIC_ADDRESS], ipv4="yes", ipv6="no"))
        return {host: self.answers.get(host, usual) for host in hosts}


@dataclass
class FakeTicketKey:
    key: Signer | Exception = SIGNER

    def signer(self) -> Signer:
        if isinstance(self.key, Exception):
            raise self.key
        return self.key


@dataclass
class FakeAuthorities:
    """`error` is raised as often as it stands."""

    text: str = "-----BEGIN CERTIFICATE-----"
    error: Exception | None = None

    def pem(self) -> str:
        if self.error:
            raise self.error
        return self.text


@dataclass
class FakeClaims:
    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, body: bytes) -> bool:
        """As S3 does with `If-None-Match: *`."""
        if key in self.objects:
            return False
        self.objects[key] = body
        return True

    def read(self, key: str, limit: int) -> bytes:
        if key not in self.objects:
            raise NotFoundError("no claim")
        return self.objects[key][: limit + 1]

    def writable_url(self, key: str, seconds: int) -> str:
        return f"https://claims.invalid/{key}?seconds={seconds}"


@dataclass
class FakeSnapshots:
    """Every repository has a commit, unless `answers` has another answer or an error for the next order."""

    answers: list[SnapshotAnswer | Exception] = field(default_factory=list)
    orders: list[SnapshotOrder] = field(default_factory=list)

    def take(self, order: SnapshotOrder) -> SnapshotAnswer:
        self.orders.append(order)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return snapshot_answer(order.repository, order.ref)


def snapshot_answer(repository: str, ref: str = "", **changed: object) -> SnapshotAnswer:
    """As of a small repository, `changed`."""
    taken = Snapshot(
        repository=repository,
        ref=ref,
        commit="c" * 40,
        key=f"snapshots/{repository}",
        size=1_000,
        sha256="5" * 64,
        files=3,
        unpacked=4_000,
        taken_at="2026-03-04T05:06:07Z",
    )
    return SnapshotAnswer(
        snapshot=replace(taken, **changed),
        url=f"https://snapshots.invalid/{repository}?signature",
        fingerprint_key="f" * 64,
    )


def no_snapshot(failure_class: str = "repository_gone", *, again: bool = False) -> SnapshotAnswer:
    failure = SnapshotFailure(
        failure_class=failure_class, reason="There is none.", fix="See the host.", again=again
    )
    return SnapshotAnswer(failure=failure)


@dataclass
class FakeLauncher:
    asked: list[tuple[str, int]] = field(default_factory=list)

    def retry(self, scan_id: str, attempt: int) -> None:
        self.asked.append((scan_id, attempt))


@dataclass
class FakeLists:
    objects: dict[str, bytes] = field(default_factory=dict)

    def read(self, key: str, limit: int) -> bytes:
        if key not in self.objects:
            raise NotFoundError("no such list")
        return self.objects[key][: limit + 1]


@dataclass
class FakeResults:
    """Each key's versions, the oldest first."""

    objects: dict[str, list[bytes]] = field(default_factory=dict)

    def upload(self, key: str, body: bytes) -> str:
        self.objects.setdefault(key, []).append(body)
        return f"v{len(self.objects[key])}"

    def versions(self, key: str) -> Sequence[StoredVersion]:
        bodies = self.objects.get(key, [])
        return [StoredVersion(f"v{number}", len(body)) for number, body in enumerate(bodies, start=1)]

    @contextmanager
    def read(self, key: str, version: StoredVersion) -> Iterator[Iterator[bytes]]:
        body = self.objects[key][int(version.version_id[1:]) - 1]
        yield (body[start : start + 1_000] for start in range(0, len(body), 1_000))


class FakeSites:
    def __init__(self) -> None:
        self.items: dict[tuple[str, str], SiteItem] = {}
        self.puts = 0
        self.fail = False

    def put(self, items: Iterable[SiteItem]) -> None:
        for item in items:
            if self.fail:
                raise UpstreamError("throttled")
            self.items[item.summary.fqdn, item.summary.scan_date] = item
            self.puts += 1

    def records(self, hosts: Iterable[str], scan_date: str) -> Iterator[bytes]:
        for host in hosts:
            if (host, scan_date) in self.items:
                yield self.items[host, scan_date].record.encode()

    def summaries(self, hosts: Iterable[str], scan_date: str) -> Iterator[SiteSummary]:
        for host in hosts:
            if (host, scan_date) in self.items:
                yield self.items[host, scan_date].summary

    def before(self, hosts: Iterable[str], scan_date: str) -> Mapping[str, SiteSummary]:
        pages = {host: self.history(host, before=scan_date, limit=1).items for host in hosts}
        return {host: items[0] for host, items in pages.items() if items}

    def latest(self, fqdn: str) -> bytes | None:
        newest = self.history(fqdn, before=None, limit=1).items
        return self.items[fqdn, newest[0].scan_date].record.encode() if newest else None

    def at(self, fqdn: str, scan_date: str) -> bytes | None:
        item = self.items.get((fqdn, scan_date))
        return item.record.encode() if item else None

    def history(self, fqdn: str, *, before: str | None, limit: int) -> Page[SiteSummary]:
        found = [
            item.summary
            for (name, date), item in sorted(self.items.items(), reverse=True)
            if name == fqdn and (before is None or date < before)
        ]
        return Page(found[:limit], (found[limit - 1].scan_date,) if len(found) > limit else None)

    def domain_history(self, domain: str, *, after: tuple[str, ...] | None, limit: int) -> Page[SiteSummary]:
        found = sorted(
            (item.summary for item in self.items.values() if item.summary.domain == domain),
            key=lambda site: (site.scan_date, site.fqdn),
            reverse=True,
        )
        rest = [site for site in found if after is None or (site.scan_date, site.fqdn) < tuple(after)]
        last = rest[limit - 1] if len(rest) > limit else None
        return Page(rest[:limit], (last.scan_date, last.fqdn) if last else None)


class FakeRegistry:
    def __init__(self) -> None:
        self.noted: dict[str, dict[str, RegistryName]] = {"site": {}, "domain": {}}

    def note(self, sites: Mapping[str, str], seen: str) -> None:
        for fqdn, domain in sites.items():
            self._note("site", fqdn, domain, seen)
            self._note("domain", domain, None, seen)

    def _note(self, kind: str, name: str, domain: str | None, seen: str) -> None:
        known = self.noted[kind].get(name)
        first = known.first_seen if known else seen
        last = max(seen, known.last_seen) if known else seen
        self.noted[kind][name] = RegistryName(name=name, domain=domain, first_seen=first, last_seen=last)

    def names(
        self, kind: Literal["site", "domain"], *, after: tuple[str, ...] | None, limit: int
    ) -> Page[RegistryName]:
        names = sorted(name for name in self.noted[kind] if after is None or name > after[0])
        shown = [self.noted[kind][name] for name in names[:limit]]
        return Page(shown, (names[limit - 1],) if len(names) > limit else None)


@dataclass
class FakePublication:
    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, body: IO[bytes], content_type: str) -> None:
        self.objects[key] = body.read()

    def zips(self) -> Sequence[PublishedFile]:
        return [
            PublishedFile(key, len(self.objects[key])) for key in sorted(self.objects) if key.endswith(".zip")
        ]


@dataclass
class FakeTopic:
    messages: list[tuple[str, str]] = field(default_factory=list)

    def send(self, subject: str, body: str) -> None:
        self.messages.append((subject, body))
