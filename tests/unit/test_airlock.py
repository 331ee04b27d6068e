"""The containers' entry points as real processes, with a bucket on loopback and hostile leavings."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from containers.outlet.inspection import MAX_ENTRIES, TAIL_BYTES, log_tail
from glovebox.scans.model import MAX_REQUEST_BYTES, Manifest, OutletOrder, SiteScanRequest, SiteTarget
from glovebox.scans.report import ReportReader
from glovebox.siteaudit.record import Dns
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings
from tests.airlock_server import Bucket, bucket

ROOT = Path(__file__).resolve().parents[2]
SCAN = "20260304T050607Z-0badcafe-0000"
DATE = "2026-03-04T05:06:07Z"
HERE = Resolution(dns=Dns(addresses=["127.0.0.1"]))
REPORT_KEY, MANIFEST_KEY = f"results/{SCAN}/1/report.jsonl", f"results/{SCAN}/1/manifest.json"
MOST = 100_000
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the containers are Linux's")


@pytest.fixture
def s3() -> Iterator[Bucket]:
    with bucket() as made:
        yield made


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    return tmp_path


def environment(folders: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "GLOVEBOX_IN": str(folders / "in"),
        "GLOVEBOX_OUT": str(folders / "out"),
        # A proxy that leads nowhere: nobody may ask it.
        "http_proxy": "http://127.0.0.1:1",
        **more,
    }


def run(container: str, folders: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"containers.{container}"],
        env=environment(folders, **more),
        cwd=folders,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def request(*hosts: str, **settings: object) -> SiteScanRequest:
    # Nothing answers at port 9 of loopback: an audit of that is quick and needs no network.
    audit = AuditSettings(http_port=9, https_port=9, **settings)
    targets = [SiteTarget(host=host, resolution=HERE) for host in hosts]
    return SiteScanRequest(scan_id=SCAN, attempt=1, scan_date=DATE, targets=targets, settings=audit)


# ---------------------------------------------------------------- inlet


def test_the_inlet_lays_the_request_down_read_only(s3: Bucket, folders: Path) -> None:
    s3.objects["request.json"] = msgspec.json.encode(request("a.example.com"))
    done = run("inlet", folders, GLOVEBOX_REQUEST_URL=s3.url("request.json"))
    path = folders / "in" / "request.json"
    assert (done.returncode, done.stdout) == (0, "")
    assert msgspec.json.decode(path.read_bytes(), type=SiteScanRequest).hosts == ["a.example.com"]
    assert path.stat().st_mode & 0o777 == 0o444


def test_the_inlet_waits_for_a_request_that_is_not_there_yet(s3: Bucket, folders: Path) -> None:
    s3.objects["request.json"] = msgspec.json.encode(request("a.example.com"))
    s3.answers = [403, 404]
    assert run("inlet", folders, GLOVEBOX_REQUEST_URL=s3.url("request.json")).returncode == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{}", "no request"),
        (b"not JSON", "no request"),
        (b'{"scanId":"x","unknown":1}', "no request"),
        (b" " * (MAX_REQUEST_BYTES + 1), "larger than any request"),
    ],
    ids=["empty", "no JSON", "unknown field", "too large"],
)
def test_the_inlet_ends_the_task_for_what_is_no_request(
    s3: Bucket, folders: Path, body: bytes, said: str
) -> None:
    s3.objects["request.json"] = body
    done = run("inlet", folders, GLOVEBOX_REQUEST_URL=s3.url("request.json"))
    assert done.returncode == 1
    assert said in done.stdout
    assert list((folders / "in").iterdir()) == []


def test_the_inlet_follows_no_redirect_and_tells_no_secret(s3: Bucket, folders: Path) -> None:
    s3.objects["elsewhere"] = msgspec.json.encode(request("a.example.com"))
    s3.answers = [302]
    done = run("inlet", folders, GLOVEBOX_REQUEST_URL=s3.url("request.json"))
    assert done.returncode == 1
    assert "302" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_the_inlet_names_the_variable_that_is_missing(folders: Path) -> None:
    done = run("inlet", folders)
    assert done.returncode == 1
    assert "GLOVEBOX_REQUEST_URL" in done.stdout


# ---------------------------------------------------------------- siteaudit


def start_audit(folders: Path, asked: SiteScanRequest) -> subprocess.Popen[str]:
    (folders / "in" / "request.json").write_bytes(msgspec.json.encode(asked))
    return subprocess.Popen(
        [sys.executable, "-m", "containers.siteaudit"],
        env=environment(folders),
        cwd=folders,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_auditor_writes_a_record_for_every_host_and_its_exit_code(folders: Path) -> None:
    hosts = ["a.example.com", "b.example.com"]
    with start_audit(folders, request(*hosts)) as process:
        assert process.communicate(timeout=90)[0] == ""
    reader = ReportReader(hosts, DATE)
    with (folders / "out" / "report.jsonl").open("rb") as report:
        assert len(list(reader.records(report))) == 2
    assert reader.rejected == []
    assert json.loads((folders / "out" / "exit.json").read_bytes()) == {"exit": 0}
    assert process.returncode == 0
    assert "2 of 2 sites audited" in (folders / "out" / "scanner.log").read_text()


def test_the_auditor_refuses_a_request_that_is_none(folders: Path) -> None:
    (folders / "in" / "request.json").write_bytes(b"{}")
    assert run("siteaudit", folders).returncode == 2
    assert json.loads((folders / "out" / "exit.json").read_bytes()) == {"exit": 2}
    assert "the request cannot be read" in (folders / "out" / "scanner.log").read_text()


def test_a_killed_auditor_leaves_its_report_and_no_exit_code(folders: Path, s3: Bucket) -> None:
    """Its site accepts a connection and never answers, so it is killed in the middle."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        asked = request("a.example.com")
        port = mute.getsockname()[1]
        patient = msgspec.structs.replace(asked.settings, https_port=port, handshake_timeout=300.0)
        with start_audit(folders, msgspec.structs.replace(asked, settings=patient)) as process:
            mute.settimeout(60)
            connection, _ = mute.accept()
            process.kill()
            process.communicate(timeout=30)
            connection.close()
    assert (folders / "out" / "report.jsonl").exists()
    assert not (folders / "out" / "exit.json").exists()
    assert send(s3, folders).returncode == 0
    assert (manifest_of(s3).scanner_exit, manifest_of(s3).reason) == (None, "the report is empty")


# ---------------------------------------------------------------- outlet


def order(s3: Bucket) -> str:
    made = OutletOrder(
        scan_id=SCAN,
        attempt=1,
        report=s3.form(REPORT_KEY, "application/x-ndjson", MOST),
        manifest=s3.form(MANIFEST_KEY, "application/json", 64 << 10),
        max_report_bytes=MOST,
    )
    return base64.b64encode(msgspec.json.encode(made)).decode()


def send(s3: Bucket, folders: Path) -> subprocess.CompletedProcess[str]:
    return run("outlet", folders, GLOVEBOX_ORDER=order(s3))


def manifest_of(s3: Bucket) -> Manifest:
    return msgspec.json.decode(s3.objects[MANIFEST_KEY], type=Manifest)


def leave(folders: Path, report: bytes = b'{"a":1}\n{"b":2}', code: int | None = 0) -> Path:
    """What an honest scanner leaves."""
    out = folders / "out"
    (out / "report.jsonl").write_bytes(report)
    (out / "scanner.log").write_text("2 of 2 sites audited\n")
    if code is not None:
        (out / "exit.json").write_text(json.dumps({"exit": code}))
    return out


def test_the_outlet_uploads_the_report_and_then_a_manifest_that_fits_it(s3: Bucket, folders: Path) -> None:
    body = b'{"a":1}\n{"b":2}'
    leave(folders, body)
    done = send(s3, folders)
    assert done.returncode == 0
    assert s3.uploads == [REPORT_KEY, MANIFEST_KEY]
    assert s3.objects[REPORT_KEY] == body
    assert manifest_of(s3) == Manifest(
        scan_id=SCAN,
        attempt=1,
        report_uploaded=True,
        report_bytes=len(body),
        report_sha256=hashlib.sha256(body).hexdigest(),
        report_lines=2,
        scanner_exit=0,
        log_tail="2 of 2 sites audited",
    )
    assert "secret" not in done.stdout + done.stderr


def test_a_killed_scanner_still_gets_a_manifest_that_says_so_and_its_partial_report(
    s3: Bucket, folders: Path
) -> None:
    leave(folders, b'{"a":1}\n{"b"', code=None)
    assert send(s3, folders).returncode == 0
    assert (manifest_of(s3).scanner_exit, manifest_of(s3).report_uploaded) == (None, True)
    assert manifest_of(s3).report_lines == 2


def unfit(s3: Bucket, folders: Path) -> str:
    """The reason for which the outlet uploads a manifest and no report."""
    assert send(s3, folders).returncode == 0
    assert s3.uploads == [MANIFEST_KEY]
    assert not manifest_of(s3).report_uploaded
    return manifest_of(s3).reason


def test_without_a_report_the_manifest_says_so(s3: Bucket, folders: Path) -> None:
    assert unfit(s3, folders) == "there is no report.jsonl"


def test_an_empty_report_is_none(s3: Bucket, folders: Path) -> None:
    leave(folders, b"")
    assert unfit(s3, folders) == "the report is empty"


def test_a_report_that_is_too_large_stays_inside(s3: Bucket, folders: Path) -> None:
    leave(folders, b"x" * (MOST + 1))
    assert "larger than" in unfit(s3, folders)


def test_a_report_that_is_a_link_is_not_followed(s3: Bucket, folders: Path) -> None:
    out = leave(folders)
    (folders / "precious").write_text("somebody else's")
    (out / "report.jsonl").unlink()
    (out / "report.jsonl").symlink_to(folders / "precious")
    assert "cannot be opened" in unfit(s3, folders)


def test_a_report_with_a_second_name_stays_inside(s3: Bucket, folders: Path) -> None:
    out = leave(folders)
    (out / "other").hardlink_to(out / "report.jsonl")
    assert unfit(s3, folders) == "report.jsonl is no plain file"


def test_a_report_that_is_a_pipe_is_not_waited_for(s3: Bucket, folders: Path) -> None:
    out = leave(folders)
    (out / "report.jsonl").unlink()
    os.mkfifo(out / "report.jsonl")
    assert unfit(s3, folders) == "report.jsonl is no plain file"


def test_a_report_that_is_a_folder_stays_inside(s3: Bucket, folders: Path) -> None:
    out = leave(folders)
    (out / "report.jsonl").unlink()
    (out / "report.jsonl").mkdir()
    assert unfit(s3, folders) == "report.jsonl is no plain file"


def test_links_and_crowds_beside_the_report_are_told(s3: Bucket, folders: Path) -> None:
    out = leave(folders)
    (out / "link").symlink_to("/etc/passwd")
    assert send(s3, folders).returncode == 0
    assert manifest_of(s3).reason == "the scanner left links or devices"
    (out / "link").unlink()
    for number in range(MAX_ENTRIES):
        (out / f"file-{number}").touch()
    assert send(s3, folders).returncode == 0
    assert manifest_of(s3).reason == f"the scanner left more than {MAX_ENTRIES} files"


@pytest.mark.parametrize(
    "content",
    [b"", b"0", b'{"exit":"0"}', b'{"exit":99999}', b"[" * 2_000, b"\xff", b'{"exit":0}' + b" " * 5_000],
)
def test_an_exit_code_that_is_none_counts_as_killed_or_as_what_stands_first(
    s3: Bucket, folders: Path, content: bytes
) -> None:
    (leave(folders) / "exit.json").write_bytes(content)
    assert send(s3, folders).returncode == 0
    assert manifest_of(s3).scanner_exit in ((0,) if content.startswith(b'{"exit":0}') else (None,))


def test_the_logs_tail_is_bounded_and_holds_no_secrets(folders: Path) -> None:
    log = folders / "out" / "scanner.log"
    log.write_text(
        "x" * (2 * TAIL_BYTES)
        + "\nGET https://user:pw@example.com/a https://example.com/?token=abc\n"
        + "AKIAIOSFODNN7EXAMPLE Authorization: Bearer abc.def password=hunter2\n"
        + "\x1b[31mred\x1b[0m \u202edone\n"
    )
    tail = log_tail(folders / "out")
    for secret in ("pw@", "abc", "AKIA", "hunter2", "\x1b", "\u202e", "xxx"):
        assert secret not in tail
    assert tail.endswith("red done")


def test_a_log_that_is_a_link_is_not_read(folders: Path) -> None:
    (folders / "out" / "scanner.log").symlink_to("/etc/passwd")
    assert log_tail(folders / "out") == ""


def test_the_outlet_tries_again_where_the_bucket_stumbles(s3: Bucket, folders: Path) -> None:
    leave(folders)
    s3.answers = [503]
    assert send(s3, folders).returncode == 0
    assert s3.uploads == [REPORT_KEY, MANIFEST_KEY]


def test_an_upload_that_is_refused_fails_the_task_and_leaves_no_manifest(s3: Bucket, folders: Path) -> None:
    leave(folders)
    s3.answers = [403]
    done = send(s3, folders)
    assert done.returncode == 1
    assert "answered 403" in done.stdout
    assert s3.uploads == []
    assert "secret" not in done.stdout + done.stderr


def test_an_upload_that_is_redirected_is_not_taken_for_one(s3: Bucket, folders: Path) -> None:
    leave(folders)
    s3.answers = [307]
    assert send(s3, folders).returncode == 1


@pytest.mark.parametrize("text", ["", "***", base64.b64encode(b"{}").decode()])
def test_the_outlet_needs_an_order(folders: Path, text: str) -> None:
    done = run("outlet", folders, GLOVEBOX_ORDER=text)
    assert done.returncode == 1
    assert "GLOVEBOX_ORDER" in done.stdout


SHOW_STATUS = """
from glovebox.scans.airlock import no_new_privileges
no_new_privileges()
print(open("/proc/self/status").read())
"""


def test_every_entry_point_gives_up_new_privileges_before_anything_else(folders: Path) -> None:
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            SHOW_STATUS,
        ],
        env=environment(folders),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "NoNewPrivs:\t1" in shown.stdout
    for name in ("inlet", "siteaudit", "outlet"):
        source = (ROOT / "containers" / name / "__main__.py").read_text()
        main = source[source.index("def main()") :]
        assert main.splitlines()[1].strip() == "no_new_privileges()"
