"""A local cloud in which no container runs: in the place of outlets somebody uploads canned reports."""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
import pytest
import requests

from glovebox.local import cloud as building
from glovebox.local.agent import Agent
from glovebox.local.cloud import CHECKOUT, LocalCloud, Plan, running_cloud
from glovebox.local.engines import ProcessEngine
from glovebox.local.tasks import parse_environment_file
from glovebox.scans.model import Manifest, OutletOrder, UploadForm

AT_ONCE = 8
ENGINE = ProcessEngine(CHECKOUT)


class FakeScanners:
    """Ends each task of the cluster by an upload, once."""

    def __init__(self, cloud: LocalCloud, told_of: Callable[[OutletOrder], tuple[bytes, Manifest]]) -> None:
        """`told_of`: the report of an order's scan, and its manifest."""
        self._cloud = cloud
        self._told_of = told_of
        self._ending = threading.Event()
        self._session = requests.Session()
        self.uploads: Counter[str] = Counter()
        self.problems: list[str] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        watcher = threading.Thread(target=self._watch, name="fake-scanners")
        watcher.start()
        try:
            yield
        finally:
            self._ending.set()
            watcher.join()

    def _watch(self) -> None:
        storage, bucket = self._cloud.aws.client("s3"), self._cloud.deployment.output("HandOffBucket")
        seen: set[str] = set()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while not self._ending.wait(0.2):
                pages = storage.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="handoff/")
                keys = {each.get("Key", "") for page in pages for each in page.get("Contents", [])}
                fresh = {key for key in keys if key.endswith("/outlet.env")} - seen
                seen |= fresh
                for key in sorted(fresh):
                    pool.submit(self._end, key).add_done_callback(self._note)

    def _note(self, done: object) -> None:
        error = done.exception()  # type: ignore[attr-defined]  # a Future
        if error is not None:
            self.problems.append(repr(error))

    def _end(self, key: str) -> None:
        bucket = self._cloud.deployment.output("HandOffBucket")
        body = self._cloud.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        encoded = parse_environment_file(body)["GLOVEBOX_ORDER"]
        order = msgspec.json.decode(base64.b64decode(encoded), type=OutletOrder)
        report, manifest = self._told_of(order)
        self._upload(order.report, report)
        self._upload(order.manifest, msgspec.json.encode(manifest))
        self.uploads[order.scan_id] += 1

    def _upload(self, form: UploadForm, body: bytes) -> None:
        answer = self._session.post(
            form.url,
            data=form.fields,
            files={"file": ("file", body)},
            verify=str(self._cloud.aws.authority),
            timeout=60,
        )
        assert answer.status_code == 204, answer.text


class NoAgent(Agent):
    """Runs no container."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        yield


@contextmanager
def cloud_without_containers(plan: Plan) -> Iterator[LocalCloud]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(building, "Agent", NoAgent)
        with running_cloud(plan) as running:
            yield running


def order_later(cloud: LocalCloud, event: bytes, seconds: float) -> str:
    """Hand an order to `launch` as whoever does not wait for an answer; the run, within so many seconds."""
    launch = cloud.deployment.output("LaunchFunction")
    cloud.aws.client("lambda").invoke(FunctionName=launch, InvocationType="Event", Payload=event)
    deadline = time.monotonic() + seconds
    while not (runs := cloud.store.open_runs()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return next(iter(runs))
