"""Snapshots from the look-alike of GitHub into S3 as moto plays it: what is kept, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import requests
from botocore.exceptions import EndpointConnectionError

from glovebox.adapters.aws import client
from glovebox.adapters.github import AppCredentials, GitHub
from glovebox.adapters.github_http import Http
from glovebox.adapters.github_secret import GitHubSecret
from glovebox.adapters.s3_snapshots import PART, S3Snapshots
from glovebox.errors import ConfigurationError, InputError, UpstreamError
from glovebox.local.github import AppKey, HostedRepository, LookAlike
from glovebox.registry.model import Repository
from glovebox.scans.repositories import Gap, Snapshot, SnapshotAnswer, SnapshotOrder
from glovebox.services.repository_sync import Synced
from glovebox.services.snapshot import LIFE, SnapshotService, Swept, fingerprint_key
from tests.registry import FakeTargets
from tests.snapshots import archive_of, entry, read

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SHOP = "github.com/acme/shop"
BUCKET = "snapshots"
KEY = "k" * 64
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
FILES = {
    ".gitattributes": b"/internal export-ignore\n",
    "app.py": b"x = 1  # trufflehog:ignore\ny = 2 # trivy:ignore:AVD-1\nz = 3 # trivy:ignore\n",
    "internal/secret.py": b"key\n",
    "model.bin": POINTER,
}
ORDER = SnapshotOrder(run_id="run-1", repository=SHOP)


@pytest.fixture(scope="module")
def app() -> AppKey:
    return AppKey.made()


@pytest.fixture
def s3(aws: None) -> S3Client:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return made


@pytest.fixture
def host(app: AppKey) -> LookAlike:
    shop = HostedRepository(number=7, files=FILES, submodules={"lib/other": "9" * 40}, links={"out": "/etc"})
    return LookAlike(app, {"acme/shop": shop})


@pytest.fixture
def service(s3: S3Client, host: LookAlike, app: AppKey) -> Iterator[SnapshotService]:
    with host.serving() as api:
        credentials = AppCredentials(app.id, app.private_key)
        yield SnapshotService(
            host=GitHub(
                lambda: credentials, host="github.com", api=api, http=Http(api, sleep=lambda _: None)
            ),
            store=S3Snapshots(s3, BUCKET),
            registry=FakeTargets(),
            fingerprint_key=lambda: KEY,
            clock=lambda: NOW,
        )


@pytest.fixture(autouse=True)
def _real_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto looks at every request; those to the look-alike are to pass."""
    from moto.core.models import responses_mock

    responses_mock.add_passthru("http://127.0.0.1")


def kept(s3: S3Client) -> list[str]:
    """Every object, and every upload that nobody has ended."""
    objects = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return objects + [each["Key"] for each in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def taken(answer: object) -> Snapshot:
    assert isinstance(answer, SnapshotAnswer)
    assert answer.snapshot is not None, answer.failure
    return answer.snapshot


def test_a_snapshot_is_an_archive_in_the_bucket_with_all_that_is_known_of_it(
    service: SnapshotService, s3: S3Client, host: LookAlike
) -> None:
    answer = service.handle({"snapshot": {"runId": "run-1", "repository": SHOP}})
    snapshot = taken(answer)
    body = s3.get_object(Bucket=BUCKET, Key=snapshot.key)["Body"].read()
    archive, _ = read(body)
    folder = hashlib.sha256(f"{SHOP}\0".encode()).hexdigest()[:16]
    assert snapshot.key.startswith(f"snapshots/run-1/{folder}/{snapshot.commit}.")
    assert snapshot.commit == archive.commit == host.repositories["acme/shop"].commit()
    assert (snapshot.size, snapshot.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert (snapshot.files, snapshot.unpacked) == (3, sum(map(len, FILES.values())) - 4)
    assert snapshot.gaps == [
        Gap(kind="lfs", path="model.bin"),
        Gap(kind="export-ignored", path="internal/secret.py"),
        Gap(kind="submodule", path="lib/other"),
    ]
    assert snapshot.gap_counts == {"lfs": 1, "export-ignored": 1, "submodule": 1}
    assert snapshot.ignores == {"trivy": 2, "trufflehog": 1}
    assert snapshot.taken_at == "2026-03-04T05:06:07Z"
    assert isinstance(answer, SnapshotAnswer)
    assert answer.fingerprint_key == fingerprint_key(KEY, SHOP)
    assert requests.get(answer.url, timeout=10).content == body


def test_scans_of_one_run_share_a_snapshot_and_other_runs_do_not(
    service: SnapshotService, s3: S3Client
) -> None:
    first = taken(service.take(ORDER))
    assert taken(service.take(ORDER)) == first
    other = taken(service.take(SnapshotOrder(run_id="run-2", repository=SHOP)))
    assert other.key != first.key
    assert len(kept(s3)) == 4


def test_two_at_once_of_one_run_end_with_the_first_one_s(service: SnapshotService, s3: S3Client) -> None:
    store = service.store
    both = threading.Barrier(2)
    found: list[Snapshot] = []

    class Waiting(S3Snapshots):
        def record(self, key: str, snapshot: Snapshot) -> bool:
            both.wait(30)
            return super().record(key, snapshot)

    assert isinstance(store, S3Snapshots)
    twice = SnapshotService(
        host=service.host,
        store=Waiting(s3, BUCKET),
        registry=service.registry,
        fingerprint_key=service.fingerprint_key,
        clock=service.clock,
    )
    threads = [threading.Thread(target=lambda: found.append(taken(twice.take(ORDER)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    first, second = found
    assert first == second
    assert sorted(kept(s3)) == sorted([first.key, f"{first.key.rpartition('/')[0]}/snapshot.json"])


@pytest.mark.parametrize(
    ("fault", "class_", "again"),
    [
        ("truncated", "snapshot_damaged", True),
        ("wrong_commit", "snapshot_damaged", True),
        ("unavailable", "host_unavailable", True),
        ("rate_limited", "rate_limited", True),
        ("suspended", "access_denied", False),
    ],
)
def test_a_failure_is_an_answer_and_leaves_nothing(
    service: SnapshotService, s3: S3Client, host: LookAlike, fault: str, class_: str, again: bool
) -> None:
    setattr(host.faults, fault, True if isinstance(getattr(host.faults, fault), bool) else 1_000)
    failure = service.take(ORDER).failure
    assert failure is not None
    assert (failure.failure_class, failure.again) == (class_, again)
    assert failure.reason
    assert failure.fix
    assert kept(s3) == []


def test_an_archive_that_is_rewritten_is_told(service: SnapshotService, host: LookAlike) -> None:
    """As `working-tree-encoding` does it."""
    commit = host.repositories["acme/shop"].commit()
    kept_ = {path: body for path, body in FILES.items() if not path.startswith("internal/")}
    told = {**kept_, "app.py": FILES["app.py"].decode().encode("cp037")}
    host.faults.archives["acme/shop"] = archive_of(told, commit=commit)
    snapshot = taken(service.take(ORDER))
    assert Gap(kind="rewritten", path="app.py") in snapshot.gaps
    assert snapshot.gap_counts["rewritten"] == 1


def test_a_lost_answer_to_the_record_s_writing_leaves_the_archive(
    service: SnapshotService, s3: S3Client
) -> None:
    """S3 wrote it, and boto's second try meets the record that is its own."""

    class Losing(S3Snapshots):
        def record(self, key: str, snapshot: Snapshot) -> bool:
            assert super().record(key, snapshot)
            return super().record(key, snapshot)

    losing = replace(service, store=Losing(s3, BUCKET))
    assert taken(losing.take(ORDER)).key in kept(s3)


def test_where_nobody_knows_whether_it_is_on_record_the_archive_stays(
    service: SnapshotService, s3: S3Client
) -> None:
    class Broken(S3Snapshots):
        def record(self, key: str, snapshot: Snapshot) -> bool:
            assert super().record(key, snapshot)
            raise UpstreamError("No answer.")

    with pytest.raises(UpstreamError, match="No answer"):
        replace(service, store=Broken(s3, BUCKET)).take(ORDER)
    assert taken(service.take(ORDER)).key in kept(s3)


def test_a_missing_key_of_fingerprints_is_an_answer_before_anything_is_taken(
    service: SnapshotService, s3: S3Client, host: LookAlike
) -> None:
    secret = GitHubSecret(lambda: "{}")
    failure = replace(service, fingerprint_key=secret.fingerprint_key).take(ORDER).failure
    assert failure is not None
    assert (failure.failure_class, failure.again) == ("access_denied", False)
    assert "fingerprints" in failure.reason
    assert host.requests == []
    assert kept(s3) == []


def test_a_snapshot_is_swept_by_its_record_s_age_and_the_record_first(s3: S3Client) -> None:
    """Moments between an archive and its record decide nothing."""
    deleted: list[str] = []
    old, young = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    told = {
        "snapshots/r/a/1.tar.gz": old,
        "snapshots/r/a/2.tar.gz": young,
        "snapshots/r/a/snapshot.json": old,
        "snapshots/r/b/1.tar.gz": old,
        "snapshots/r/b/snapshot.json": young,
        "snapshots/r/c/1.tar.gz": old,
        "snapshots/r/d/1.tar.gz": young,
    }

    class Listing(S3Snapshots):
        def _written(self) -> Iterator[tuple[str, datetime]]:
            yield from told.items()

    s3.meta.events.register(
        "before-call.s3.DeleteObject", lambda params, **_: deleted.append(params["url_path"])
    )
    assert Listing(s3, BUCKET).sweep(NOW) == 4
    assert [each.partition("/snapshots/")[2] for each in deleted] == [
        "r/a/snapshot.json",
        "r/a/1.tar.gz",
        "r/a/2.tar.gz",
        "r/c/1.tar.gz",
    ]


def _archive(host: LookAlike, **files: bytes) -> bytes:
    return archive_of(files, commit=host.repositories["acme/shop"].commit())


@pytest.mark.parametrize("what", ["foreign", "bomb", "hard link", "trailing"])
def test_an_archive_that_is_not_the_commit_s_leaves_nothing(
    service: SnapshotService, s3: S3Client, host: LookAlike, what: str
) -> None:
    commit = host.repositories["acme/shop"].commit()
    host.faults.archives["acme/shop"] = {
        "foreign": _archive(host, planted=b"not in the commit"),
        "bomb": archive_of({"app.py": bytes(64 << 20)}, commit=commit),
        "hard link": archive_of({}, entry("acme-shop-0123456/x", kind=b"1", target="app.py"), commit=commit),
        "trailing": _archive(host) + b"x",
    }[what]
    failure = service.take(ORDER).failure
    assert failure is not None
    assert (
        failure.failure_class
        == {
            "foreign": "snapshot_refused",
            "bomb": "snapshot_too_large",
            "hard link": "snapshot_refused",
            "trailing": "snapshot_damaged",
        }[what]
    )
    assert kept(s3) == []


def test_a_tree_that_the_host_cut_off_makes_the_rest_uncompared(
    service: SnapshotService, host: LookAlike
) -> None:
    host.faults.truncated_trees = True
    assert taken(service.take(ORDER)).gap_counts["uncompared"] == 1


def test_a_large_archive_goes_up_in_parts(s3: S3Client) -> None:
    store = S3Snapshots(s3, BUCKET)
    data = bytes(range(256)) * ((2 * PART + 1_000) // 256)
    with store.upload("snapshots/x") as upload:
        for start in range(0, len(data), 1 << 20):
            upload.write(data[start : start + (1 << 20)])
    found = s3.get_object(Bucket=BUCKET, Key="snapshots/x")
    assert found["ETag"].strip('"').endswith("-3")
    assert found["Body"].read() == data


def test_an_upload_that_fails_leaves_nothing(s3: S3Client) -> None:
    """Whether the bytes end early or S3 does not take them."""
    store = S3Snapshots(s3, BUCKET)

    def uploaded(broken: bool) -> None:
        with store.upload("snapshots/x") as upload:
            upload.write(bytes(2 * PART))
            if broken:
                raise UpstreamError("broken")

    with pytest.raises(UpstreamError, match="broken"):
        uploaded(broken=True)
    assert kept(s3) == []

    def refuse(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://s3.invalid")

    s3.meta.events.register("before-call.s3.UploadPart", refuse)
    with pytest.raises(UpstreamError, match="part of a snapshot"):
        uploaded(broken=False)
    assert kept(s3) == []


def test_the_first_record_stands(s3: S3Client, service: SnapshotService) -> None:
    store = S3Snapshots(s3, BUCKET)
    snapshot = taken(service.take(ORDER))
    assert store.recorded("snapshots/none") is None
    assert store.record("snapshots/one", snapshot)
    assert not store.record("snapshots/one", snapshot)
    assert store.recorded("snapshots/one") == snapshot


def test_old_snapshots_are_swept_and_young_ones_stay(service: SnapshotService, s3: S3Client) -> None:
    taken(service.take(ORDER))
    assert service.handle({"sweep": True}) == Swept(0)
    later = SnapshotService(
        host=service.host,
        store=service.store,
        registry=service.registry,
        fingerprint_key=service.fingerprint_key,
        clock=lambda: datetime.now(UTC) + LIFE + timedelta(minutes=1),
    )
    assert later.handle({"sweep": True}) == Swept(2)
    assert kept(s3) == []


def test_a_repository_s_key_is_its_own_and_always_the_same() -> None:
    keys = {fingerprint_key(KEY, SHOP), fingerprint_key(KEY, SHOP), fingerprint_key(KEY, SHOP + "2")}
    assert len(keys) == 2
    assert all(len(bytes.fromhex(each)) == 32 for each in keys)


@pytest.mark.parametrize("event", [{}, {"sync": True, "sweep": True}, {"snapshot": {}}, {"other": 1}, None])
def test_what_is_no_order_is_refused(service: SnapshotService, event: object) -> None:
    with pytest.raises(InputError):
        service.handle(event)


def test_a_sync_puts_what_the_app_sees_on_record(service: SnapshotService) -> None:
    done = service.handle({"sync": True})
    assert done == Synced(added=[SHOP], changed=[], vanished=[], left_out=[], unchanged=0)
    entry_ = service.registry.get(Repository, SHOP).entry
    assert (entry_.number, entry_.default_branch, entry_.source) == (7, "main", "host")
    assert service.handle({"sync": True}) == Synced([], [], [], [], unchanged=1)
    taken(service.take(ORDER))


def test_no_app_in_the_secret_is_an_answer(service: SnapshotService) -> None:
    secret = GitHubSecret(lambda: json.dumps({"appId": "", "privateKey": "", "fingerprintKey": KEY}))
    host = GitHub(secret.app, host="github.com", api="https://api.github.com")
    without = SnapshotService(
        host=host,
        store=service.store,
        registry=service.registry,
        fingerprint_key=secret.fingerprint_key,
        clock=service.clock,
    )
    failure = without.take(ORDER).failure
    assert failure is not None
    assert (failure.failure_class, failure.again) == ("access_denied", False)


@pytest.mark.parametrize("text", ["", "{}", '{"fingerprintKey": "short"}', "private words"])
def test_a_secret_that_is_none_is_told_without_its_text(text: str) -> None:
    secret = GitHubSecret(lambda: text)
    for reading in (secret.app, secret.fingerprint_key):
        with pytest.raises(ConfigurationError) as caught:
            reading()
        assert "private words" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_logs_hold_no_token_key_or_address(
    service: SnapshotService, host: LookAlike, app: AppKey, capsys: pytest.CaptureFixture[str]
) -> None:
    taken(service.take(ORDER))
    host.faults.truncated = True
    service.take(SnapshotOrder(run_id="run-2", repository=SHOP))
    said = capsys.readouterr()
    assert "snapshot taken" in said.out
    assert "snapshot failed" in said.out
    tokens = [each.authorization.removeprefix("Bearer ") for each in host.requests if each.authorization]
    for secret in (*tokens, app.private_key.splitlines()[1], KEY, "codeload", "X-Amz"):
        assert secret not in said.out + said.err
