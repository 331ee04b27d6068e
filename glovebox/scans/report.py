"""Reading a report that a hostile scanner may have written.

The report is JSON lines, one site record each.  A line is believed only where it is about a
host of this very scan; everything else is counted and named, and costs no other line.  No
key, path or query is ever built from a report's strings: names come from the scan's own request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from typing import IO

import msgspec

from glovebox.scans.sanitise import plain_struct
from glovebox.scans.state import LISTED_REJECTIONS
from glovebox.siteaudit.failures import FAILURES
from glovebox.siteaudit.hosts import split_domain
from glovebox.siteaudit.record import Failure, SiteRecord, from_json, to_json
from glovebox.text import plain

MAX_LINE_BYTES = 256 << 10
"""A record of a large site is 60 KB; DynamoDB holds 400 KB an item.

It bounds the record as it is stored, too: what a line leaves out is written in full then, which makes a
made-up line three times as long.
"""
SPARE_LINES = 16
"""A few lines too many are a defect that is worth naming one by one; more is an attack on our time."""
MAX_REASON = 160

_WEB = ("https://", "http://")


class _BadLineError(Exception):
    """Why a line is not believed."""


class ReportReader:
    """Gives the good records of a report, and keeps count of the rest.

    `hosts` are those that the attempt was about, `scan_date` is the run's.
    """

    def __init__(self, hosts: Iterable[str], scan_date: str) -> None:
        self._expected = dict.fromkeys(hosts)
        self._scan_date = scan_date
        self._seen: set[str] = set()
        self.counts: Counter[str] = Counter()
        """Good records by failure class, `ok` for none."""
        self.rejected: list[str] = []
        """`line 3: …`, the first `LISTED_REJECTIONS`."""
        self.rejected_count = 0

    @property
    def missing(self) -> tuple[str, ...]:
        """Hosts without a good record, in the order of the request."""
        return tuple(host for host in self._expected if host not in self._seen)

    def records(self, lines: Iterable[bytes]) -> Iterator[SiteRecord]:
        """Each good record once, ready to be stored.  `lines` are those of `bounded_lines`."""
        most = len(self._expected) + SPARE_LINES
        for number, line in enumerate(lines, start=1):
            if number > most:
                self._reject(number, f"more lines than hosts ({len(self._expected)}); the rest is not read")
                return
            try:
                record = self._judge(line)
            except _BadLineError as error:
                self._reject(number, str(error))
                continue
            self._seen.add(record.fqdn)
            self.counts[class_of(record)] += 1
            yield record

    def _reject(self, number: int, reason: str) -> None:
        self.rejected_count += 1
        if len(self.rejected) < LISTED_REJECTIONS:
            self.rejected.append(f"line {number}: {plain(reason)[:MAX_REASON]}")

    def _judge(self, line: bytes) -> SiteRecord:
        record = plain_struct(_decoded(line))
        if record.fqdn not in self._expected:
            raise _BadLineError("about a host that is not of this scan")
        if record.fqdn in self._seen:
            raise _BadLineError(f"a second record of {record.fqdn}")
        for problem in (check(record, self._scan_date) for check in _CHECKS):
            if problem:
                raise _BadLineError(f"{record.fqdn}: {problem}")
        kept = msgspec.structs.replace(
            record,
            # Shodan is asked by us alone; what a scanner says of it is made up.
            shodan=None,
            links=[link for link in record.links if link.lower().startswith(_WEB)],
        )
        if len(to_json(kept)) > MAX_LINE_BYTES:
            raise _BadLineError(f"{record.fqdn}: longer than {MAX_LINE_BYTES:,} bytes when written in full")
        return kept


def class_of(record: SiteRecord) -> str:
    """What a record is counted as: its failure's class without the alert's name, `ok` for none."""
    return (record.failure_class or "ok").partition(":")[0]


def bounded_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The file's lines that are not empty, each cut just above `MAX_LINE_BYTES`."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        rest = line
        while len(rest) == MAX_LINE_BYTES + 1 and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES + 1)
        if line.strip():
            yield line


def _decoded(line: bytes) -> SiteRecord:
    if len(line) > MAX_LINE_BYTES:
        raise _BadLineError(f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        return from_json(line)
    except msgspec.ValidationError as error:
        raise _BadLineError(f"no site record: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _BadLineError(f"no JSON: {error}") from error
    except RecursionError as error:
        raise _BadLineError("nested too deeply") from error


def _wrong_date(record: SiteRecord, scan_date: str) -> str | None:
    return None if record.scan_date == scan_date else "another scan's date"


def _wrong_domain(record: SiteRecord, scan_date: str) -> str | None:
    true = split_domain(record.fqdn)
    return (
        None if (record.hostname, record.domain) == true else "hostname and domain that do not make its name"
    )


def _wrong_address(record: SiteRecord, scan_date: str) -> str | None:
    addresses = [
        *([record.ip] if record.ip is not None else []),
        *(record.dns.addresses if record.dns else []),
    ]
    for address in addresses:
        try:
            parsed = ip_address(address)
        except ValueError:
            return "an address that is none"
        # A zone (RFC 4007) may be any text, and none of ours has one.
        if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
            return "an address with a zone"
    return None


def _wrong_class(record: SiteRecord, scan_date: str) -> str | None:
    named = [record.failure_class] if record.failure_class is not None else []
    for name in [*named, *(failure.failure_class for failure in _failures(record))]:
        kind, colon, alert = name.partition(":")
        if kind not in FAILURES or (colon and not (kind == "tls_alert" and alert.replace("_", "").isalnum())):
            return "a failure class that does not exist"
    return None


def _failures(record: SiteRecord) -> Iterator[Failure]:
    yield from record.failures
    if record.certificate:
        yield from record.certificate.reasons
    for version in record.tls.versions if record.tls else []:
        if version.failure:
            yield version.failure


_CHECKS: tuple[Callable[[SiteRecord, str], str | None], ...] = (
    _wrong_date,
    _wrong_domain,
    _wrong_address,
    _wrong_class,
)
