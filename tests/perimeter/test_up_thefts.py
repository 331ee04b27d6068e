"""`glovebox up --perimeter`: a scanner of accounts that steals, in its box, with its own ticket.

First it looks at everything that it can see (tests/hostile/scanner.py), then it misuses the credentials that
are its own, through the real gateway.  Beside it runs a task of somebody else's.  Nobody waits for the end of
either: these are the last tests of the perimeter's local cloud, and closing it ends them.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from glovebox.local.boxes import Boxes
from glovebox.local.cloud import CHECKOUT
from glovebox.local.engines import Place
from glovebox.local.target import CAREFUL_BUCKET, PUBLIC_BUCKET, TARGET
from glovebox.scans.state import Scan
from tests.hostile.seen import places_of, seen
from tests.perimeter.inside import RUN_SECONDS, Inside

pytestmark = pytest.mark.lab

LOOK = (CHECKOUT / "tests/hostile/scanner.py").read_text("utf-8")
THIEF = """
import json, os, pathlib, sys
look = {"__name__": "hostile"}
exec(compile(sys.argv[1], "hostile", "exec"), look)
# Programs of this machine stand where an image's would, and whole checkouts beside them.
shown = {"/run", "/tmp", "/etc", "/glovebox"}
look["IMAGE"] += tuple({f"/{name}" for name in os.listdir("/")} - shown)
look["IMAGE"] += tuple(f"/run/box/{name}" for name in ("code", "packages", "python", "bin"))
look["look"]()

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

def told(service, operation, **arguments):
    aws = boto3.client(service, config=Config(retries={"total_max_attempts": 1}, read_timeout=20))
    try:
        getattr(aws, operation)(**arguments)
    except ClientError as error:
        return "{Code}: {Message}".format(**error.response["Error"])
    except BotoCoreError as error:
        return f"{type(error).__name__}: {error}"
    return "done"

tried = {name: told(*call[:2], **call[2]) for name, call in json.loads(sys.argv[2]).items()}
out = pathlib.Path(os.environ["GLOVEBOX_OUT"])
(out / "exit.json").write_text('{"exit": 0}')
(out / "part.json").write_text(json.dumps(tried))
(out / "part.json").rename(out / "tried.json")
"""
ROLE = f"arn:aws:iam::{TARGET}:role/GloveboxAudit"
READS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "who it is": ("sts", "get_caller_identity", {}),
    "users": ("iam", "list_users", {}),
    "a bucket that no ticket names": ("s3", "get_bucket_policy", {"Bucket": PUBLIC_BUCKET}),
}
GATEWAY: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "a function": (
        "lambda",
        "create_function",
        {
            "FunctionName": "x",
            "Runtime": "python3.13",
            "Role": ROLE,
            "Handler": "a.b",
            "Code": {"S3Key": "x"},
        },
        "writing_operation",
    ),
    "log events": (
        "logs",
        "put_log_events",
        {
            "logGroupName": "x",
            "logStreamName": "x",
            "logEvents": [{"timestamp": 1, "message": "data"}],
        },
        "writing_operation",
    ),
    "a login for images": ("ecr", "get_authorization_token", {}, "contents_operation"),
    "a secret": ("secretsmanager", "get_secret_value", {"SecretId": "x"}, "contents_operation"),
    "a parameter": ("ssm", "get_parameter", {"Name": "x"}, "contents_operation"),
    "an object": (
        "s3",
        "put_object",
        {"Bucket": PUBLIC_BUCKET, "Key": "x", "Body": "data"},
        "writing_operation",
    ),
    "what an object holds": ("s3", "get_object", {"Bucket": PUBLIC_BUCKET, "Key": "x"}, "s3_object"),
    "the role again": ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "again"}, "sts_operation"),
}
"""What the judge refuses, and by which word."""
POLICIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a machine": ("ec2", "run_instances", {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}),
    "a key of a user": ("iam", "create_access_key", {"UserName": "careless-user"}),
    "names of objects": ("s3", "list_objects_v2", {"Bucket": CAREFUL_BUCKET}),
}
"""What the gateway lets through, for it stands in a form or reads as its name goes."""
LISTENING = b" 0A "


@dataclass(frozen=True)
class Theft:
    """One scan's thief: what it saw, what it was told, and what it should not have found."""

    scan: Scan
    found: Mapping[str, bytes]
    tried: Mapping[str, str]
    secrets: Mapping[str, str]
    """Of its task and of the neighbour's, by name."""
    ledger: list[Mapping[str, object]]
    dropped: set[str]


@pytest.fixture(scope="module")
def theft(inside: Inside) -> Theft:
    calls = {**READS, **POLICIES, **{name: call[:3] for name, call in GATEWAY.items()}}
    start = '. "$GLOVEBOX_IN/environment" && exec "$@"'
    python = os.path.realpath(sys.executable)
    inside.commands["prowler"] = (
        "/bin/sh", "-c", start, "sh", python, "-c", THIEF, LOOK, json.dumps(calls)
    )  # fmt: skip
    inside.commands["siteaudit"] = (python, "-c", "import time; time.sleep(30)")
    handed: dict[str, dict[str, str]] = {}
    list(inside.perimeter.lab.news())
    before = len(inside.perimeter.ledger())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Boxes, "start", _noting(handed))
        try:
            inside.cloud.launch(b'{"hosts": ["good.fleet.test"], "requestedBy": "test"}')
            run_id = inside.cloud.scan_accounts().run_id
            path = _awaited(inside.folder, run_id)
            deadline = time.monotonic() + RUN_SECONDS
            while f"{path.parents[2].name} outlet" not in handed and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            inside.commands.clear()
    (scan,) = inside.cloud.store.scans(run_id)
    time.sleep(0.5)  # Journals are written within milliseconds of what they tell.
    news = list(inside.perimeter.lab.news())
    return Theft(
        scan=scan,
        found=seen((path.parent / "report.ocsf.json").read_bytes()),
        tried=json.loads(path.read_text()),
        secrets=_secrets(handed),
        ledger=inside.perimeter.ledger()[before:],
        dropped={
            f"{event['target']}:{event['port']}"
            for journal, event in news
            if journal == "flows" and event["event"] == "dropped"
        },
    )


def _noting(handed: dict[str, dict[str, str]]) -> Any:
    """What the agent hands to each container, as the container gets it."""
    start = Boxes.start

    def noted(boxes: Boxes, place: Place, output: IO[bytes]) -> subprocess.Popen[bytes]:
        named = {name: boxes.buckets.translated(value) for name, value in place.environment.items()}
        handed[f"{place.task.id} {place.container.name}"] = named
        return start(boxes, place, output)

    return noted


def _awaited(folder: Path, run_id: str) -> Path:
    """What the thief wrote, once it has."""
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        for path in folder.glob("tasks/*/volumes/out/tried.json"):
            if run_id in (path.parents[1] / "in" / "request.json").read_text():
                return path
        time.sleep(0.1)
    logs = [path.read_text()[-2_000:] for path in folder.glob("tasks/*/scanner.log")]
    raise AssertionError(f"the thief did not end: {logs}")


def _secrets(handed: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Signatures, policies and tokens of all addresses and forms that anybody was handed."""
    found = {}
    for who, environment in handed.items():
        for name, value in environment.items():
            if name.endswith("_URL"):
                query = dict(parse_qsl(urlsplit(value).query))
                found |= {f"{who} {name} {each}": query[each] for each in query if "Signature" in each}
            elif name == "GLOVEBOX_ORDER":
                order = json.loads(base64.b64decode(value))
                for form in ("report", "manifest"):
                    fields = order[form]["fields"]
                    kept = ("policy", "x-amz-signature")
                    found |= {f"{who} {form} {each}": fields[each] for each in kept}
    return found


def test_the_thief_saw_what_is_its_own(theft: Theft) -> None:
    """Else nothing would be proven by what it did not see."""
    assert b"aws_secret_access_key" in theft.found["file /run/box/in/credentials"]
    assert places_of("HTTPS_PROXY", theft.found)
    assert theft.scan.scan_id.encode() in theft.found["file /run/box/in/request.json"]


def test_the_thief_found_no_address_no_form_and_nothing_of_another_task(theft: Theft) -> None:
    inlets = [name for name in theft.secrets if "CLAIM_URL" in name or "ENVELOPE_URL" in name]
    forms = [name for name in theft.secrets if " report " in name or " manifest " in name]
    tasks = {name.split()[0] for name in theft.secrets}
    assert (len(inlets) >= 2, len(forms) >= 4, len(tasks) >= 2) == (True, True, True), theft.secrets
    found = {name: places_of(secret, theft.found) for name, secret in theft.secrets.items()}
    assert {name: places for name, places in found.items() if places} == {}
    for word in ("GLOVEBOX_ORDER", "GLOVEBOX_REQUEST_URL", "GLOVEBOX_CLAIM_URL", "X-Amz-Signature"):
        assert places_of(word, theft.found) == [], word


def test_the_thief_found_no_neighbour_no_metadata_and_could_change_nothing(theft: Theft) -> None:
    programs = [body for name, body in theft.found.items() if name.endswith(" cmdline")]
    assert not [body for body in programs if b"containers." in body], "the box has its own processes alone"
    assert not [name for name in theft.found if name.endswith(" memory") and theft.found[name][:1] != b"<"]
    listening = [name for name, body in theft.found.items() if name.startswith("sockets tcp")]
    assert not [name for name in listening if LISTENING in theft.found[name]]
    answers = {name: body for name, body in theft.found.items() if name.startswith("metadata ")}
    assert len(answers) == 6
    assert not [name for name, body in answers.items() if body.startswith(b"answered")]
    assert {"169.254.169.254:80", "169.254.170.2:80"} <= theft.dropped, "the flow log has it"
    attempts = {name: body for name, body in theft.found.items() if name.startswith("attempt ")}
    assert attempts
    assert not [name for name, body in attempts.items() if body == b"done"]


@pytest.mark.parametrize("name", READS)
def test_its_own_credentials_read_through_the_gateway(theft: Theft, name: str) -> None:
    assert theft.tried[name] == "done"


@pytest.mark.parametrize("name", GATEWAY)
def test_the_gateway_refuses_to_misuse_them_and_writes_down_why(theft: Theft, name: str) -> None:
    service, _, _, word = GATEWAY[name]
    assert theft.tried[name].startswith("EgressDenied: "), theft.tried[name]
    label = {"ecr": "api.ecr"}.get(service, service)
    lines = [
        line
        for line in theft.ledger
        if (line["scan"], line["verdict"]) == (theft.scan.scan_id, word)
        and str(line["host"]).startswith(f"{label}.")
    ]
    assert lines, theft.ledger


@pytest.mark.parametrize("name", POLICIES)
def test_what_the_gateway_cannot_read_the_policies_refuse(theft: Theft, name: str) -> None:
    assert theft.tried[name].startswith(("AccessDenied: ", "UnauthorizedOperation: ")), theft.tried[name]
