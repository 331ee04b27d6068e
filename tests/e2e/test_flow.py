"""The whole flow on the local cloud: schedule → launch → tasks → ingest → publish → API, files and page."""

from __future__ import annotations

import base64
import csv
import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import requests

from glovebox.local.cloud import CHECKOUT
from glovebox.local.progress import View
from glovebox.scans.model import MAX_MANIFEST_BYTES, RunState, ScanState
from tests.e2e.conftest import RUN_SECONDS, SHARD_HOSTS, Platform

pytestmark = pytest.mark.e2e

TIMEOUT = 30.0


def get(platform: Platform, path: str, **parameters: str) -> requests.Response:
    return requests.get(f"{platform.cloud.page}{path}", params=parameters, timeout=TIMEOUT)


# ---------------------------------------------------------------- the good case


def test_the_run_is_complete_and_each_line_of_the_list_is_used_or_named(
    platform: Platform, first_run: View
) -> None:
    run = first_run.run
    assert run.state is RunState.COMPLETED, first_run.scans
    assert (run.hosts, run.missing) == (len(platform.farm.hosts), ())
    assert run.shards == 2
    assert {scan.state for scan in first_run.scans} == {ScanState.COMPLETED}
    assert {scan.attempt for scan in first_run.scans} == {1}
    assert [note.line for note in run.rejected_lines] == [
        len(platform.farm.hosts) + 2,
        len(platform.farm.hosts) + 3,
    ]
    assert not first_run.problems


@pytest.mark.usefixtures("first_run")
def test_each_host_has_the_record_that_its_trait_asks_for(platform: Platform) -> None:
    for host, trait in platform.farm.traits.items():
        record = get(platform, "/api/siteDetails", FQDN=host).json()
        assert record.get("failureClass") == trait.expects.failure, host


def test_the_published_zip_holds_every_host_in_each_form(platform: Platform, first_run: View) -> None:
    files = get(platform, "/api/listScans").json()["files"]
    listed = next(file for file in files if first_run.run.run_id in file["fileName"])
    content = get(platform, listed["url"]).content
    assert len(content) == listed["fileSize"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        rows = list(csv.DictReader(io.StringIO(archive.read("output.csv").decode())))
        lines = archive.read("output.jsonl").decode().splitlines()
        assert archive.read("full_output.json")
    hosts = sorted(platform.farm.hosts)
    assert len(rows) == len(hosts)
    assert sorted(json.loads(line)["FQDN"] for line in lines) == hosts


@pytest.mark.usefixtures("first_run")
def test_every_call_of_the_api_answers_through_the_page_s_address(
    platform: Platform, first_run: View
) -> None:
    date = first_run.run.scan_date
    host = "good.fleet.test"
    calls: list[tuple[str, dict[str, str], str]] = [
        ("siteDetails", {"FQDN": host}, host),
        ("scanDetails", {"FQDN": host, "scanDate": date}, date),
        ("siteHistory", {"FQDN": host}, date),
        ("listScans", {}, first_run.run.run_id),
        ("listFQDNs", {}, host),
        ("listDNs", {}, "fleet.test"),
        ("DNSHistory", {"DN": "fleet.test"}, host),
        ("openapi.json", {}, "siteHistory"),
    ]
    for call, parameters, wanted in calls:
        answer = get(platform, f"/api/{call}", **parameters)
        assert answer.status_code == 200, (call, answer.text)
        assert wanted in answer.text, call


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/siteDetails", 400),
        ("/api/siteDetails?FQDN=a.example&FQDN=b.example", 400),
        ("/api/siteDetails?FQDN=" + "a" * 3_000, 400),
        ("/api/siteHistory?FQDN=good.fleet.test&limit=many", 400),
        ("/api/siteDetails?FQDN=unknown.fleet.test", 404),
        ("/files/none.zip", 403),
    ],
)
def test_a_bad_question_gets_a_reason(platform: Platform, path: str, status: int) -> None:
    answer = get(platform, path)
    assert answer.status_code == status
    if path.startswith("/api/"):
        assert answer.json()["error"]["message"]


def test_page_api_and_files_carry_the_headers_that_our_own_audit_asks_for(
    platform: Platform, first_run: View
) -> None:
    for path in ("/", "/api/listScans", f"/{first_run.run.files[0]}"):
        answer = get(platform, path)
        assert answer.status_code == 200, path
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["strict-transport-security"].startswith("max-age=63072000"), path


def test_the_files_of_a_run_can_be_taken_home(platform: Platform, first_run: View, tmp_path: Path) -> None:
    paths = platform.cloud.download_files(first_run.run, tmp_path)
    assert len(paths) == len(first_run.run.files)
    assert all(path.stat().st_size for path in paths)


# ---------------------------------------------------------------- what goes wrong

DIES_FOR_ONE_SCAN = """
import base64, json, os, runpy, signal
order = json.loads(base64.b64decode(os.environ["GLOVEBOX_ORDER"]))
if order["scanId"].endswith({deadly!r}):
    os.kill(os.getpid(), signal.SIGKILL)
runpy.run_module("containers.outlet", run_name="__main__")
"""


def test_a_task_that_dies_is_started_once_more_and_then_the_run_names_its_hosts(
    platform: Platform, tmp_path: Path
) -> None:
    outlet = tmp_path / "outlet.py"
    outlet.write_text(DIES_FOR_ONE_SCAN.format(deadly="-0001"))
    platform.commands["outlet"] = (sys.executable, str(outlet))
    hosts = platform.farm.hosts
    try:
        view = platform.completed(platform.launch(*hosts))
    finally:
        platform.commands.clear()
    assert view.run.state is RunState.PARTIAL
    good, dead = sorted(view.scans, key=lambda scan: scan.scan_id)
    assert (good.state, good.attempt) == (ScanState.COMPLETED, 1)
    assert (dead.state, dead.attempt) == (ScanState.FAILED, 2)
    assert set(view.run.missing) == set(dead.hosts) == set(hosts[SHARD_HOSTS:])
    assert "outlet ended with 137" in str(dead.reason)
    assert view.run.files, "what there is, is published"


HOSTILE = """
import json, os, pathlib, sys, time
out = pathlib.Path(os.environ["GLOVEBOX_OUT"])
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    pathlib.Path({pid!r}).write_text(str(os.getpid()))
    time.sleep(600)
while not os.path.exists({pid!r}):
    time.sleep(0.01)
request = pathlib.Path(os.environ["GLOVEBOX_IN"], "request.json").read_text()
pathlib.Path({seen!r}).write_text(json.dumps([request, dict(os.environ)]))
(out / "report.jsonl").symlink_to("/etc/hostname")
"""


def test_a_hostile_scanner_sees_no_upload_and_leaves_neither_a_process_nor_a_foreign_file(
    platform: Platform, tmp_path: Path
) -> None:
    seen, pid, script = tmp_path / "seen.json", tmp_path / "pid", tmp_path / "scanner.py"
    script.write_text(HOSTILE.format(seen=str(seen), pid=str(pid)))
    platform.commands["scanner"] = (sys.executable, str(script))
    run_id = platform.launch("good.fleet.test")
    try:
        scan = platform.tried_again(run_id)
    finally:
        platform.commands.clear()
    assert scan.missing is None, "not one record was believed"
    assert "no report" in str(scan.reason)
    text = seen.read_text()
    for secret in (
        "X-Amz",
        "x-amz",
        "AWS_",
        "GLOVEBOX_ORDER",
        "GLOVEBOX_REQUEST_URL",
        platform.cloud.aws.endpoint,
    ):
        assert secret not in text, secret
    assert not Path(f"/proc/{pid.read_text()}").exists()
    bucket = platform.cloud.deployment.output("ResultsBucket")
    objects = platform.cloud.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"results/{run_id}")
    assert [each["Key"].rpartition("/")[2] for each in objects["Contents"]] == ["manifest.json"]


KEEPS_THE_ORDER = (
    "import os, pathlib; pathlib.Path({kept!r}).write_text(os.environ['GLOVEBOX_ORDER']); raise SystemExit(1)"
)


@pytest.fixture(scope="module")
def order(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What an outlet holds: real forms of the deployed bucket, whose scan has ended without them."""
    kept = tmp_path_factory.mktemp("order") / "order"
    platform.commands["outlet"] = (sys.executable, "-c", KEEPS_THE_ORDER.format(kept=str(kept)))
    try:
        platform.completed(platform.launch("good.fleet.test"))
    finally:
        platform.commands.clear()
    decoded: dict[str, dict[str, object]] = json.loads(base64.b64decode(kept.read_text()))
    return decoded


@pytest.mark.parametrize(
    ("form", "size", "fields", "status"),
    [
        pytest.param("report", 10, {"key": "results/elsewhere/1/report.jsonl"}, 403, id="another key"),
        pytest.param("report", 10, {"Content-Type": "text/html"}, 403, id="another type"),
        pytest.param("report", 0, {}, 400, id="empty"),
        pytest.param("manifest", MAX_MANIFEST_BYTES + 1, {}, 400, id="too large"),
        pytest.param("report", 10, {"acl": "public-read"}, 403, id="public"),
        pytest.param("report", 10, {"x-amz-signature": "0" * 64}, 403, id="forged"),
        pytest.param("report", 10, {}, 204, id="as granted"),
    ],
)
def test_the_upload_forms_of_the_deployed_bucket_are_held_to(
    platform: Platform,
    order: dict[str, dict[str, object]],
    form: str,
    size: int,
    fields: dict[str, str],
    status: int,
) -> None:
    granted = order[form]
    assert isinstance(granted["fields"], dict)
    answer = requests.post(
        str(granted["url"]),
        data={**granted["fields"], **fields},
        files={"file": ("report", b"x" * size)},
        verify=str(platform.cloud.aws.authority),
        timeout=TIMEOUT,
    )
    assert answer.status_code == status, answer.text


# ---------------------------------------------------------------- the command


def test_an_interrupt_ends_every_child(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "glovebox.cli.main", "up", "--engine", "process"],
            cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + RUN_SECONDS
    while b"Page" not in output.read_bytes():
        assert up.poll() is None, output.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = descendants(up.pid)
    commands = " ".join(command_of(pid) for pid in children)
    assert "hypercorn" in commands
    assert "glovebox.farm" in commands
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 128 + signal.SIGINT
    assert [command_of(pid) for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert "Traceback" not in output.read_text()


def descendants(pid: int) -> Sequence[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split() if int(child) not in found]
    return found + [below for child in found for below in descendants(child)]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""
