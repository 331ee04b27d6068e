"""The real Prowler, run by our script: it reports the canary, by its one check alone."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import aws_cdk as cdk
import boto3
import pytest

from glovebox.findings.canaries import CANARY_ROLE, CHECK, planted
from glovebox_constructs.prowler_script import prowler_script
from stacks.audit_role import AuditRole
from tests.conftest import PROWLER
from tests.infrastructure.templates import CDK_CONTEXT

pytestmark = pytest.mark.prowler

ACCOUNT = "123456789012"
"""What the local AWS calls itself."""
SECONDS = 120
SERVER = """
import sys
from moto.server import ThreadedMotoServer
ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1])).start()
print()
print("ready", flush=True)
sys.stdin.read()
"""


def _canary(folder: Path) -> dict[str, object]:
    """The role as the template of target accounts has it."""
    app = cdk.App(context=CDK_CONTEXT, outdir=str(folder), analytics_reporting=False)
    AuditRole(app, "AuditRole")
    app.synth()
    resources = json.loads((folder / "AuditRole.template.json").read_text())["Resources"].values()
    [role] = [
        each["Properties"] for each in resources if each.get("Properties", {}).get("RoleName") == CANARY_ROLE
    ]
    return {
        "RoleName": role["RoleName"],
        "AssumeRolePolicyDocument": json.dumps(role["AssumeRolePolicyDocument"]),
    }


def test_prowler_reports_the_canary_by_its_check_and_no_other(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "unused"}
    inside, out, scratch = (tmp_path / name for name in ("in", "out", "scratch"))
    for folder in (inside, out, scratch):
        folder.mkdir()
    told = {**keys, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
    told |= {"GLOVEBOX_REGIONS": "us-east-1", "GLOVEBOX_SERVICES": "iam"}
    (inside / "environment").write_text("".join(f"export {name}={value}\n" for name, value in told.items()))
    server = subprocess.Popen(
        [PROWLER.with_name("python"), "-c", SERVER, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert server.stdout is not None
        assert b"ready\n" in server.stdout
        iam = boto3.client(
            "iam",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key="unused",
        )
        iam.create_role(**_canary(tmp_path / "template"))
        environment = {
            "PATH": f"{PROWLER.parent}:/usr/bin:/bin",
            "GLOVEBOX_IN": str(inside),
            "GLOVEBOX_OUT": str(out),
            "TMPDIR": str(scratch),
        }
        done = subprocess.run(
            ["/bin/sh", "-c", prowler_script()], env=environment, timeout=SECONDS, check=False
        )
    finally:
        server.terminate()
        server.communicate()
    assert done.returncode == 0, (out / "scanner.log").read_text()[-2_000:]
    failed = {
        (each["metadata"]["event_code"], each["resources"][0]["uid"])
        for each in json.loads((out / "report.ocsf.json").read_bytes())
        if each["status_code"] == "FAIL" and CANARY_ROLE in each["resources"][0]["uid"]
    }
    [canary] = planted(ACCOUNT)
    assert failed == {(canary.check, canary.resource)} == {(CHECK, canary.resource)}
    assert {each.name for each in out.iterdir()} <= {"report.ocsf.json", "scanner.log", "exit.json"}
