"""The inlet of an account's scan: a real process that claims from a bucket on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
import requests

from containers.inlet.account import ENVELOPE_SECONDS, ENVELOPE_WAITS
from containers.inlet.bucket import Bucket as Inlets
from glovebox.envelopes.credentials import encode
from glovebox.envelopes.sealing import MAX_ENVELOPE_BYTES, KeyPair, seal
from glovebox.errors import UpstreamError
from glovebox.scans.accounts import AccountTarget
from tests.airlock_account import PEM, account_request, redeeming
from tests.airlock_server import Bucket, bucket
from tests.envelopes import (
    ACCOUNT,
    GATEWAY,
    KEY,
    OTHER_ACCOUNT,
    OTHER_SCAN,
    SCAN,
    SECRET,
    TOKEN,
    credentials,
    ticket,
)

ROOT = Path(__file__).resolve().parents[2]
FILES = {"authorities.pem", "config", "credentials", "environment", "request.json"}
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the containers are Linux's")


@pytest.fixture
def s3() -> Iterator[Bucket]:
    with bucket() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def run(s3: Bucket, folder: Path, without: str = "") -> subprocess.CompletedProcess[str]:
    urls = {
        "GLOVEBOX_REQUEST_URL": s3.url("request.json"),
        "GLOVEBOX_CLAIM_URL": s3.url("claim.json"),
        "GLOVEBOX_ENVELOPE_URL": s3.url("envelope.json"),
    }
    urls.pop(without, None)
    return subprocess.run(
        [sys.executable, "-m", "containers.inlet"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "GLOVEBOX_IN": str(folder),
            # A proxy that leads nowhere: nobody may ask it.
            "http_proxy": "http://127.0.0.1:1",
            **urls,
        },
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def assert_no_secret(done: subprocess.CompletedProcess[str]) -> None:
    for secret in (SECRET, TOKEN, ticket().password, "X-Amz-Signature"):
        assert secret not in done.stdout + done.stderr


def assert_nothing_for_the_scanner(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert done.returncode == 1
    assert list(folder.iterdir()) == []
    assert_no_secret(done)


def test_an_sdk_finds_the_credentials_and_the_gateway_in_files_that_nobody_can_write(
    s3: Bucket, folder: Path
) -> None:
    s3.objects["request.json"], s3.on_put = account_request(), redeeming(s3)
    done = run(s3, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        FILES, 0o444
    )
    assert (folder / "authorities.pem").read_text() == PEM
    values = sourced(folder)
    assert values["HTTPS_PROXY"] == ticket().url(GATEWAY)
    assert values["GLOVEBOX_REGIONS"] == "eu-west-1 us-east-1"
    assert {values[name] for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")} == {
        str(folder / "authorities.pem")
    }


def sourced(folder: Path) -> dict[str, str]:
    """What a scanner's shell has after sourcing the environment, with nothing before."""
    script = f". {folder}/environment; exec env -0"
    done = subprocess.run(["/bin/sh", "-c", script], env={}, capture_output=True, text=True, check=True)
    pairs = (line.partition("=") for line in done.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs}


def test_botocore_reads_them_by_the_environment_alone(
    s3: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.objects["request.json"], s3.on_put = account_request(), redeeming(s3)
    assert run(s3, folder).returncode == 0
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in sourced(folder).items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    session = botocore.session.Session()
    found = session.get_credentials()
    assert found is not None
    assert (found.access_key, found.secret_key, found.token) == (KEY, SECRET, TOKEN)
    assert session.get_config_variable("region") == "eu-west-1"
    assert session.get_config_variable("ca_bundle") == str(folder / "authorities.pem")
    for service, region, host in (
        ("s3", "us-east-1", "s3.us-east-1.amazonaws.com"),
        ("dynamodb", "eu-west-1", "dynamodb.eu-west-1.amazonaws.com"),
        ("sts", "us-east-1", "sts.us-east-1.amazonaws.com"),
    ):
        client = session.create_client(service, region_name=region)
        assert client.meta.endpoint_url == f"https://{host}"
        if service == "s3":
            url = client.generate_presigned_url("get_bucket_acl", Params={"Bucket": "a-bucket"})
            assert url.startswith(f"https://{host}/a-bucket?")
        if service == "dynamodb":
            assert client.meta.config.account_id_endpoint_mode == "disabled"


def test_a_shards_services_are_words_for_the_scanners_shell(s3: Bucket, folder: Path) -> None:
    s3.on_put = redeeming(s3)
    shard = AccountTarget(
        account=ACCOUNT, regions=["eu-west-1"], services=["s3", "iam"], without=["ec2", "kms"]
    )
    s3.objects["request.json"] = account_request(target=shard)
    assert run(s3, folder).returncode == 0
    values = sourced(folder)
    assert (values["GLOVEBOX_SERVICES"], values["GLOVEBOX_WITHOUT"]) == ("s3 iam", "ec2 kms")


def test_without_a_gateway_nothing_speaks_of_a_proxy(s3: Bucket, folder: Path) -> None:
    s3.objects["request.json"], s3.on_put = account_request(), redeeming(s3, credentials(gateway=""))
    assert run(s3, folder).returncode == 0
    values = sourced(folder)
    assert not [name for name in values if "proxy" in name.lower()]
    assert ticket().password not in "".join(values.values())
    assert (values["GLOVEBOX_SERVICES"], values["GLOVEBOX_WITHOUT"]) == ("", "")


def test_a_second_attempt_opens_what_is_sealed_for_the_second(s3: Bucket, folder: Path) -> None:
    s3.objects["request.json"], s3.on_put = account_request(attempt=2), redeeming(s3, attempt=2)
    assert run(s3, folder).returncode == 0


def test_the_inlet_waits_for_its_envelope(s3: Bucket, folder: Path) -> None:
    s3.objects["request.json"], s3.on_put = account_request(), redeeming(s3)
    s3.answers = [200, 200, 403, 404, 503]
    assert run(s3, folder).returncode == 0


def test_a_claim_whose_answer_was_lost_is_still_the_inlets_own(s3: Bucket, folder: Path) -> None:
    s3.objects["request.json"], s3.on_put = account_request(), redeeming(s3)
    s3.lose_answers = 1
    done = run(s3, folder)
    assert done.returncode == 0
    assert json.loads(done.stdout)["message"] == "put already"


def test_where_somebody_else_claimed_the_envelope_stays_shut_and_the_task_ends(
    s3: Bucket, folder: Path
) -> None:
    s3.objects["request.json"] = account_request()
    s3.objects["claim.json"] = b"somebody else's"
    s3.objects["envelope.json"] = seal(KeyPair().public, encode(credentials()), scan_id=SCAN, attempt=1)
    done = run(s3, folder)
    assert_nothing_for_the_scanner(done, folder)
    assert json.loads(done.stdout.splitlines()[-1])["error"] == "ForeignEnvelopeError"


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ({"scan_id": OTHER_SCAN}, "ForeignEnvelopeError"),
        ({"attempt": 2}, "ForeignEnvelopeError"),
        ({"given": credentials(account=OTHER_ACCOUNT)}, "MalformedCredentialsError"),
        ({"given": SECRET.encode()}, "MalformedCredentialsError"),
    ],
    ids=["another scan", "another attempt", "another account", "no credentials"],
)
def test_what_is_sealed_for_something_else_is_laid_down_nowhere(
    s3: Bucket, folder: Path, what: dict[str, object], error: str
) -> None:
    s3.objects["request.json"] = account_request()
    s3.on_put = redeeming(s3, **what)  # type: ignore[arg-type]  # made up by name
    done = run(s3, folder)
    assert_nothing_for_the_scanner(done, folder)
    assert json.loads(done.stdout)["error"] == error


@pytest.mark.parametrize("body", [b"{}", b" " * (MAX_ENVELOPE_BYTES + 1)], ids=["no envelope", "too large"])
def test_what_is_no_envelope_ends_the_task(s3: Bucket, folder: Path, body: bytes) -> None:
    s3.objects["request.json"], s3.objects["envelope.json"] = account_request(), body
    assert_nothing_for_the_scanner(run(s3, folder), folder)


def test_authorities_that_are_none_end_the_task_before_a_secret_is_written(s3: Bucket, folder: Path) -> None:
    s3.objects["request.json"], s3.on_put = account_request(authorities="none"), redeeming(s3)
    assert_nothing_for_the_scanner(run(s3, folder), folder)


@pytest.mark.parametrize("status", [302, 403])
def test_a_claim_that_the_bucket_refuses_ends_the_task_at_once(s3: Bucket, folder: Path, status: int) -> None:
    s3.objects["request.json"], s3.answers = account_request(), [200, status]
    done = run(s3, folder)
    assert_nothing_for_the_scanner(done, folder)
    assert f"The claim cannot be put: the bucket answered {status}." in done.stdout


@pytest.mark.parametrize("variable", ["GLOVEBOX_CLAIM_URL", "GLOVEBOX_ENVELOPE_URL"])
def test_a_missing_address_is_named_before_anything_is_claimed(
    s3: Bucket, folder: Path, variable: str
) -> None:
    s3.objects["request.json"] = account_request()
    done = run(s3, folder, without=variable)
    assert_nothing_for_the_scanner(done, folder)
    assert variable in done.stdout
    assert "claim.json" not in s3.objects


def test_a_file_that_is_there_before_us_ends_the_task(s3: Bucket, folder: Path) -> None:
    s3.objects["request.json"], s3.on_put = account_request(), redeeming(s3)
    (folder / "credentials").write_text("theirs")
    done = run(s3, folder)
    assert done.returncode == 1
    assert (folder / "credentials").read_text() == "theirs"
    assert_no_secret(done)


def test_waiting_for_an_envelope_ends_in_time(s3: Bucket) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    with requests.Session() as session, pytest.raises(UpstreamError, match="answered 404"):
        Inlets(session, sleep, lambda: now).get(
            s3.url("envelope.json"), what="envelope", most=9, waits=ENVELOPE_WAITS, seconds=ENVELOPE_SECONDS
        )
    assert ENVELOPE_SECONDS <= now <= ENVELOPE_SECONDS + max(ENVELOPE_WAITS)
