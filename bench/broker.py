"""`python -m bench.broker [--quick] [--json FILE]`: what the broker costs for one account's scan.

The functions as deployed (environment, composition root, handler), one after the other, for a scan of one of
a thousand accounts on record: `launch` with its two tables, hand-off, forms, addresses and task, `redeem`
with mark, session, ticket, seal and envelope.  AWS is moto in the same process, whose own time is taken out:
what is left is ours, botocore's and the cryptography's, from the event to the answer, without the network.

A cold import is a process that imports a function's handler with AWS's SDK beside it, as in Lambda, less one
that imports nothing.  All of it is processor time, and the least of some rounds: neighbours only ever add.

And 500 repositories ordered at once, simulated minute by minute (`tests/repository_queue.py`): whether all
their scans end, none twice, and whether other orders find a place while they wait.
Exit code 0 where every promise is kept, 1 where one is not.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import cache, partial
from io import StringIO
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from rich.console import Console

from bench.measure import measured
from bench.targets import Target, at_most, target_table
from glovebox.scans.state import seconds_since

ROOT: Final = Path(__file__).resolve().parents[1]
UNITS: Final = tuple(sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py")))
ROUNDS, QUICK_ROUNDS = 5, 2
CALLS: Final = 4
"""Of each function in a process; moto takes a second to find a thousand accounts."""
ON_RECORD: Final = 1_000
CALL_MS: Final = 300.0
IMPORT_MS: Final = 400.0
SECONDS: Final = 300
QUEUE_HOURS: Final = 3.0
"""1,000 scans of five minutes, 36 at a time, are two and a third."""


class Calls(Struct, frozen=True, kw_only=True):
    """Milliseconds of one process: the first call makes the clients, the others find them."""

    launch_first: float
    redeem_first: float
    launch: float
    redeem: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.broker", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="write the targets to this file too")
    parser.add_argument("--calls", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.calls:
        print(msgspec.json.encode(_calls()).decode())
        return 0
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    targets = [*calls(rounds), *imports(rounds), *queue()]
    console = Console()
    console.width = max(console.width, 110)
    console.print(target_table(targets))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(targets), indent=2))
    return 1 if any(target.verdict == "FAIL" for target in targets) else 0


def calls(rounds: int) -> Iterator[Target]:
    """Each round is a process of its own."""
    command = [sys.executable, "-m", "bench.broker", "--calls"]
    said = [
        subprocess.run(command, capture_output=True, timeout=SECONDS, check=True).stdout
        for _ in range(rounds)
    ]
    found = [msgspec.json.decode(each, type=Calls) for each in said]
    for unit in ("launch", "redeem"):
        for which, name in ((unit, "a scan"), (f"{unit}_first", "a scan, making its clients first")):
            best = min(getattr(each, which) for each in found)
            yield at_most(f"{unit}: at most {CALL_MS:.0f} ms for {name}", best, CALL_MS)


def imports(rounds: int) -> Iterator[Target]:
    def best(statement: str) -> float:
        with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as folder:
            said = Path(folder) / "output.txt"
            return min(measured([[sys.executable, "-c", statement]], said).cpu * 1_000 for _ in range(rounds))

    # Lambda unpacks compiled modules; here the first round compiles them.
    nothing = best("pass")
    sdk = best("import botocore.session, botocore.client") - nothing
    for unit in UNITS:
        spent = best(f"import functions.{unit}.handler") - nothing
        target = at_most(f"{unit}: cold import in at most {IMPORT_MS:.0f} ms", spent, IMPORT_MS, digits=0)
        yield msgspec.structs.replace(target, measured=f"{target.measured} (the SDK alone {sdk:.0f})")


def queue() -> Iterator[Target]:
    """Hours are the simulation's; with room for more tasks they are fewer."""
    from tests.repository_queue import REPOSITORIES, ROOM, SCANNERS, queued

    with redirect_stdout(StringIO()):
        there = queued()
    scans = there.flow.store.scans(there.run_id)
    tasks = [order.scan_id for order in there.region.orders]
    hours = max(seconds_since(scan.requested_at, there.flow.clock()) for scan in scans) / 3_600
    name, lost = f"{REPOSITORIES} repositories at once", REPOSITORIES * SCANNERS - len(scans)
    still = lost + sum(not scan.state.ended for scan in scans)
    yield at_most(f"{name}: no scan lost or open", still, 0, digits=0)
    yield at_most(f"{name}: no scan's task twice", len(tasks) - len(set(tasks)), 0, digits=0)
    yield at_most(f"{name}: no launch waits beyond its minute", there.region.behind, 0, digits=0)
    yield at_most(f"{name}, room for {ROOM} tasks: hours", hours, QUEUE_HOURS)


# ---------------------------------------------------------------- in the process that calls


def _calls() -> Calls:
    """The functions on moto; only what is not moto's counts."""
    for name, value in environment().items():
        os.environ[name] = value
    from moto import mock_aws

    with mock_aws():
        _deploy()
        for unit in ("launch", "redeem"):
            _handler(unit)
        clock = _Clock()
        with redirect_stdout(StringIO()):
            first, *others = [_one(clock) for _ in range(CALLS)]
    return Calls(
        launch_first=first[0],
        redeem_first=first[1],
        launch=min(each[0] for each in others),
        redeem=min(each[1] for each in others),
    )


class _Clock:
    """Processor time of this process without moto's."""

    def __init__(self) -> None:
        from moto.core.botocore_stubber import BotocoreStubber

        self.away = 0.0
        answer: Callable[..., Any] = BotocoreStubber.__call__

        def counted(stub: BotocoreStubber, *arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return answer(stub, *arguments, **named)
            finally:
                self.away += time.process_time() - began

        BotocoreStubber.__call__ = counted  # type: ignore[method-assign, assignment]  # to take its time

    def spent_ms(self, call: Callable[[], Any]) -> tuple[float, Any]:
        away, began = self.away, time.process_time()
        answer = call()
        spent = time.process_time() - began - (self.away - away)
        return spent * 1_000, answer


def _one(clock: _Clock) -> tuple[float, float]:
    """Milliseconds of `launch` and of `redeem` for one scan of one account."""
    from glovebox.adapters import aws
    from glovebox.scans.accounts import claim_key

    event = {"accounts": [f"{ON_RECORD // 2:012d}"], "requestedBy": "bench"}
    launched, answer = clock.spent_ms(partial(_handler("launch"), event, None))
    # As in a process of its own, where nobody has read AWS's models before.
    aws._session.cache_clear()
    key = claim_key(f"{answer['runId']}-0000", 1)
    _s3().put_object(Bucket="claims", Key=key, Body=_claim())
    told = {"detail": {"bucket": {"name": "claims"}, "object": {"key": key}}}
    redeemed, _ = clock.spent_ms(partial(_handler("redeem"), told, None))
    envelope = key.replace("claims/", "handoff/").replace("claim.json", "envelope.json")
    assert _s3().head_object(Bucket="handoff", Key=envelope)["ContentLength"] > 0
    return launched, redeemed


def _handler(unit: str) -> Callable[..., Any]:
    handle: Callable[..., Any] = importlib.import_module(f"functions.{unit}.handler").handle
    return handle


@cache
def _s3() -> Any:
    import boto3

    return boto3.client("s3")


def _claim() -> bytes:
    from glovebox.envelopes.sealing import KeyPair

    return KeyPair().public.claim()


def environment() -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "SCANS_TABLE": "scans",
        "REGISTRY_TABLE": "registry",
        "LISTS_BUCKET": "lists",
        "HANDOFF_BUCKET": "handoff",
        "RESULTS_BUCKET": "results",
        "CLAIMS_BUCKET": "claims",
        "RESULTS_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/0badcafe",
        "CLUSTER": "cluster",
        "TASK_DEFINITION": "siteaudit",
        "PROWLER_TASK_DEFINITION": "prowler",
        "SECURITY_GROUPS": "sg-0badcafe",
        "AUDIT_SETTINGS": "{}",
        "SHARD_HOSTS": "200",
        "ENRICHMENT": "off",
        "GATEWAYS": "10.43.0.10:3129,10.43.0.26:3129",
        "TICKET_KEY_SECRET": "ticket-key",
        "AUTHORITIES_PARAMETER": "authorities",
        "EGRESS_IPV6": "off",
        "SCANNING_ACCOUNT": "123456789012",
        "REGIONS": "eu-west-1,us-east-1",
        "REGIONS_PER_SCAN": "4",
        "SERVICE_PARTS": "1",
        "SNAPSHOT_FUNCTION": "snapshot",
        "REPOSITORY_SCANNERS": "trivy,trufflehog",
        "TRIVY_TASK_DEFINITION": "trivy",
        "TRUFFLEHOG_TASK_DEFINITION": "trufflehog",
        "KINGFISHER_TASK_DEFINITION": "kingfisher",
        "UNTICKETED_SECURITY_GROUPS": "sg-1badcafe",
        "AUDIT_ROLE": "arn:aws:iam::${Target}:role/GloveboxAudit",
        "EXTERNAL_ID": "external-id-of-sixteen",
        "SESSION_POLICY": json.dumps({"Version": "2012-10-17", "Id": "${Target}", "Statement": []}),
        "SESSION_MANAGED_POLICIES": "arn:aws:iam::aws:policy/SecurityAudit",
    }


def _deploy() -> None:
    """What the stacks make, and a thousand accounts on record."""
    import boto3

    from glovebox.adapters.dynamodb import write_all
    from glovebox.registry.model import Account
    from glovebox.tickets.rotation import new_key
    from tests.small_ecs import make_cluster

    # Clients of another session than the functions' own, whose models they have to load themselves.
    dynamodb, ecs = boto3.client("dynamodb"), boto3.client("ecs")
    for table, keys in {"scans": ("runId", "scanId"), "registry": ("kind", "name")}.items():
        dynamodb.create_table(
            TableName=table,
            KeySchema=[
                {"AttributeName": keys[0], "KeyType": "HASH"},
                {"AttributeName": keys[1], "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    for bucket in ("lists", "handoff", "results", "claims"):
        _s3().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    make_cluster(ecs, "cluster", families=("siteaudit", "prowler"))
    os.environ["SUBNETS"] = boto3.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    boto3.client("secretsmanager").create_secret(Name="ticket-key", SecretString=new_key())
    boto3.client("ssm").put_parameter(Name="authorities", Value="-----BEGIN CERTIFICATE-----", Type="String")
    accounts = (
        Account(
            id=f"{number:012d}",
            name=f"Account {number}",
            ou=("Root", "Prod", "Payments"),
            tags={"env": "prod", "tier": "1", "cost-center": f"{number % 40}"},
        )
        for number in range(ON_RECORD)
    )
    # As `DynamoTargets` puts them, which moto would take half a minute for.
    items = (
        {"kind": "account", "name": each.id, "revision": 1, "entry": msgspec.to_builtins(each)}
        for each in accounts
    )
    write_all(dynamodb, "registry", items)


if __name__ == "__main__":
    sys.exit(main())
