"""Thefts on the local cloud: what a scan of an account holds, in the hands of somebody who wants more.

One scan is robbed: everything that its inlet, its scanner and its outlet were given is kept, and then used
as a thief would (threat model, lines 12 to 16).  What the emulator does not judge (endpoints, how old a
signature is, by which means it came) is proven by tests/policies; the gateway's part is tried on the real
gateway in tests/perimeter.  A refusal by AWS stands in the target's CloudTrail,
which the emulator lacks.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from ssl import create_default_context
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningKeys
from botocore.exceptions import ClientError

from glovebox.adapters.s3 import S3Uploads
from glovebox.envelopes.sealing import KeyPair
from glovebox.local.aws import REGION, Credentials, LocalAws
from glovebox.local.cloud import CHECKOUT
from glovebox.local.target import PUBLIC_BUCKET, TARGET
from glovebox.scans.accounts import CLAIM_VARIABLE, ENVELOPE_FILE, ENVELOPE_VARIABLE, claim_key
from glovebox.scans.model import MAX_MANIFEST_BYTES, ScanState, handoff_key, manifest_key, report_key
from glovebox.scans.state import Scan
from tests.e2e.conftest import Platform

pytestmark = pytest.mark.e2e

TIMEOUT = 30.0
PATIENCE = 20.0
FORM = "application/x-www-form-urlencoded"
KEEPS_ITS_ENVIRONMENT = """
import json, os, pathlib, sys
pathlib.Path({kept!r}).write_text(json.dumps(dict(os.environ)))
os.execv(sys.executable, [sys.executable, "-m", {module!r}])
"""
LOOKS_AROUND = """
import json, os, pathlib
within = pathlib.Path(os.environ["GLOVEBOX_IN"])
files = {{path.name: path.read_text() for path in within.iterdir()}}
pathlib.Path({kept!r}).write_text(json.dumps([dict(os.environ), files]))
out = pathlib.Path(os.environ["GLOVEBOX_OUT"])
(out / "report.ocsf.json").write_text("[]")
(out / "exit.json").write_text('{{"exit": 0}}')
"""


@dataclass(frozen=True)
class Loot:
    """What one attempt of a scan was given, container by container."""

    scan: Scan
    inlet: Mapping[str, str]
    scanner: tuple[Mapping[str, str], Mapping[str, str]]
    """Its environment, and its files."""
    order: Mapping[str, Any]
    """The outlet's."""
    thief: LocalAws
    """Whoever has the brokered credentials."""

    @property
    def claim_url(self) -> str:
        return self.inlet[CLAIM_VARIABLE]

    @property
    def envelope_url(self) -> str:
        return self.inlet[ENVELOPE_VARIABLE]


@pytest.fixture(scope="module")
def loot(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Loot:
    folder = tmp_path_factory.mktemp("loot")
    kept = {name: folder / f"{name}.json" for name in ("inlet", "prowler", "outlet")}
    for name in ("inlet", "outlet"):
        script = KEEPS_ITS_ENVIRONMENT.format(kept=str(kept[name]), module=f"containers.{name}")
        platform.commands[name] = (sys.executable, "-c", script)
    script = LOOKS_AROUND.format(kept=str(kept["prowler"]))
    platform.commands["prowler"] = (sys.executable, "-c", script)
    try:
        view = platform.completed(platform.cloud.scan_accounts().run_id)
    finally:
        platform.commands.clear()
    (scan,) = view.scans
    environment, files = json.loads(kept["prowler"].read_text())
    order = json.loads(base64.b64decode(json.loads(kept["outlet"].read_text())["GLOVEBOX_ORDER"]))
    return Loot(
        scan=scan,
        inlet=json.loads(kept["inlet"].read_text()),
        scanner=(environment, files),
        order=order,
        thief=platform.cloud.aws.acting_as(_credentials(files["credentials"])),
    )


def _credentials(file: str) -> Credentials:
    values = dict(line.split(" = ", 1) for line in file.splitlines() if " = " in line)
    return Credentials(
        values["aws_access_key_id"], values["aws_secret_access_key"], values["aws_session_token"]
    )


# ---------------------------------------------------------------- what the scanner sees


def test_a_scanner_is_given_its_credentials_and_nothing_that_launch_signed(
    platform: Platform, loot: Loot
) -> None:
    """As a local process it is held by the user's rights alone: tests/perimeter looks further, in a box."""
    environment, files = loot.scanner
    assert set(files) == {"authorities.pem", "config", "credentials", "environment", "request.json"}
    text = json.dumps([environment, files])
    secrets = [loot.claim_url, loot.envelope_url, loot.inlet["GLOVEBOX_REQUEST_URL"], json.dumps(loot.order)]
    fields = {**loot.order["report"]["fields"], **loot.order["manifest"]["fields"]}
    secrets += [value for name, value in fields.items() if "signature" in name or "policy" in name]
    assert len(secrets) >= 6
    for secret in (
        *secrets,
        "X-Amz",
        "x-amz-",
        "GLOVEBOX_ORDER",
        "_URL=",
        "/claims/",
        "/handoff/",
        "results/",
    ):
        assert secret not in text, secret


# ---------------------------------------------------------------- 12, 13: the brokered credentials


def refusal(call: Callable[[], object]) -> str:
    """How AWS names that it refused; empty where it did not."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


ROLE = f"arn:aws:iam::{TARGET}:role/GloveboxAudit"
CODE = {"ZipFile": b"PK"}
MISUSES: dict[str, Callable[[LocalAws], object]] = {
    "code": lambda aws: aws.client("lambda").create_function(
        FunctionName="theirs", Runtime="python3.13", Handler="a.b", Role=ROLE, Code=CODE
    ),
    "an invocation": lambda aws: aws.client("lambda").invoke(FunctionName="theirs"),
    "a machine, by a posted form": lambda aws: aws.client("ec2").run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1
    ),
    "logs": lambda aws: aws.client("logs").create_log_group(logGroupName="theirs"),
    "log events": lambda aws: aws.client("logs").put_log_events(
        logGroupName="theirs", logStreamName="x", logEvents=[{"timestamp": 1, "message": "data"}]
    ),
    "a login for images": lambda aws: aws.client("ecr").get_authorization_token(),
    "a repository": lambda aws: aws.client("ecr").create_repository(repositoryName="theirs"),
    "a secret": lambda aws: aws.client("secretsmanager").get_secret_value(SecretId="theirs"),
    "a secret of its own": lambda aws: aws.client("secretsmanager").create_secret(
        Name="x", SecretString="data"
    ),
    "a parameter": lambda aws: aws.client("ssm").get_parameter(Name="/theirs"),
    "an object": lambda aws: aws.client("s3").put_object(Bucket=PUBLIC_BUCKET, Key="x", Body=b"data"),
    "an object that it reads": lambda aws: aws.client("s3").get_object(Bucket=PUBLIC_BUCKET, Key="x"),
    "names of objects": lambda aws: aws.client("s3").list_objects_v2(Bucket=PUBLIC_BUCKET),
    "a key of a user, by a posted form": lambda aws: aws.client("iam").create_access_key(
        UserName="careless-user"
    ),
    "the same role again": lambda aws: aws.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="again"),
    "the broker's role": lambda aws: aws.client("sts").assume_role(
        RoleArn="arn:aws:iam::000000000000:role/GloveboxRedeem", RoleSessionName="again"
    ),
    "a session of its own": lambda aws: aws.client("sts").get_federation_token(Name="again"),
    "randomness of a key service": lambda aws: aws.client("kms").generate_random(NumberOfBytes=16),
}


def test_the_brokered_credentials_read_what_a_scan_needs(loot: Loot) -> None:
    """Else nothing would be proven by what fails."""
    found = loot.thief.client("sts").get_caller_identity()
    assert (found["Account"], loot.scan.scan_id in found["Arn"]) == (TARGET, True)
    assert loot.thief.client("iam").list_users()["Users"]
    assert loot.thief.client("s3").get_bucket_policy(Bucket=PUBLIC_BUCKET)["Policy"]


@pytest.mark.parametrize("what", MISUSES)
def test_the_brokered_credentials_are_refused_for(loot: Loot, what: str) -> None:
    """Straight at AWS, where no gateway judges: role and session policy alone."""
    assert refusal(lambda: MISUSES[what](loot.thief)) in {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
    }


@pytest.mark.parametrize(("source", "status"), [("127.0.0.1", 200), ("127.0.0.2", 403)])
def test_the_brokered_credentials_are_worth_nothing_from_another_address(
    loot: Loot, source: str, status: int
) -> None:
    body = b"Action=ListUsers&Version=2010-05-08"
    aws, keys = loot.thief, loot.thief.credentials
    asked = AWSRequest("POST", f"{aws.endpoint}/", data=body, headers={"Content-Type": FORM})
    SigV4Auth(SigningKeys(keys.key_id, keys.secret, keys.token), "iam", REGION).add_auth(asked)
    connection = HTTPSConnection(
        "127.0.0.1",
        aws.port,
        timeout=TIMEOUT,
        source_address=(source, 0),
        context=create_default_context(cafile=str(aws.authority)),
    )
    connection.request("POST", "/", body=body, headers=dict(asked.prepare().headers))
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == status
    assert ("AccessDenied" in text) == (status == 403)


# ---------------------------------------------------------------- 14: uploads


def posted(aws: LocalAws, form: Mapping[str, Any], size: int, *, bucket: str = "", **fields: str) -> int:
    url = str(form["url"])
    if bucket:
        url = url.replace(urlsplit(url).path.strip("/").partition("/")[0], bucket)
    data = {**form["fields"], **{name.replace("_", "-"): value for name, value in fields.items()}}
    file = {"file": ("report", b"x" * size)}
    return requests.post(url, data=data, files=file, verify=str(aws.authority), timeout=TIMEOUT).status_code


def bucket_of(platform: Platform, name: str) -> str:
    return platform.cloud.deployment.output(f"{name}Bucket")


def test_the_forms_of_an_accounts_scan_are_held_to(platform: Platform, loot: Loot) -> None:
    aws, report, manifest = platform.cloud.aws, loot.order["report"], loot.order["manifest"]
    other = report_key(f"{loot.scan.scan_id[:-1]}1", 1, "account")
    assert posted(aws, report, 10, key=other) == 403
    assert posted(aws, report, 10, key=manifest_key(loot.scan.scan_id, 1)) == 403
    assert posted(aws, report, 10, bucket=bucket_of(platform, "Claims")) == 403
    assert posted(aws, report, 10, Content_Type="text/html") == 403
    assert posted(aws, report, 10, acl="public-read") == 403
    assert posted(aws, manifest, MAX_MANIFEST_BYTES + 1) == 400
    assert posted(aws, report, 0) == 400


def test_a_form_ends(platform: Platform) -> None:
    """Signed like those of `launch`, once for now and once for a minute ago."""
    aws, key = platform.cloud.aws, platform.cloud.deployment.output("KeyArn")
    uploads = S3Uploads(aws.client("s3"), bucket_of(platform, "Results"), key)

    def form(seconds: int) -> dict[str, Any]:
        signed = uploads.form("results/nobody/1/x", content_type="text/plain", max_bytes=9, seconds=seconds)
        return {"url": signed.url, "fields": signed.fields}

    assert posted(aws, form(60), 1) == 204
    assert posted(aws, form(-60), 1) == 403


def test_a_second_upload_is_alarmed_and_changes_nothing(platform: Platform, loot: Loot) -> None:
    before = platform.cloud.store.scan(loot.scan.scan_id)
    for form in ("report", "manifest"):
        assert posted(platform.cloud.aws, loot.order[form], 10) == 204
    assert logged(platform, "Ingest", '"message": "second_upload"', loot.scan.scan_id)
    assert platform.cloud.store.scan(loot.scan.scan_id) == before


@pytest.mark.parametrize("bucket", ["Results", "HandOff", "Claims"])
def test_nothing_is_put_without_form_or_address(platform: Platform, loot: Loot, bucket: str) -> None:
    name = bucket_of(platform, bucket)
    for key in ("results/x/1/report.ocsf.json", "handoff/x/1/envelope.json", "claims/x/1/claim.json"):
        assert put_refused(loot.thief, name, key)
        answer = requests.put(
            f"{platform.cloud.aws.endpoint}/{name}/{key}",
            data=b"x",
            verify=str(platform.cloud.aws.authority),
            timeout=TIMEOUT,
        )
        assert answer.status_code == 403


def put_refused(thief: LocalAws, bucket: str, key: str) -> bool:
    put = thief.client("s3").put_object
    return refusal(lambda: put(Bucket=bucket, Key=key, Body=b"x", IfNoneMatch="*")) == "AccessDenied"


# ---------------------------------------------------------------- 15: reading what is others'


@pytest.mark.parametrize("bucket", ["Results", "HandOff", "Claims"])
def test_nothing_is_listed_or_read_with_the_brokered_credentials_or_none(
    platform: Platform, loot: Loot, bucket: str
) -> None:
    aws, name = platform.cloud.aws, bucket_of(platform, bucket)
    keys = [each["Key"] for each in aws.client("s3").list_objects_v2(Bucket=name).get("Contents", [])]
    assert keys or bucket == "HandOff", "the hand-off is deleted once the task runs"
    thief = loot.thief.client("s3")
    assert refusal(lambda: thief.list_objects_v2(Bucket=name)) == "AccessDenied"
    for key in [*keys[:3], "handoff/x/1/request.json"]:
        assert refusal(lambda key=key: thief.get_object(Bucket=name, Key=key)) == "AccessDenied"  # type: ignore[misc]
        assert got(platform, f"{aws.endpoint}/{name}/{key}") == 403
    assert got(platform, f"{aws.endpoint}/{name}?list-type=2") == 403


def got(platform: Platform, url: str) -> int:
    authority = str(platform.cloud.aws.authority)
    return requests.get(url, verify=authority, timeout=TIMEOUT).status_code


def test_an_address_reads_its_own_object_until_that_is_gone_and_no_other(
    platform: Platform, loot: Loot
) -> None:
    handoff, results = bucket_of(platform, "HandOff"), bucket_of(platform, "Results")
    neighbour = f"{loot.scan.scan_id[:-1]}1"
    for url in (loot.inlet["GLOVEBOX_REQUEST_URL"], loot.envelope_url):
        assert got(platform, url) == 404, "the scan is over"
        assert got(platform, url.replace(loot.scan.scan_id, neighbour)) == 403
        assert got(platform, url.replace("/1/", "/2/")) == 403
        assert got(platform, url.replace(handoff, results)) == 403
    assert got(platform, loot.claim_url) == 403, "it is for putting"


# ---------------------------------------------------------------- 16: claims and envelopes


def claimed(platform: Platform, url: str, claim: bytes, **headers: str) -> int:
    told = {"Content-Type": "application/json", "If-None-Match": "*"} | headers
    authority = str(platform.cloud.aws.authority)
    sent = {name: value for name, value in told.items() if value}
    return requests.put(url, data=claim, headers=sent, verify=authority, timeout=TIMEOUT).status_code


def test_an_address_of_a_claim_takes_one_claim_of_its_attempt(platform: Platform, loot: Loot) -> None:
    claim = KeyPair().public.claim()
    neighbour = f"{loot.scan.scan_id[:-1]}1"
    assert claimed(platform, loot.claim_url, claim) == 412
    assert claimed(platform, loot.claim_url, claim, **{"If-None-Match": ""}) == 403
    assert claimed(platform, loot.claim_url, claim, **{"Content-Type": "text/html"}) == 403
    assert claimed(platform, loot.claim_url, claim + b" ") == 403
    assert claimed(platform, loot.claim_url.replace(loot.scan.scan_id, neighbour), claim) == 403
    assert claimed(platform, loot.claim_url.replace("/1/claim", "/2/claim"), claim) == 403
    assert claimed(platform, loot.envelope_url, claim) == 403, "it is for reading"


def test_a_second_claim_is_alarmed_and_gets_nothing(platform: Platform, loot: Loot) -> None:
    """Were the bucket's rule to fail: root takes the first claim away, and puts another."""
    storage, bucket = platform.cloud.aws.client("s3"), bucket_of(platform, "Claims")
    key = claim_key(loot.scan.scan_id, 1)
    before = platform.cloud.store.scan(loot.scan.scan_id)
    storage.delete_object(Bucket=bucket, Key=key)
    storage.put_object(
        Bucket=bucket,
        Key=key,
        Body=KeyPair().public.claim(),
        ContentType="application/json",
        IfNoneMatch="*",
    )
    assert logged(platform, "Redeem", '"message": "second_claim"', loot.scan.scan_id)
    assert platform.cloud.store.scan(loot.scan.scan_id) == before
    envelope = handoff_key(loot.scan.scan_id, 1, ENVELOPE_FILE)
    handoff = bucket_of(platform, "HandOff")
    assert refusal(lambda: storage.get_object(Bucket=handoff, Key=envelope)) == "NoSuchKey"


CLAIMS_FIRST = """
import json, os, pathlib, sys, time
import requests
sys.path.insert(0, {checkout!r})
from glovebox.envelopes.errors import ForeignEnvelopeError
from glovebox.envelopes.sealing import KeyPair
if "/1/claim.json" in os.environ["GLOVEBOX_CLAIM_URL"]:
    pair = KeyPair()
    headers = {{"Content-Type": "application/json", "If-None-Match": "*"}}
    url = os.environ["GLOVEBOX_CLAIM_URL"]
    put = requests.put(url, data=pair.public.claim(), headers=headers, timeout=30)
    scan = url.partition("/claims/")[2].partition("/")[0]
    for _ in range(300):
        envelope = requests.get(os.environ["GLOVEBOX_ENVELOPE_URL"], timeout=30)
        if envelope.ok:
            break
        time.sleep(0.1)
    opened = {{}}
    tries = {{"another scan": (scan[:-1] + "1", 1), "another attempt": (scan, 2), "own": (scan, 1)}}
    for name, (of, attempt) in tries.items():
        try:
            opened[name] = pair.open(envelope.content, scan_id=of, attempt=attempt).decode()
        except ForeignEnvelopeError:
            opened[name] = "foreign"
    pathlib.Path({kept!r}).write_text(json.dumps([put.status_code, opened]))
os.execv(sys.executable, [sys.executable, "-m", "containers.inlet"])
"""


def test_who_claims_in_an_inlets_place_is_found_out_and_the_next_attempt_is_another(
    platform: Platform, tmp_path: Path
) -> None:
    """The one who has the address before the inlet uses it: what docs/envelopes.md states as the limit."""
    kept = tmp_path / "opened.json"
    script = CLAIMS_FIRST.format(checkout=str(CHECKOUT), kept=str(kept))
    platform.commands["inlet"] = (sys.executable, "-c", script)
    try:
        (scan,) = platform.completed(platform.cloud.scan_accounts().run_id).scans
    finally:
        platform.commands.clear()
    status, opened = json.loads(kept.read_text())
    assert status == 200
    assert (opened["another scan"], opened["another attempt"]) == ("foreign", "foreign")
    assert json.loads(opened["own"])["account"] == TARGET
    assert (scan.attempt, scan.state) == (2, ScanState.COMPLETED), "its own claim opened the second envelope"
    ended = ('"attempt": 1', '"status": "STOPPED"', '"state": "requested"')
    assert logged(platform, "Watch", scan.scan_id, *ended), "the robbed task ended, and another was ordered"


# ---------------------------------------------------------------- traces


def logged(platform: Platform, function: str, *words: str) -> bool:
    """Whether the function's log gets a line with all these words: what alarms count and people read."""
    logs = platform.cloud.aws.client("logs")
    groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    (group,) = [name for name in groups if f"/{function}Log" in name]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        events = logs.filter_log_events(logGroupName=group)["events"]
        if any(all(word in event["message"] for word in words) for event in events):
            return True
        time.sleep(0.2)
    return False
