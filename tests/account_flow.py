"""Runs over accounts on the flow's fakes: ordered from `launch`, answered as an honest outlet would."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from glovebox.findings.canaries import planted
from glovebox.registry.model import Account
from glovebox.scans.model import report_key
from glovebox.scans.state import Scan
from tests.flow import Event, Flow, manifest_of
from tests.prowler import ACCOUNT, REGION, Json, bucket, item, report

TARGET = f"aws:{ACCOUNT}"


def order(flow: Flow, *accounts: str) -> str:
    """The id of a new run over these accounts, by default the reports' own."""
    wanted = accounts or (ACCOUNT,)
    for account in wanted:
        if (Account, account) not in flow.targets.entries:
            flow.targets.put(Account(id=account, name=f"Shop {account[-1]}", regions=(REGION,)), revision=0)
    return flow.launch.handle({"accounts": list(wanted)}).run_id


def one_scan(flow: Flow) -> Scan:
    [scan] = flow.store.scans(order(flow))
    return scan


def upload(
    flow: Flow, scan: Scan, items: Iterable[Json | bytes] | bytes, attempt: int = 1, /, **manifest: object
) -> Event:
    """Put report and manifest, `manifest` changed; the event that follows."""
    listed = items if isinstance(items, bytes) else list(items)
    body = listed if isinstance(listed, bytes) else report(listed)
    flow.results.upload(report_key(scan.scan_id, attempt, "account"), body)
    told = manifest_of(scan.scan_id, attempt, body, **{"report_lines": _count(body), **manifest})
    return flow.announce(scan.scan_id, told, attempt)


def _count(body: bytes) -> int:
    try:
        return len(json.loads(body))
    except (ValueError, RecursionError):
        return 0


def take(
    flow: Flow, scan: Scan, items: Iterable[Json | bytes] | bytes, attempt: int = 1, /, **manifest: object
) -> Scan:
    """Upload and ingest; the scan as it is then."""
    flow.ingest.handle(upload(flow, scan, items, attempt, **manifest))
    return flow.store.scan(scan.scan_id)


def buckets(*numbers: object, **said: object) -> list[Json]:
    return [item(bucket(number), **said) for number in numbers]  # type: ignore[arg-type]  # of many types


def planted_item(account: str = ACCOUNT) -> Json:
    """What an honest scanner says of the resource that the audit role's stack plants."""
    [canary] = planted(account)
    return item(canary.resource, check=canary.check, region="us-east-1", account=account)


def logged(capsys: pytest.CaptureFixture[str], message: str) -> list[Json]:
    """The lines of the functions' log with this message."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["message"] == message]
